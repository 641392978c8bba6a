"""Candidates on one workload with their calls in turns: the median of ratios, round by round.

python benchmarks/peers/turns.py WORKLOAD CANDIDATE CANDIDATE... [--threads N] [--seconds S]
python benchmarks/peers/turns.py WORKLOAD CANDIDATE CANDIDATE... --cold ROUNDS

A candidate is the name of a framework (graphc, numpy, torch ...) or the path of a folder with a
graphc to compare, such as another work tree; `CANDIDATE@PYTHON` names its interpreter. Each runs in
a process of its own that waits while the others run. A round is a few calls of every candidate
(about .02 s), in an order that turns round; what the machine does to one of a round it does to
all, so the median of a round's ratios holds to about half a percent where medians of separate runs
differ by ten. The first candidate is what the others are divided by; name it twice to see the
noise.

--cold: a fresh process with an empty cache for every compilation, in turns as well.
"""

import argparse
import contextlib
import importlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from run import child_env  # noqa: E402

ROUND = 0.02  # seconds of a candidate's calls


def serve(framework: str, workload: str) -> None:
    """The child: compiles, then times as many calls as each line of input says."""
    module = importlib.import_module(f"frameworks.{framework}_")
    import answers
    from workload import choose

    inputs = answers.make(choose(workload))
    clock = time.perf_counter
    start = clock()
    bench = module.build(choose(workload), inputs)
    bench.call()
    print(clock() - start, flush=True)
    for line in sys.stdin:
        calls = int(line)
        start = clock()
        for _ in range(calls):
            bench.call()
        print((clock() - start) / calls, flush=True)


class Candidate:
    """A process that makes calls when it is told to."""

    def __init__(self, text: str, workload: str, threads: int) -> None:
        self.name, _, python = text.partition("@")
        tree = os.sep in self.name
        self.cache = tempfile.mkdtemp()
        environment = child_env(threads, self.cache)
        if tree:
            environment["PYTHONPATH"] = os.path.abspath(self.name)
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            [
                python or sys.executable,
                os.path.abspath(__file__),
                "--serve",
                "graphc" if tree else self.name,
                workload,
            ],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        self.compiled = self.told()  # before the next one starts: they share the cores

    def told(self) -> float:
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ended with exit status {self.process.wait()}")
        return float(line)

    def call(self, calls: int) -> float:
        """Seconds of a call."""
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return self.told()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.cache, ignore_errors=True)


def warm(names: list[str], workload: str, threads: int, seconds: float) -> list[list[float]]:
    """The rounds' times of a call, by candidate."""
    candidates = [Candidate(name, workload, threads) for name in names]
    try:
        calls = [max(1, int(ROUND / c.call(max(1, int(1e-4 / c.call(3)))))) for c in candidates]
        for c, n in zip(candidates, calls):
            c.call(n)
        times: list[list[float]] = [[] for _ in names]
        end, first = time.monotonic() + seconds, 0
        while time.monotonic() < end or len(times[0]) < 3:
            for k in range(len(names)):
                at = (first + k) % len(names)
                times[at].append(candidates[at].call(calls[at]))
            first += 1
        return times
    finally:
        for c in candidates:
            c.end()


def cold(names: list[str], workload: str, threads: int, rounds: int) -> list[list[float]]:
    """The rounds' times from building the graph to the end of the first call, by candidate."""
    times: list[list[float]] = [[] for _ in names]
    for first in range(rounds):
        for k in range(len(names)):
            at = (first + k) % len(names)
            candidate = Candidate(names[at], workload, threads)
            times[at].append(candidate.compiled)
            candidate.end()
    return times


def shown(name: str, times: list[float], base: list[float]) -> str:
    ratios = [t / b for t, b in zip(times, base)]
    quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return (
        f"{name:32} median {1e3 * statistics.median(times):10.4f} ms  "
        f"fastest {1e3 * min(times):10.4f} ms  "
        f"ratio {quarters[1]:.3f} ({quarters[0]:.3f}-{quarters[2]:.3f})"
    )


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        return serve(*sys.argv[2:4])
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workload")
    parser.add_argument("candidates", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--cold", type=int, default=0, metavar="ROUNDS")
    told = parser.parse_args()
    of = (told.workload, told.threads)
    if told.cold:
        times = cold(told.candidates, *of, told.cold)
    else:
        times = warm(told.candidates, *of, told.seconds)
    print(f"{told.workload}, {told.threads} threads, {len(times[0])} rounds")
    for name, its in zip(told.candidates, times):
        print(shown(name, its, times[0]))
    return None


if __name__ == "__main__":
    main()
