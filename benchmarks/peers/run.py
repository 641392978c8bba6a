#!/usr/bin/env python3
"""Time frameworks on the workloads, each pair in a process of its own.

    python run.py --python default=VENV/bin/python --threads 2 --out FILE.json

A framework is a module frameworks/NAME_.py with build(workload, inputs); all
that are there are run unless --frameworks says otherwise.  --python NAME=PATH
picks the interpreter of one framework, default=PATH that of all others
(else $BENCH_PYTHON, else the one running this).  Needs only the standard
library itself.

--subject NAME marks the system under test: it is not counted as a peer, and
every table compares it with the best peer.  --interleave N repeats the
frameworks of each workload N times as A B C A B C, so that drift of the
machine hits all alike; the first round compiles with empty caches, later
rounds find what the first one left (both times are reported).

--sizes others runs every workload at its three further sizes (for a shorter time
each); --hugepages adds the rows of large arrays once more with
GLIBC_TUNABLES=glibc.malloc.hugetlb=1.  Such rows are called NAME:1 to NAME:3
and NAME+hugepages, also by --workloads.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from report import order, report, si  # noqa: E402
from workload import HUGE, WORKLOADS, known, others, parts, place, work  # noqa: E402
from workloads import CEILINGS, ORDER  # noqa: E402


def frameworks_here():
    names = [
        f[:-4]
        for f in os.listdir(os.path.join(HERE, "frameworks"))
        if f.endswith("_.py") and not f.startswith("__")
    ]
    return sorted(names, key=order)


def child_env(threads, cache, huge=False):
    env = dict(os.environ)
    for k in ("OMP", "MKL", "OPENBLAS", "NUMBA", "NUMEXPR", "VECLIB_MAXIMUM", "BLIS", "GOTO"):
        env[k + "_NUM_THREADS"] = str(threads)
    env.update(
        NUMEXPR_MAX_THREADS=str(threads),
        TF_NUM_INTRAOP_THREADS=str(threads),
        TF_NUM_INTEROP_THREADS="1",
        BENCH_THREADS=str(threads),
        TF_CPP_MIN_LOG_LEVEL="3",
        JAX_PLATFORMS="cpu",
        CUDA_VISIBLE_DEVICES="",
        PYTHONHASHSEED="0",
        PYTHONWARNINGS="ignore",
        BENCH_CACHE=cache,
        TORCHINDUCTOR_CACHE_DIR=os.path.join(cache, "inductor"),
        TRITON_CACHE_DIR=os.path.join(cache, "triton"),
        NUMBA_CACHE_DIR=os.path.join(cache, "numba"),
        PYTENSOR_COMPILEDIR=os.path.join(cache, "pytensor"),
    )
    env["XDG_CACHE_HOME"] = os.path.join(cache, "xdg")
    if huge:
        env["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    return env


def run_child(python, fw, wl, args, cache, cpus):
    os.makedirs(cache, exist_ok=True)
    fd, out = tempfile.mkstemp(suffix=".json", dir=args.tmp)
    os.close(fd)
    os.unlink(out)
    _, which, huge = parts(wl)
    cmd = [
        python,
        os.path.join(HERE, "child.py"),
        "--framework",
        fw,
        "--workload",
        wl.removesuffix(HUGE),
        "--min-time",
        str(args.min_time or (0.3 if which else 1.5)),
        "--max-time",
        str(args.max_time or (1.5 if which else 8.0)),
        "--refs",
        args.refs,
        "--out",
        out,
    ]

    def pin():
        os.sched_setaffinity(0, cpus)

    res = dict(framework=fw, workload=wl)
    with open(os.path.join(args.tmp, "stderr.txt"), "w+b") as err:
        t0 = time.monotonic()
        try:
            p = subprocess.Popen(
                cmd,
                env=child_env(args.threads, cache, huge),
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
                preexec_fn=pin,
            )
        except OSError as e:
            return dict(res, status="MISSING", error=str(e))
        try:
            rc = p.wait(timeout=args.timeout)
        except subprocess.TimeoutExpired:
            rc = None
        finally:
            with contextlib.suppress(ProcessLookupError):  # its own session: only what it started
                os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        if os.path.exists(out):
            with open(out) as f:
                res = {**json.load(f), "workload": wl}
            os.unlink(out)
        elif rc is None:
            res.update(status="TIMEOUT", error=f"over {args.timeout} s")
        else:
            err.seek(0)
            res.update(
                status="CRASH", error=f"exit {rc}: " + err.read()[-1500:].decode("utf-8", "replace")
            )
        res["wall_s"] = time.monotonic() - t0
    for k in ("error", "trace"):  # no paths of this machine in results
        if k in res:
            res[k] = re.sub(r"(?<![\w.:/])/(?:[^\s/'\",:]+/)+", "", str(res[k]))
    return res


def busy_cores(seconds=0.5):
    def busy():
        with open("/proc/stat") as f:
            v = [int(x) for x in f.readline().split()[1:9]]
        return (sum(v[:3]) + sum(v[5:8])) / os.sysconf("SC_CLK_TCK")

    a, t = busy(), time.monotonic()
    time.sleep(seconds)
    return (busy() - a) / (time.monotonic() - t)


def wait_quiet(limit):
    """Wait up to `limit` seconds for the rest of the machine to be idle."""
    end = time.monotonic() + limit
    while limit > 0 and busy_cores() > 0.1 and time.monotonic() < end:
        pass


def merge(rounds):
    """One record of a framework on a workload from its rounds."""
    good = [r for r in rounds if r.get("status") in ("OK", "WRONG")]
    if not good:
        return dict(rounds[0], rounds=len(rounds))
    out = dict(good[0])
    if any(r["status"] == "WRONG" for r in good):
        out["status"] = "WRONG"
    elif len(good) < len(rounds):
        out["status"] = "FLAKY"
    out["median_s"] = statistics.median(r["median_s"] for r in good)
    out["min_s"] = min(r["min_s"] for r in good)
    if all("p90_s" in r for r in good):
        out["p90_s"] = max(r["p90_s"] for r in good)
    out["import_s"] = min(r["import_s"] for r in good)
    out["peak_rss_mb"] = max(r["peak_rss_mb"] for r in good)
    if len(good) > 1:
        out["compile_warm_s"] = min(r["compile_s"] for r in good[1:])
    if any("others_cores" in r for r in good):
        out["others_cores"] = max(r.get("others_cores", 0) for r in good)
    out["round_medians_s"] = [r["median_s"] for r in good]
    out["rounds"] = len(rounds)
    return out


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--frameworks", default="", help="comma-separated names")
    ap.add_argument(
        "--workloads", default="", help="comma-separated names, 'ceilings' for the ceilings"
    )
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--interleave", type=int, default=1, metavar="ROUNDS")
    ap.add_argument("--python", action="append", default=[], metavar="NAME=PATH")
    ap.add_argument("--subject", action="append", default=[], metavar="NAME")
    ap.add_argument("--timeout", type=float, default=180)
    ap.add_argument("--min-time", type=float, help="seconds of each row; 1.5, at further sizes .3")
    ap.add_argument("--max-time", type=float, help="8, at further sizes 1.5")
    ap.add_argument("--sizes", default="first", choices=["first", "others", "all"])
    ap.add_argument(
        "--hugepages",
        action="store_true",
        help="rows of large arrays also with GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
    )
    ap.add_argument(
        "--cache",
        default="",
        help="keep the compilers' caches here (default: a fresh one per framework and workload)",
    )
    ap.add_argument(
        "--wait-quiet",
        type=float,
        default=0,
        metavar="S",
        help="before each process wait up to S seconds for the machine to be idle",
    )
    ap.add_argument("--out", default="", help="JSON file to write")
    ap.add_argument(
        "--update",
        action="store_true",
        help="keep what --out already holds, replacing only what is run now",
    )
    ap.add_argument(
        "--report", default="", metavar="JSON", help="only print the tables of an earlier run"
    )
    ap.add_argument("--use", default="median_s", choices=["median_s", "min_s"])
    args = ap.parse_args()
    if args.report:
        with open(args.report) as f:
            print(report(json.load(f), args.use))
        return
    fws = [f for f in args.frameworks.split(",") if f] or frameworks_here()
    wls = []
    for w in args.workloads.split(","):
        wls += CEILINGS if w == "ceilings" else [w] if w else []
    bad = [w for w in wls if not known(w)]
    if bad:
        ap.error("unknown workload: " + ", ".join(bad))
    ceilings = [] if args.sizes == "others" else CEILINGS  # those of the first sizes hold
    wls = expanded(wls or ceilings + ORDER, args.sizes, args.hugepages)
    pythons = dict(p.split("=", 1) for p in args.python)
    default = pythons.pop("default", os.environ.get("BENCH_PYTHON", sys.executable))
    cpus = sorted(os.sched_getaffinity(0))[: args.threads]
    args.tmp = tempfile.mkdtemp(prefix="bench-")
    args.refs = os.environ.get("BENCH_REFS") or os.path.join(args.tmp, "refs")
    os.makedirs(args.refs, exist_ok=True)
    data = dict(
        when=datetime.datetime.now().isoformat(timespec="seconds"),
        threads=args.threads,
        interleave=args.interleave,
        min_time=args.min_time,
        machine=platform.machine(),
        cpu=cpu_name(),
        frameworks=fws,
        workloads=wls,
        subjects=args.subject,
        results=[],
        cache="kept" if args.cache else "fresh",
        loadavg=[os.getloadavg()],
        work={w: work(w) for w in wls},
    )
    if args.update and os.path.exists(args.out):
        with open(args.out) as f:
            data = updated(json.load(f), data)
    try:
        for w in wls:
            rounds = {f: [] for f in fws}
            for _k in range(args.interleave):
                for f in fws:
                    if rounds[f] and rounds[f][0].get("status") not in ("OK", "WRONG"):
                        continue
                    cache = args.cache or os.path.join(
                        args.tmp, "cache", f"{w}-{f}".replace(":", "-")
                    )
                    wait_quiet(args.wait_quiet)
                    r = run_child(pythons.get(f, default), f, w, args, cache, cpus)
                    rounds[f].append(r)
                    told = "" if r["status"] in ("OK", "SKIP") else str(r.get("error", ""))
                    print(
                        f"{w:24s} {f:16s} {r['status']:8s}"
                        f" {si(r.get('median_s')):>9s}  first "
                        f"{si(r.get('compile_s')):>9s}  "
                        f"{told.strip()[-200:]}",
                        file=sys.stderr,
                        flush=True,
                    )
            for f in fws:
                new, old = merge(rounds[f]), None
                for r in list(data["results"]):
                    if (r["workload"], r["framework"]) == (w, f):
                        data["results"].remove(r)
                        old = r
                if args.cache and old and "compile_s" in old and ("compile_s" in new):
                    # its caches were filled: keep what it took without
                    new.setdefault("compile_warm_s", new["compile_s"])
                    new["compile_s"] = old["compile_s"]
                data["results"].append(new)
            if not args.cache:
                shutil.rmtree(os.path.join(args.tmp, "cache"), ignore_errors=True)
            data["loadavg"].append(os.getloadavg())
            if args.out:
                tmp = args.out + ".part"
                with open(tmp, "w") as f:
                    json.dump(data, f, indent=1)
                os.replace(tmp, args.out)
    finally:
        shutil.rmtree(args.tmp, ignore_errors=True)
    print(report(data, args.use))


def updated(old, new):
    """An earlier run's data, with room for what is run now."""
    if old["threads"] != new["threads"]:
        raise SystemExit("--update: the file is of another --threads")
    both = set(old["frameworks"]) | set(new["frameworks"])
    old["frameworks"] = sorted(both, key=order)
    old["workloads"] = sorted({*old["workloads"], *new["workloads"]}, key=place)
    old["subjects"] = sorted({*old["subjects"], *new["subjects"]})
    old.update(when=new["when"], work={**old["work"], **new["work"]}, updated=True)
    return old


def expanded(workloads, which, hugepages):
    """The rows that the options ask for; one named with its size stays as it is."""
    rows = []
    for w in workloads:
        plain = w in ORDER
        if not plain or which != "others":
            rows.append(w)
        if plain and which != "first":
            rows += others(w)
        if hugepages and w in WORKLOADS and WORKLOADS[w].large:
            rows.append(w + HUGE)
    return sorted(set(rows), key=place)


def cpu_name():
    try:
        with open("/proc/cpuinfo") as f:
            return next(ln.split(":", 1)[1].strip() for ln in f if ln.startswith("model name"))
    except (OSError, StopIteration):
        return ""


if __name__ == "__main__":
    main()
