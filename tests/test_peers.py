"""The comparison with other frameworks runs at every kind of size, and its page can be written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / "benchmarks" / "peers"


def run(*arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="pins processes to cores")
def test_sizes_huge_pages_and_the_page_of_results(tmp_path: Path) -> None:
    quick = ["--threads", 1, "--min-time", 0.01, "--max-time", 0.1, "--subject", "graphc"]
    first, later = tmp_path / "first.json", tmp_path / "later.json"
    rows = "softmax_rows:1,softmax_rows:1+hugepages,ceiling_divide"
    run(PEERS / "run.py", *quick, "--frameworks", "graphc", "--workloads", rows, "--out", first)
    run(
        *(PEERS / "run.py", *quick, "--frameworks", "numpy"),
        *("--workloads", "softmax_rows:1", "--out", later),
    )
    for file in (first, later):
        assert {r["status"] for r in json.loads(file.read_text())["results"]} == {"OK"}
    run(
        *(PEERS / "run.py", *quick, "--frameworks", "graphc"),
        *("--workloads", "tiny_call", "--out", later, "--update"),
    )
    page = run(PEERS / "record.py", first, later)
    row = next(line for line in page.splitlines() if "rows 1009, columns 37" in line)
    assert row.count("us") == 2 and "numpy" in row and "**" in row
    row = next(line for line in page.splitlines() if "| tiny_call |" in line)
    assert "| 0.20 |" in row and "new outputs" in row


def test_every_size_has_inputs_and_work_and_other_sizes_are_other_ones() -> None:
    told = run(
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import answers\n"
        "from workload import WORKLOADS, choose, others, work\n"
        "for name, w in WORKLOADS.items():\n"
        "    assert len(w.sizes) == (1 if w.kind == 'ceiling' else 4), name\n"
        "    assert all(s not in w.sizes[:k] for k, s in enumerate(w.sizes)), name\n"
        "    assert (w.goal is None) == (w.kind == 'ceiling'), name\n"
        "    for row in [name, *others(name)]:\n"
        "        told = work(row)\n"
        "        assert told['flops'] > 0 and told['bytes'] > 0 and told['size'], row\n"
        "        if told['bytes'] < 1e6:\n"
        "            made = answers.make(choose(row))\n"
        "            assert all(a.dtype.kind in 'fi' for a in made.values())\n"
        "print('right')",
        PEERS,
    )
    assert told.strip() == "right"


def test_innermost_loops_of_assembly() -> None:
    nested = "outer:\n\tvmulps a, ymm1\ninner:\n\tvaddps b, ymm2\n\tvdivps b, ymm2\n"
    nested += "\taddq $16, %rax\n\tjl inner\n\tjl outer\n"
    rest = "tail:\n\tvaddps b, ymm2\n\tvmaskmovps b, ymm2\n\taddq $8, %rax\n\tjl tail\n"
    told = run(
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from frameworks._facts import instructions; print(instructions(sys.argv[2]))",
        PEERS,
        nested + rest,
    )
    assert told.strip() == "(0.5, 0.5)"


def test_choices_under_a_mask_are_no_rests() -> None:
    """Of AVX-512: a rest loads and stores under a mask, other loops may choose under one."""
    body = "\tvmaxps %zmm1, %zmm2, %zmm3\n\tvmovaps %zmm2, %zmm3 {%k1}\n"
    main = f"main:\n{body}\taddq $16, %rax\n\tjl main\n"
    load = "\tvmovups (%rax,%rcx,4), %zmm1 {%k2} {z}\n"
    rest = f"rest:\n{load}{body}\taddq $16, %rax\n\tjl rest\n"
    told = run(
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from frameworks._facts import instructions; print(instructions(sys.argv[2]))",
        PEERS,
        main + rest,
    )
    assert told.strip() == "(1.0, 0.0)"


def test_the_spread_of_several_rounds_holds_all_of_them() -> None:
    told = run(
        "-c",
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from run import merge\n"
        "one = dict(status='OK', import_s=1, peak_rss_mb=1, compile_s=1)\n"
        "rounds = [one | dict(min_s=m - 1, median_s=m, p90_s=m + 1) for m in (5, 11, 8)]\n"
        "print([merge(rounds)[key] for key in ('min_s', 'median_s', 'p90_s')])",
        PEERS,
    )
    assert told.strip() == "[4, 8, 12]"
