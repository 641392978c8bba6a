"""The command line, from arguments to output and exit status."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import cli
from graphc.commands import doctor as doctor_command
from graphc.commands.bench import largest_difference, recompile
from graphc.commands.feeds import parse_ranges, parse_shapes, random_feeds
from graphc.commands.script import functions_in, load_function, parse_target
from graphc.commands.show import spent_on
from graphc.commands.terminal import UsageError

SCRIPT = '''
"""A script that would train for ever."""
from __future__ import annotations

import numpy as np

import graphc as gc

print("noise")
x, y = gc.placeholder("x", ("n", 8)), gc.placeholder("y", ("n",), "int64")
W = gc.variable(np.ones((8, 3), "float32"), "W")
cost = gc.mean(gc.nn.sparse_softmax_cross_entropy(x @ W, y))
if __name__ == "__main__":
    train = gc.function([x, y], cost, updates={W: W - 0.1 * gc.grad(cost, W)})
    while True:
        raise RuntimeError("training was run")
'''

Result = tuple[int, str, str]
Run = Callable[..., Result]


@pytest.fixture
def graphc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line in this process: exit status, output, error output."""

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["graphc", *arguments])
        with pytest.raises(SystemExit) as exit:
            cli.main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        code = exit.value.code
        return (code if isinstance(code, int) else 0 if code is None else 1), out, err

    return run


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


# --- run -----------------------------------------------------------------------------------------


def test_run_passes_arguments_on(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text("import sys\nprint(__name__, sys.argv[1:])\n")
    status, out, _ = graphc("run", str(path), "a", "--flag", "-h")
    assert status == 0
    assert out == "__main__ ['a', '--flag', '-h']\n"


def test_run_finds_neighbours_and_returns_the_status(graphc: Run, tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_script.py").write_text("STATUS = 7\n")
    path = tmp_path / "s.py"
    path.write_text("import sys, neighbour_of_script as m\nsys.exit(m.STATUS)\n")
    argv = list(sys.argv), list(sys.path)
    assert graphc("run", str(path))[0] == 7
    assert sys.path == argv[1]


def test_run_shows_errors_of_graphc_without_a_traceback(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text(
        "import graphc as gc\n"
        "x = gc.placeholder('x', ('n', 5))\n"
        "y = x @ gc.constant([[1.0], [2.0]])\n"
    )
    status, _, err = graphc("run", str(path))
    assert status == 1
    assert err.startswith("graphc.ShapeError [E102] matmul: inner sizes differ")
    assert "written   s.py:3   y = x @ gc.constant([[1.0], [2.0]])" in err
    assert "graphc explain E102" in err
    assert "Traceback" not in err


def test_scripts_that_python_does_not_read(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text("x = 1\ndef (:\n")
    for command in (["run", str(path)], ["inspect", f"{path}:f"]):
        status, _, err = graphc(*command)
        assert status == 1 and "s.py" in err and "line 2" in err and "SyntaxError" in err
        assert "Traceback" not in err and "runpy" not in err


def test_pictures_that_cannot_be_written(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text("import graphc as gc\nx = gc.placeholder('x')\nf = gc.function([x], x * 2)\n")
    target = str(tmp_path / "none" / "a.dot")
    status, _, err = graphc("inspect", f"{path}:f", "--dot", target)
    assert status == 2 and "a.dot cannot be written: No such file" in " ".join(err.split())
    assert "Traceback" not in err


def test_run_names_the_line_where_the_error_does_not(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text(
        "import graphc as gc\n"
        "x = gc.placeholder('x', ('n',))\n"
        "f = gc.function(x, x * 2, backend='no such backend')\n"
    )
    status, _, err = graphc("run", str(path))
    assert status == 1
    assert "[E501]" in err
    assert "s.py:3   f = gc.function(x, x * 2, backend='no such backend')" in err


def test_run_shows_other_errors_from_the_script_on(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text("def f():\n    return 1 / 0\nf()\n")
    status, _, err = graphc("run", str(path))
    assert status == 1
    assert "ZeroDivisionError" in err
    assert "runpy" not in err and "commands" not in err
    assert err.index("line 3") < err.index("line 2")


def test_run_of_a_missing_or_broken_script(graphc: Run, tmp_path: Path) -> None:
    status, _, err = graphc("run", str(tmp_path / "none.py"))
    assert status == 2 and "there is no file" in err
    path = tmp_path / "s.py"
    path.write_text("x = = 1\n")
    status, _, err = graphc("run", str(path))
    assert status == 1 and "SyntaxError" in err


# --- inspect -------------------------------------------------------------------------------------


def test_inspect_stops_before_training_and_is_silent(graphc: Run, script: Path) -> None:
    status, out, err = graphc("inspect", f"{script}:train")
    assert status == 0, err
    assert "noise" not in out
    for part in ("graph after the passes", "rewrites", "kernels", "memory plan", "train.py:"):
        assert part in out


def test_parts_of_a_stage_stand_behind_it() -> None:
    seconds = {"lower": 0.0104, "backend": 0.009, "plan": 0.001, "backend: emit": 0.003}
    seconds["backend: code"] = 0.006
    assert spent_on(seconds) == "lower 10.4, backend 9.0 (emit 3.0, code 6.0), plan 1.0"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--before", "sparse_softmax_cross_entropy"),
        ("--after", "return"),
        ("--rewrites", "rule"),
        ("--kernels", "matmul"),
        ("--loops", "for "),
        ("--memory", "peak"),
        ("--llvm", "define "),
        ("--asm", "ret"),
    ],
)
def test_inspect_shows_one_view_alone(
    graphc: Run, script: Path, option: str, expected: str
) -> None:
    status, out, err = graphc("inspect", f"{script}:train", option)
    assert status == 0, err
    assert expected in out
    assert "──" not in out


def test_inspect_shows_several_views_and_sources(graphc: Run, script: Path) -> None:
    status, out, _ = graphc("inspect", f"{script}:train", "--kernels", "--source", "0")
    assert status == 0
    assert "── kernels" in out and "── source of kernel 0" in out
    status, _, err = graphc("inspect", f"{script}:train", "--source", "99")
    assert status == 1 and "has no kernel 99" in err


def test_inspect_draws(graphc: Run, script: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.svg"
    status, out, _ = graphc("inspect", f"{script}:train", "--dot", str(target))
    assert status == 0 and str(target) in out
    assert "<svg" in target.read_text(encoding="utf-8")


def test_inspect_writes_a_page(graphc: Run, script: Path, tmp_path: Path) -> None:
    target, picture = tmp_path / "out.html", tmp_path / "out.dot"
    status, out, _ = graphc(
        "inspect", f"{script}:train", "--html", str(target), "--dot", str(picture)
    )
    assert status == 0 and str(target) in out and str(picture) in out
    text = target.read_text(encoding="utf-8")
    assert "<h1>train</h1>" in text and text.rstrip().endswith("</html>")
    missing = str(tmp_path / "none" / "out.html")
    status, _, err = graphc("inspect", f"{script}:train", "--html", missing)
    assert status == 2 and "out.html cannot be written" in " ".join(err.split())


def test_inspect_on_another_backend(graphc: Run, script: Path) -> None:
    status, out, _ = graphc("inspect", f"{script}:train", "--backend", "reference", "--after")
    assert status == 0 and "graph train" in out
    status, _, err = graphc("inspect", f"{script}:train", "--backend", "reference", "--llvm")
    assert status == 1 and "[E501]" in err


def test_inspect_says_what_is_there(graphc: Run, script: Path) -> None:
    status, _, err = graphc("inspect", str(script))
    assert status == 2 and "functions there: train" in err
    script.write_text(SCRIPT.replace("while True", "if False"), encoding="utf-8")
    status, _, err = graphc("inspect", f"{script}:test")
    assert status == 2
    assert "'test' is never assigned" in err and "compiled functions there: train" in err
    status, _, err = graphc("inspect", f"{script}:cost")
    assert status == 2 and "'cost' is no compiled function" in err


def test_errors_of_an_inspected_script_have_its_lines(graphc: Run, script: Path) -> None:
    script.write_text("x = 1\ny = x / 0\n", encoding="utf-8")
    status, _, err = graphc("inspect", f"{script}:train")
    assert status == 1
    assert "line 2" in err and "y = x / 0" in err and "ZeroDivisionError" in err


def test_loading_takes_the_branch_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text(
        "import graphc as gc\n"
        "x = gc.placeholder('x', ())\n"
        "if len('ab') == 1:\n"
        "    f = gc.function(x, x, backend='reference', name='wrong')\n"
        "elif True:\n"
        "    f = gc.function(x, x + 1, backend='reference', name='right')\n"
        "    assert False\n"
    )
    main = sys.modules["__main__"]
    assert load_function(parse_target(f"{path}:f")).name == "right"
    assert sys.modules["__main__"] is main
    assert functions_in(path) == ["f"]


# --- bench ---------------------------------------------------------------------------------------


def test_bench_compares_backends(graphc: Run, script: Path) -> None:
    status, out, err = graphc(
        *("bench", f"{script}:train", "--shape", "n=3,7", "--backends", "llvm,reference"),
        *("--against", "numpy", "--seconds", "0.05"),
    )
    assert status == 0, out + err
    assert out.count("llvm") == 3  # the title, and a row per size
    assert out.count("numpy") >= 2
    assert "DIFFERS" not in out
    assert "µs" in out or "ms" in out


def test_bench_refuses_what_it_cannot_follow(graphc: Run, script: Path) -> None:
    target = f"{script}:train"
    for arguments, message in (
        (["--shape", "m=3"], "symbolic sizes: n"),
        (["--shape", "n=x"], "not of the form"),
        (["--range", "z=0:3"], "inputs: x, y"),
        (["--range", "y=3:0"], "not of the form"),
        (["--against", "llvm", "--backends", "reference"], "not among the backends"),
        (["--backends", "cuda"], "none of cuda compiles"),
        (["--backends", "cuda"], "allowed: auto, llvm"),
    ):
        status, _, err = graphc("bench", target, *arguments)
        assert status == 2 and message in err


def test_bench_asks_for_a_range_where_it_cannot_know(graphc: Run, tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_text(
        "import graphc as gc\n"
        "k = gc.placeholder('k', ('n',), 'int64')\n"
        "f = gc.function(k, gc.take(gc.constant([1.0, 2.0]), k + k - k))\n"
    )
    arguments = ("bench", f"{path}:f", "--backends", "reference", "--seconds", "0.01")
    status, _, err = graphc(*arguments)
    assert status == 2 and "take: index" in err and "--range" in err
    assert graphc(*arguments, "--range", "k=0:2")[0] == 0


def test_bench_reports_a_backend_that_is_not_there(graphc: Run, script: Path) -> None:
    status, out, _ = graphc(
        "bench", f"{script}:train", "--backends", "reference,cuda", "--seconds", "0.01"
    )
    assert status == 1
    assert "cuda: not compiled: [E501]" in out


def test_random_feeds_suit_the_inputs() -> None:
    x, k = gc.placeholder("x", ("n", 2), "float64"), gc.placeholder("k", ("n",), "int32")
    labels, mask = gc.placeholder("labels", (2, "n"), "int64"), gc.placeholder("m", (3,), "bool")
    table = gc.constant(np.arange(5.0))
    picked = gc.take(table, gc.reshape(labels, (-1,)))
    f = gc.function([x, k, labels, mask], [x, k, picked, mask], backend="reference", name="f")
    sizes = parse_shapes(["n=50,60"], f)
    assert sizes == [{"n": 50}, {"n": 60}]
    assert parse_shapes([], f) == [{"n": 32}]
    feeds = random_feeds(f, sizes[0], parse_ranges(["k=-3:4"], f))
    assert [(a.dtype.name, a.shape) for a in feeds] == [
        ("float64", (50, 2)),
        ("int32", (50,)),
        ("int64", (2, 50)),
        ("bool", (3,)),
    ]
    assert feeds[1].min() == -3 and feeds[1].max() == 3
    assert feeds[2].min() == 0 and feeds[2].max() == 4  # what `take` can index
    for one, other in zip(feeds, random_feeds(f, sizes[0], {"k": (-3, 4)}), strict=True):
        np.testing.assert_array_equal(one, other)
    f(*feeds)
    with pytest.raises(UsageError):
        parse_ranges(["k"], f)


def test_recompiled_functions_share_variables() -> None:
    v = gc.variable(1.0, name="v")
    f = gc.function([], v * 2, updates={v: v + 1}, backend="reference")
    other = recompile(f, "interpreter")
    assert f() == 2
    assert other() == [4]
    assert v.value == 3


def test_differences_are_measured_by_dtype() -> None:
    one = np.array([1.0, np.nan, np.inf], "float32")
    assert largest_difference([one], [one.copy()]) == 0
    assert largest_difference([one], [one * np.float32(1 + 1e-6)]) < 1
    assert largest_difference([one], [one * np.float32(1.01)]) > 1
    assert largest_difference([np.array([np.nan])], [np.array([1.0])]) == np.inf
    assert largest_difference([np.array([1])], [np.array([2])]) == np.inf
    assert largest_difference([np.zeros(2)], [np.zeros(3)]) == np.inf
    assert largest_difference([np.zeros(0)], [np.zeros(0)]) == 0


# --- doctor, explain, ops ------------------------------------------------------------------------


def test_doctor_finds_everything(graphc: Run) -> None:
    status, out, _ = graphc("doctor")
    assert status == 0, out
    for part in ("Python", "numpy", "LLVM", "float32", "ok      llvm", "all is well"):
        assert part in out


def test_doctor_reports_a_broken_backend(graphc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> tuple[float, float]:
        raise OSError("no such library")

    monkeypatch.setattr(doctor_command, "try_backend", broken)
    status, out, _ = graphc("doctor")
    assert status == 1
    assert "failed  llvm: OSError: no such library" in out


def test_explain(graphc: Run) -> None:
    status, out, _ = graphc("explain", "e102")
    assert status == 0
    assert "inner sizes" in out and "h = x @ W" in out
    assert graphc("explain", "[E102]")[1] == out
    status, out, _ = graphc("explain")
    assert status == 0 and "E601" in out and "E1xx" in out
    status, _, err = graphc("explain", "E999")
    assert status == 2 and "no error code" in err


def test_ops(graphc: Run) -> None:
    status, out, _ = graphc("ops")
    assert status == 0 and "matmul" in out and "softmax" in out
    status, out, _ = graphc("ops", "softplus")
    assert "elementwise" in out and "matmul" not in out


# --- the program ---------------------------------------------------------------------------------


def test_help_names_all_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphc.cli", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("run", "inspect", "bench", "doctor", "explain", "ops"):
        assert command in done.stdout


def test_import_of_graphc_loads_no_command_line() -> None:
    probe = (
        "import sys, graphc\n"
        "loaded = {'typer', 'rich', 'click', 'networkx', 'graphc.cli'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
