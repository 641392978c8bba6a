"""Results of run.py as a page for people.

    python benchmarks/peers/record.py ONE.json [MORE.json ...] --out docs/benchmarks.md

Writes everything between the page's two marks anew: the machine, versions, and for each number of
threads the times with their spread, ratios to the best peer, shares of what the machine can do,
other sizes, huge pages, compile times and memory. Files of one number of threads are put together,
so that slow peers, other sizes and huge pages may each come from a run of their own; what stands in
two files is taken from the later one.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from report import HAND, order, si
from workload import HUGE, WORKLOADS, parts, place
from workloads import CEILINGS, MEAN_GOAL

BEGIN, END = "<!-- results: written by benchmarks/peers/record.py -->", "<!-- end of results -->"
NOISY = 0.15  # of a core


class Results:
    """What one run measured."""

    def __init__(self, data):
        self.data = data
        self.cells = {(r["workload"], r["framework"]): r for r in data["results"]}
        self.frameworks = data["frameworks"]
        self.subject = data["subjects"][0]
        self.peers = [f for f in self.frameworks if f != self.subject and f not in HAND]
        rows = [w for w in data["workloads"] if w not in CEILINGS]
        self.workloads = [w for w in rows if parts(w)[1:] == (0, False)]
        self.others = [w for w in rows if parts(w)[1]]

    def cell(self, workload, framework):
        """The record of a right answer, or None."""
        found = self.cells.get((workload, framework), {})
        return found if found.get("status") in ("OK", "FLAKY") else None

    def best(self, workload):
        known = [(f, r) for f in self.peers if (r := self.cell(workload, f))]
        return min(known, key=lambda pair: pair[1]["median_s"], default=(None, None))

    def ratio(self, workload, peer):
        """Our time over a peer's."""
        mine, its = self.cell(workload, self.subject), self.cell(workload, peer)
        return mine["median_s"] / its["median_s"] if mine and its else None

    def ceiling(self, workload):
        """The fastest G/s that any framework reached; None if it was not measured."""
        kind = "bytes" if workload == "ceiling_triad" else "flops"
        work = self.data["work"].get(workload, {}).get(kind)
        rates = [work / r["min_s"] / 1e9 for f in self.frameworks if (r := self.cell(workload, f))]
        return max(rates, default=None)

    def share(self, workload, amount, ceiling, unit=1):
        """Of our time, what `amount` takes at a ceiling's rate."""
        mine, rate = self.cell(workload, self.subject), self.ceiling(ceiling)
        return amount / (rate * 1e9 * unit) / mine["median_s"] if mine and rate else None

    def shares(self, workload):
        """Of memory, arithmetic and sgemm, where each is the question."""
        work, mine = self.data["work"][workload], self.cell(workload, self.subject)
        told = (mine or {}).get("facts", {})
        memory = arithmetic = product = None
        if WORKLOADS[workload].kind == "stream":
            memory = self.share(workload, work["bytes"], "ceiling_triad")
        if "slots" in told:
            units = (
                self.share(workload, told["slots"], "ceiling_sgemm", 0.5),  # an FMA is two flops
                self.share(workload, told["divisions"], "ceiling_divide"),
            )
            arithmetic = max((x for x in units if x), default=None)
        if WORKLOADS[workload].kind == "product":
            product = self.share(workload, work["flops"], "ceiling_sgemm")
        return memory, arithmetic, product


def joined(files):
    """One record of several runs with the same number of threads."""
    first, *more = files
    data = {**first, "when": " and ".join(dict.fromkeys(f["when"][:10] for f in files))}
    for other in more:
        if other["subjects"] and other["subjects"] != data["subjects"]:
            raise SystemExit("the files have different subjects")
        names = {*data["frameworks"], *other["frameworks"]}
        data["frameworks"] = sorted(names, key=order)
        data["workloads"] = sorted({*data["workloads"], *other["workloads"]}, key=place)
        data["work"] = {**data["work"], **other["work"]}
        cells = {(r["workload"], r["framework"]): r for r in (*data["results"], *other["results"])}
        data["results"] = list(cells.values())
    return Results(data)


def table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines) + "\n"


def spread(record):
    """`12.3 ms (12.1-14.0)`: the median, the fastest call and the slowest tenth."""
    median, unit = si(record["median_s"]).split()
    scale = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}[unit]
    low, high = (record.get(key) for key in ("min_s", "p90_s"))
    noisy = "*" if record.get("others_cores", 0) > NOISY else ""
    if low is None or high is None:
        return f"{median} {unit}{noisy}"
    return f"{median} {unit}{noisy} ({low / scale:.3g}-{max(high, low) / scale:.3g})"


def compared(results, workload):
    """Our cell, the best peer's, the ratio as text and as a number."""
    mine, (name, best) = results.cell(workload, results.subject), results.best(workload)
    ratio = results.ratio(workload, name)
    return (
        spread(mine) if mine else "-",
        f"{spread(best)} {name}" if best else "-",
        f"**{ratio:.2f}**" if ratio else "-",
        ratio,
    )


def verdict(goal, ratio):
    """`0.80, met`"""
    if ratio is None:
        return f"{goal:.2f}"
    return f"{goal:.2f}, {'met' if round(ratio, 2) <= goal else 'missed'}"


def goal(results, workload, ratio):
    """What the ratio should be at most; some goals are about one peer, which has its own ratio."""
    peer, least = WORKLOADS[workload].goal_of, WORKLOADS[workload].goal
    if not peer:
        return verdict(least, ratio)
    ratio = results.ratio(workload, peer)
    return f"{verdict(least, ratio)} ({f'{ratio:.2f} ' if ratio else ''}of {peer})"


def mean_row(ratios, before, after, least=None):
    known = [r for r in ratios if r]
    if not known:
        return []
    mean = statistics.geometric_mean(known)
    row = [f"geometric mean of {len(known)}", *[""] * before, f"**{mean:.2f}**"]
    return [[*row, *([] if least is None else [verdict(least, mean)]), *[""] * after]]


def times(results):
    rows, ratios = [], []
    for workload in results.workloads:
        *shown, ratio = compared(results, workload)
        ratios.append(ratio)
        told = (results.cell(workload, results.subject) or {}).get("facts", {})
        memory = told.get("memory", "")
        if told.get("arena", "0").split()[0] != "0":
            memory += f"; arena {told['arena']}"
        shares = (f"{x:.2f}" if x else "" for x in results.shares(workload))
        rows.append([workload, *shown, goal(results, workload, ratio), *shares, memory])
    head = ["workload", results.subject, "best peer", "ratio", "goal"]
    head += ["of memory", "of arithmetic", "of sgemm", "memory of a call"]
    return table(head, [*rows, *mean_row(ratios, 2, 4, MEAN_GOAL)])


def other_sizes(results):
    rows, ratios = [], []
    for workload in results.others:
        *shown, ratio = compared(results, workload)
        ratios.append(ratio)
        name, size = parts(workload)[0], results.data["work"][workload]["size"]
        rows.append([f"{name}: {size}", *shown])
    head = ["workload", results.subject, "best peer", "ratio"]
    return table(head, [*rows, *mean_row(ratios, 2, 0)])


def huge_pages(results):
    rows = []
    for workload in (name for name, w in WORKLOADS.items() if w.large):
        if results.cell(workload + HUGE, results.subject):
            usual, huge = compared(results, workload), compared(results, workload + HUGE)
            rows.append([workload, *usual[:3], *huge[:3]])
    head = ["workload", results.subject, "best peer", "ratio"]
    return table([*head, *(f"{name}, huge pages" for name in head[1:])], rows) if rows else ""


def ratios(results):
    rows = []
    for workload in results.workloads:
        known = (results.ratio(workload, peer) for peer in results.peers)
        rows.append([workload, *(f"{ratio:.2f}" if ratio else "-" for ratio in known)])
    return table(["workload", *results.peers], rows)


def grid(results, key, shown):
    rows = []
    for workload in results.workloads:
        cells = [results.cell(workload, f) for f in (results.subject, *results.peers)]
        rows.append([workload, *(shown(r[key]) if r and key in r else "-" for r in cells)])
    return table(["workload", results.subject, *results.peers], rows)


def section(results):
    data = results.data
    count = data["threads"]
    head = f"{count} thread{'s' * (count != 1)}"
    lines = [f"## {head[0].upper()}{head[1:]}\n"]
    gemm, triad = results.ceiling("ceiling_sgemm"), results.ceiling("ceiling_triad")
    if gemm and triad:
        lines.append(f"Ceilings: sgemm {gemm:.0f} GFLOP/s, triad {triad:.1f} GB/s.\n")
    divide = results.ceiling("ceiling_divide")
    if divide:
        lines[-1] = lines[-1].replace("/s.\n", f"/s, division {divide:.2f} G/s.\n")
    lines += [
        "Time of a call: median (fastest call-slowest tenth); `*`: other programs used more than "
        "0.15 of a core meanwhile. ratio: to the best peer, lower is better. goal: what the ratio "
        "is meant to be at most, to the best peer or to the one named. of memory, of "
        "arithmetic, of sgemm: the time that the least bytes take at the triad's rate, that the "
        "floating-point instructions of our loops take at the rate of fused multiply-adds in the "
        "sgemm ceiling (or their divisions and square roots at the rate of division), and that "
        "the flops take at the sgemm ceiling, over ours.\n",
        times(results),
    ]
    if results.others:
        lines += [
            f"Other sizes, {head} (short runs):\n",
            other_sizes(results),
        ]
    huge = huge_pages(results)
    if huge:
        lines += [
            "Rows of large arrays, without and with `GLIBC_TUNABLES=glibc.malloc.hugetlb=1`, "
            f"{head}:\n",
            huge,
        ]
    lines += [
        f"Our time over each peer's, {head}:\n",
        ratios(results),
        f"Seconds from an empty cache to the end of the first call, {head}:\n",
        grid(results, "compile_s", lambda x: f"{x:.2f}"),
        f"Peak resident memory over the inputs, MB, {head}:\n",
        grid(results, "peak_rss_mb", lambda x: f"{x:.0f}"),
    ]
    right = ("OK", "FLAKY", "SKIP", "MISSING")
    wrong = [r for r in data["results"] if r["status"] not in right]
    if wrong:
        lines.append("Not counted:\n")
        reasons = [
            [
                r["workload"],
                r["framework"],
                r["status"],
                " ".join(str(r.get("error", "")).split())[:100].replace("|", "/"),
            ]
            for r in wrong
        ]
        lines.append(table(["workload", "framework", "status", "why"], reasons))
    return "\n".join(lines)


def page(runs):
    first = runs[0].data
    versions = {}
    for run in runs:
        for record in run.data["results"]:
            if record.get("version"):
                versions[record["framework"]] = record["version"]
    shown = ", ".join(f"{name} {version}" for name, version in versions.items())
    when = " and ".join(dict.fromkeys(run.data["when"] for run in runs))
    head = (
        f"{when}; {first['cpu']} ({first['machine']}), 2 cores; rounds in turns: "
        f"{first['interleave']}; {shown}.\n"
    )
    return "\n".join([head, *(section(run) for run in runs)])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, help="a page with the two marks")
    arguments = parser.parse_args()
    files = [json.loads(file.read_text()) for file in arguments.files]
    counts = dict.fromkeys(data["threads"] for data in files)
    text = page([joined([f for f in files if f["threads"] == count]) for count in counts])
    if arguments.out is None:
        print(text)
        return
    before, _, rest = arguments.out.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    arguments.out.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
