"""What a compiled function shows of itself: every stage as text, with the user's lines."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from graphc.backends.base import scratch_of
from graphc.backends.registry import DEFAULT
from graphc.errors import ArgumentError, BackendError
from graphc.inspect.memory import format_plan
from graphc.ir.printer import format_graph
from graphc.late_imports import late_module
from graphc.loops.printer import format_program, summary
from graphc.shapes import whole_number
from graphc.surface import surface

if TYPE_CHECKING:
    from graphc.compiler import Stages

MOST_NAMES = 20  # of kernels, in an error


class Text(str):
    """Text that shows as it is at the interactive prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class FunctionText:
    """The inspection methods of `Function`. Each answers with text; `dprint` prints."""

    stages: "Stages"
    backend: str
    optimized: bool
    _rewrites: bool
    _profiled: Text | None = None  # the last profile that was taken

    @surface
    def dprint(self, stage: str = "after", file: TextIO | None = None) -> None:
        """Print the graph in equations. stage: "after" the passes, or "before" them."""
        print(self.graph_text(stage), file=file)

    @surface
    def graph_text(self, stage: str = "after") -> Text:
        """The graph as `gc.parse_graph` reads it back."""
        if stage not in ("before", "after"):
            raise ArgumentError(f"stage={stage!r:.60}", fix='stage is "before" or "after"')
        graph = self.stages.graph if stage == "after" else self.stages.user_graph
        return Text(format_graph(graph))

    def rewrites(self) -> Text:
        """What the passes did: rule, before, after, the user's line; a row a hit."""
        return Text(self.stages.log)

    def kernels(self) -> Text:
        """The steps of the program, one line each: kernel, what it computes, sizes, lines."""
        self._need_program("kernels")
        assert self.stages.program is not None
        return Text(summary(self.stages.program))

    def loops(self) -> Text:
        """The whole loop program: every kernel as loops over scalar expressions."""
        self._need_program("loops")
        assert self.stages.program is not None
        return Text(format_program(self.stages.program))

    def memory_plan(self, **sizes: int) -> Text:
        """How many bytes a call needs, where temporaries lie, and what is written in place.

        peak: of a call, beside its inputs and the present values of the variables. arena: the
        memory of the temporaries. bound: the most of them that is alive at one step, below which no
        arena can be. scratch: what single steps need besides. updates: new values of variables
        that are written over the old ones and take nothing. Bytes are expressions in the symbolic
        sizes, or numbers for the values that are given: `f.memory_plan(n=64)`. ParameterError
        (E404): values of other sizes, or not of all.
        """
        self._need_program("memory plan")
        program, plan = self.stages.program, self.stages.plan
        assert program is not None and plan is not None
        scratch = scratch_of(self.stages.executable)
        return Text(format_plan(program, plan, scratch, sizes, self._rewrites))

    @surface
    def source(self, kernel: int | str = 0) -> Text:
        """The generated code of one kernel: the first, second ... one of `kernels()`, counted from
        0, or the one that has this name there. BackendError (E501) if there is no such kernel.
        """
        self._need_program("generated code")
        program, executable = self.stages.program, self.stages.executable
        assert program is not None and executable is not None
        names = [one.name for one in program.kernels]
        position = names.index(kernel) if kernel in names else whole_number(kernel)
        if position is None or not 0 <= position < len(names):
            told = ", ".join(f"{number} ({name})" for number, name in enumerate(names[:MOST_NAMES]))
            more = " ..." if len(names) > MOST_NAMES else ""
            raise BackendError(
                f"{program.name} has no kernel {kernel}",
                code="E501",
                details=[f"it has {told}{more}" if names else "it has none"],
                fix="look at f.kernels()",
            )
        return Text(executable.kernel_source(position))

    def llvm(self) -> Text:
        """The LLVM IR of the whole function (backend llvm)."""
        return self._backend_text("llvm")

    def asm(self) -> Text:
        """The assembly of the whole function (backend llvm)."""
        return self._backend_text("asm")

    def stats(self) -> dict[str, Any]:
        """Where compile time went, and what came out.

        seconds by stage, and by part of a stage, as "backend: code" of "backend"; origin: whether
        the object was found in the cache, or why it was compiled; program: the same of the function
        as a whole, with all passes; the numbers of nodes before and after the passes, of steps and
        of kernels; on how many threads a call may run.
        """
        stages = self.stages
        figures = stages.figures
        if not figures:
            figures = {"nodes": len(stages.graph.nodes)}
            if stages.program is not None:
                figures["steps"] = len(stages.program.all_steps)
                figures["kernels"] = len(stages.program.kernels)
        result: dict[str, Any] = {
            "seconds": dict(stages.seconds),
            **figures,
            "nodes": (len(stages.user_graph.nodes), figures["nodes"]),
        }
        if stages.executable is not None:
            result["origin"] = stages.executable.origin
            result["program"] = stages.found
            result["threads"] = stages.executable.threads
        return result

    @surface
    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
    ) -> str | None:
        """All of this as one HTML page: the function, the graph before and after the passes, the
        rewrites with their equations, kernels as loops and as generated code, the memory plan as a
        picture, and the last `profile` that was taken.

        The page needs no network and nothing beside it. A click on a value marks its uses; a click
        on a line of the user's marks what became of it at every stage. path: a file to write, which
        appears whole or not at all; the answer is None then, and the text otherwise. sizes: values
        of all symbolic sizes, for which the memory plan is drawn (256 each). Long texts of large
        functions are cut, and say how to get the rest. ParameterError (E404): values of other
        sizes. OSError as open() does.

        >>> f.to_html("f.html", sizes={"n": 64})
        """
        view = late_module("graphc.inspect.html")
        text: str = view.format_html(self, sizes)
        if path is None:
            return text
        view.write_html(path, text)
        return None

    def _backend_text(self, kind: str) -> Text:
        self._need_program(kind)
        assert self.stages.executable is not None
        texts = self.stages.executable.texts
        if kind not in texts:
            raise BackendError(
                f"backend {self.backend!r} has no {kind} text",
                code="E501",
                details=[f"it has: {', '.join(texts)}"],
                fix='compile with backend="llvm"',
            )
        return Text(texts[kind])

    def _need_program(self, what: str) -> None:
        if self.stages.program is None:
            raise BackendError(
                f"backend {self.backend!r} interprets the graph: it has no {what}",
                code="E501",
                fix=f'compile with backend="{DEFAULT}"',
            )
