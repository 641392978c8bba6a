"""Results of run.py as a page for people.

    python benchmarks/peers/record.py ONE.json [MORE.json ...] --out docs/benchmarks.md

Writes everything between the page's two marks anew: the machine, versions, and for each file the
times with their spread, ratios to the best peer, compile times and memory.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from run import CEILINGS, HAND, si

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
        self.workloads = [w for w in data["workloads"] if w not in CEILINGS]

    def cell(self, workload, framework):
        """The record of a right answer, or None."""
        found = self.cells.get((workload, framework), {})
        return found if found.get("status") in ("OK", "FLAKY") else None

    def best(self, workload, key="median_s", peers=None):
        known = [(f, self.cell(workload, f)) for f in peers or self.peers]
        known = [(f, r) for f, r in known if r and r.get(key) is not None]
        return min(known, key=lambda pair: pair[1][key], default=(None, None))

    def ceiling(self, workload):
        """The fastest G/s that any framework reached."""
        kind = "flops" if workload == "ceiling_sgemm" else "bytes"
        work = self.data["work"][workload][kind]
        rates = [work / r["min_s"] / 1e9 for f in self.frameworks if (r := self.cell(workload, f))]
        return max(rates, default=None)

    def roof(self, workload):
        """The seconds that the ceilings allow; None if they were not measured."""
        work = self.data["work"][workload]
        known = [
            work[kind] / rate / 1e9
            for kind, name in (("flops", "ceiling_sgemm"), ("bytes", "ceiling_triad"))
            if (rate := self.ceiling(name))
        ]
        return max(known, default=None)


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


def times(results):
    rows, ratios = [], []
    for workload in results.workloads:
        mine, (name, best) = results.cell(workload, results.subject), results.best(workload)
        ratio = mine["median_s"] / best["median_s"] if mine and best else None
        ratios += [ratio] if ratio else []
        roof = results.roof(workload)
        share = f"{roof / mine['median_s']:.2f}" if mine and roof else "-"
        rows.append(
            [
                workload,
                spread(mine) if mine else "-",
                f"{spread(best)} {name}" if best else "-",
                f"**{ratio:.2f}**" if ratio else "-",
                share,
            ]
        )
    if ratios:
        mean = statistics.geometric_mean(ratios)
        rows.append([f"geometric mean of {len(ratios)}", "", "", f"**{mean:.2f}**", ""])
    return table(["workload", results.subject, "best peer", "ratio", "of roof"], rows)


def ratios(results):
    rows = []
    for workload in results.workloads:
        mine = results.cell(workload, results.subject)
        row = [workload]
        for peer in results.peers:
            its = results.cell(workload, peer)
            row.append(f"{mine['median_s'] / its['median_s']:.2f}" if mine and its else "-")
        rows.append(row)
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
    lines += [
        "Time of a call: median (fastest call-slowest tenth); `*`: other programs used more than "
        "0.15 of a core meanwhile. ratio: to the best peer, lower is better. of roof: the time "
        "that the ceilings allow, over ours.\n",
        times(results),
        f"Our time over each peer's, {head}:\n",
        ratios(results),
        f"Seconds from an empty cache to the end of the first call, {head}:\n",
        grid(results, "compile_s", lambda x: f"{x:.2f}"),
        f"Peak resident memory over the inputs, MB, {head}:\n",
        grid(results, "peak_rss_mb", lambda x: f"{x:.0f}"),
    ]
    wrong = [r for r in data["results"] if r["status"] not in ("OK", "FLAKY", "SKIP", "MISSING")]
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
    when = " and ".join(dict.fromkeys(run.data["when"][:10] for run in runs))
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
    text = page([Results(json.loads(file.read_text())) for file in arguments.files])
    if arguments.out is None:
        print(text)
        return
    before, _, rest = arguments.out.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    arguments.out.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
