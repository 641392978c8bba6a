"""The words of `function(..., check=...)`."""

from collections.abc import Sequence

from graphc.errors import FunctionError

WORDS = {
    "nan": "results must be finite; names the op that made a NaN",
    "passes": "every rewrite must keep the numbers; names the rule that changed one",
    "ir": "verify every intermediate representation while compiling",
}


def check_words(check: bool | str | Sequence[str] | None) -> frozenset[str]:
    """The checks that are asked for. True stands for "ir", None and False for none."""
    if check is None or check is False:
        return frozenset()
    if check is True:
        return frozenset({"ir"})
    words = (check,) if isinstance(check, str) else check
    if isinstance(words, tuple | list | set | frozenset) and all(w in WORDS for w in words):
        return frozenset(words)
    raise FunctionError(
        f"check={check!r}",
        code="E205",
        details=[f"{word!r}: {text}" for word, text in WORDS.items()],
        fix='use None, one of these words, or a tuple of them: check=("nan", "passes")',
    )
