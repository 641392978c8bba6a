"""The tables that run.py prints, from what a run's JSON holds."""

import statistics

from workloads import CEILINGS

# written out by hand for the machine: shown, but no peer to be compared with
HAND = {"numba"}
FIRST = [
    "graphc",
    "numpy",
    "jax",
    "torch",
    "torch_compile",
    "pytensor",
    "pytensor_c",
    "tensorflow",
    "tensorflow_xla",
    "numba",
]


def order(framework):
    return (FIRST.index(framework) if framework in FIRST else len(FIRST), framework)


def si(s):
    if s is None:
        return "-"
    for unit, k in (("s ", 1), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if s >= k:
            return f"{s / k:.3g} {unit}"
    return f"{s:.2g} s "


def table(head, rows):
    width = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]

    def line(r):
        return "  ".join(
            str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(r, width))
        )

    return "\n".join([line(head), line(["-" * w for w in width])] + [line(r) for r in rows])


def report(data, use="median_s"):
    """The tables, from what a run's JSON holds."""
    cells = {(r["workload"], r["framework"]): r for r in data["results"]}
    fws, subjects = data["frameworks"], set(data["subjects"])
    wls = [w for w in data["workloads"] if w not in CEILINGS]
    peers = [f for f in fws if f not in subjects and f not in HAND]
    work = data["work"]

    def t(w, f):
        r = cells.get((w, f), {})
        return r.get(use) if r.get("status") in ("OK", "FLAKY") else None

    def best_of(w, who):
        known = [(t(w, f), f) for f in who if t(w, f)]
        return min(known) if known else (None, "-")

    ceil = {}
    for w in CEILINGS:
        known = [
            (cells[(w, f)]["min_s"], f) for f in fws if cells.get((w, f), {}).get("status") == "OK"
        ]
        if known:
            ceil[w] = min(known)
    gf = gb = None
    out = [f"threads {data['threads']}, rounds {data['interleave']}, {data['when']}, {use}"]
    if "ceiling_sgemm" in ceil:
        s, f = ceil["ceiling_sgemm"]
        gf = work["ceiling_sgemm"]["flops"] / s
        out.append(f"ceiling: sgemm {gf / 1e9:.0f} GFLOP/s ({f}, fastest call)")
    if "ceiling_triad" in ceil:
        s, f = ceil["ceiling_triad"]
        gb = work["ceiling_triad"]["bytes"] / s
        out.append(f"ceiling: triad {gb / 1e9:.1f} GB/s ({f}, fastest call)")
    for w in CEILINGS:
        per = []
        for f in fws:
            r = cells.get((w, f), {})
            if r.get("status") == "OK":
                k = "bytes" if w == "ceiling_triad" else "flops"
                per.append(
                    f"{f} {work[w][k] / r['median_s'] / 1e9:.1f}"
                    f" (best {work[w][k] / r['min_s'] / 1e9:.1f})"
                )
        if per:
            out.append(f"  {w}, G/s median: " + ", ".join(per))

    def mark(w, f):
        r = cells.get((w, f), {})
        s = r.get("status", "-")
        if s in ("OK", "FLAKY"):
            return (
                si(r[use]).strip()
                + ("?" if s == "FLAKY" else "")
                + ("~" if "others_cores" not in r else "*" if r["others_cores"] > 0.15 else "")
            )
        return {"SKIP": "-", "MISSING": "-", "ERROR": "ERR"}.get(s, s)

    out += ["", "time per call (*: others used more than 0.15 of a core meanwhile; ~: not known):"]
    rows = []
    for w in wls:
        bt, bf = best_of(w, peers)
        roof = max(work[w]["flops"] / gf if gf else 0, work[w]["bytes"] / gb if gb else 0)
        rows.append(
            [w] + [mark(w, f) for f in fws] + [bf, f"{roof / bt:.2f}" if bt and roof else "-"]
        )
    out.append(table(["workload", *fws, "best peer", "of roof"], rows))

    out += [
        "",
        "times the best peer's time (1 = the best peer; a subject below 1 beats all peers):",
    ]
    rows = []
    for w in wls:
        bt, _ = best_of(w, peers)
        rows.append([w] + [f"{t(w, f) / bt:.2f}" if t(w, f) and bt else "-" for f in fws])
    geo = ["geometric mean"]
    for f in fws:
        v = [t(w, f) / best_of(w, peers)[0] for w in wls if t(w, f) and best_of(w, peers)[0]]
        geo.append(f"{statistics.geometric_mean(v):.2f} ({len(v)})" if v else "-")
    out.append(table(["workload", *fws], [*rows, geo]))

    def grid(title, key, fmt, also=None):
        rows = []
        for w in wls:
            row = [w]
            for f in fws:
                r = cells.get((w, f), {})
                row.append(
                    fmt(r[key]) + (f" / {fmt(r[also])}" if also and also in r else "")
                    if key in r
                    else "-"
                )
            rows.append(row)
        out.extend(["", title, table(["workload", *fws], rows)])

    grid(
        "build + compile + first call (s; "
        + (
            "empty caches"
            if data.get("cache") == "fresh"
            else "caches kept between processes, so only partly cold"
        )
        + " / caches from an earlier round):",
        "compile_s",
        lambda x: f"{x:.2f}",
        "compile_warm_s",
    )
    grid("peak resident memory over the inputs (MB):", "peak_rss_mb", lambda x: f"{x:.0f}")
    imp = [
        [
            f,
            min(
                (r["import_s"] for r in data["results"] if r["framework"] == f and "import_s" in r),
                default=None,
            ),
            next(
                (r["version"] for r in data["results"] if r["framework"] == f and r.get("version")),
                "",
            ),
        ]
        for f in fws
    ]
    out += [
        "",
        "import (s):",
        table(
            ["framework", "import", "version"],
            [[f, "-" if s is None else f"{s:.2f}", v] for f, s, v in imp],
        ),
    ]
    bad = [
        [
            r["workload"],
            r["framework"],
            r["status"],
            str(r.get("error", "")).strip().replace("\n", " ")[:160],
        ]
        for r in data["results"]
        if r["status"] not in ("OK", "SKIP", "MISSING")
    ]
    if bad:
        out += ["", "not counted:", table(["workload", "framework", "status", "why"], bad)]
    return "\n".join(out)
