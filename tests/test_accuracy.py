"""The errors that docs/accuracy.md tabulates, on a few arguments of each kind."""

import pytest

from benchmarks.accuracy import CASES, DTYPES, LIMITS, PAGE, measured


@pytest.mark.parametrize("name", CASES)
def test_errors_are_within_limits(name: str) -> None:
    for dtype, limit in zip(DTYPES, LIMITS.get(name, (2.0, 2.0)), strict=True):
        outcome = measured(name, dtype, 30)
        assert outcome.worst <= limit, f"{dtype}: {outcome.worst:.3g} ulp at {outcome.at}"


def test_the_page_has_every_function_within_its_limits() -> None:
    rows = [line.split("|") for line in PAGE.read_text("utf-8").splitlines() if "| `" in line]
    found = {row[1].strip(" `"): (float(row[2]), float(row[5])) for row in rows}
    assert list(found) == list(CASES)
    for name, errors in found.items():
        limits = LIMITS.get(name, (2.0, 2.0))
        assert all(e <= limit for e, limit in zip(errors, limits, strict=True)), name
