"""One (framework, workload) measurement in this process; JSON to --out.

Started by run.py, which sets the threads, the CPU affinity and the caches.
"""

import argparse
import gc
import hashlib
import importlib
import json
import os
import resource
import statistics
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


def status_kb(field):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def machine_busy():
    """CPU seconds spent by everything on this machine, and stolen from it."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    hz = os.sysconf("SC_CLK_TCK")
    return (v[0] + v[1] + v[2] + v[5] + v[6]) / hz, v[7] / hz


def own_cpu():
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def reset_peak():
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        return True
    except OSError:
        return False


def reference(answers, name, inputs, cache):
    """The float64 reference, kept on disk between processes."""
    import numpy as np

    tag = hashlib.sha1(repr(sorted(answers.SIZE[name].items())).encode())
    for f in ("workloads.py", "array_problems.py", "model_problems.py", "tape.py"):
        with open(os.path.join(HERE, f), "rb") as fh:
            tag.update(fh.read())
    path = os.path.join(cache, f"ref-{name}-{tag.hexdigest()[:10]}.npz") if cache else None
    if path and os.path.exists(path):
        with np.load(path) as z:
            return {k: z[k] for k in z.files}
    ref = answers.reference(name, inputs)
    if path:
        tmp = f"{path}.{os.getpid()}.npz"
        np.savez(tmp, **ref)
        os.replace(tmp, path)
    return ref


def sample(call, min_time, max_time, min_samples=5):
    """Seconds per call: one number per sample of >= ~200 microseconds."""
    clock = time.perf_counter
    t0 = clock()
    call()
    one = clock() - t0
    n = 1
    while one * n < 2e-4 and n < 100_000:
        n *= 2
    # warm-up: ~20 % of the time, at least two more calls
    end = clock() + min(0.2 * min_time, max_time / 4)
    k = 0
    while k < 2 or clock() < end:
        call()
        k += 1
        if k >= 1 and one > max_time / 4:
            break
    t0 = clock()
    for _ in range(n):
        call()
    one = (clock() - t0) / n
    n = 1
    while one * n < 2e-4:
        n *= 2
    out, start = [], clock()
    while True:
        t0 = clock()
        if n == 1:
            call()
        else:
            for _ in range(n):
                call()
        t1 = clock()
        out.append((t1 - t0) / n)
        spent = t1 - start
        if spent >= max_time or (spent >= min_time and len(out) >= min_samples):
            return out, n


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--framework", required=True)
    ap.add_argument("--workload", required=True)
    ap.add_argument("--min-time", type=float, default=1.5)
    ap.add_argument("--max-time", type=float, default=8.0)
    ap.add_argument("--refs", default="")
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    res = dict(framework=a.framework, workload=a.workload, status="ERROR")

    def save():
        with open(a.out, "w") as f:
            json.dump(res, f)

    try:
        measure(a, res)
    except BaseException as e:
        if type(e).__name__ == "NotSupported":
            res.update(status="SKIP", error=str(e))
        elif isinstance(e, ImportError) and "import_s" not in res:
            res.update(status="MISSING", error=str(e))
        else:
            res.update(
                status="ERROR",
                error=f"{type(e).__name__}: {e}"[:2000],
                trace=traceback.format_exc()[-4000:],
            )
    save()
    sys.stdout.flush()
    os._exit(0)  # some runtimes hang or abort while shutting down


def measure(a, res):
    clock = time.perf_counter
    t0 = clock()
    mod = importlib.import_module(f"frameworks.{a.framework}_")
    res["import_s"] = clock() - t0
    res["version"] = str(getattr(mod, "VERSION", ""))
    import answers  # after the framework: it may want to be the first to load numpy
    from workload import WORKLOADS, choose

    name = choose(a.workload)
    w = WORKLOADS[name]
    inputs = answers.make(name)
    gc.collect()
    reset_peak()
    rss0 = status_kb("VmRSS")
    cpu0 = resource.getrusage(resource.RUSAGE_SELF)
    kid0 = resource.getrusage(resource.RUSAGE_CHILDREN)
    t0 = clock()
    b = mod.build(name, inputs)
    t1 = clock()
    b.call()
    t2 = clock()
    res["build_s"], res["first_call_s"] = t1 - t0, t2 - t1
    res["compile_s"] = t2 - t0
    cpu1 = resource.getrusage(resource.RUSAGE_SELF)
    kid1 = resource.getrusage(resource.RUSAGE_CHILDREN)
    res["compile_cpu_s"] = (
        cpu1.ru_utime
        + cpu1.ru_stime
        - cpu0.ru_utime
        - cpu0.ru_stime
        + kid1.ru_utime
        + kid1.ru_stime
        - kid0.ru_utime
        - kid0.ru_stime
    )
    for _ in range(w.calls - 1):
        b.call()
    res["peak_rss_mb"] = (status_kb("VmHWM") - rss0) / 1024
    out = b.result()
    ref = reference(answers, name, inputs, a.refs)
    wrong = answers.wrong(name, out, ref, inputs)
    del out, ref
    gc.collect()
    res["status"] = "WRONG" if wrong else "OK"
    if wrong:
        res["error"] = wrong
    busy0, own0, wall0 = machine_busy(), own_cpu(), clock()
    if w.once:
        out = []
        end = clock() + a.max_time
        while len(out) < 3 and clock() < end:
            t0 = clock()
            b.call()
            out.append(clock() - t0)
        times, n = (out or [res["compile_s"]]), 1
    else:
        times, n = sample(b.call, a.min_time, a.max_time)
    busy1, own, wall = machine_busy(), own_cpu() - own0, clock() - wall0
    if wall > 0.3:
        # cores that others used, and that the hypervisor took, meanwhile
        res["others_cores"] = max(0.0, (busy1[0] - busy0[0] - own) / wall)
        res["stolen_cores"] = (busy1[1] - busy0[1]) / wall
        res["own_cores"] = own / wall
    told = b.facts()  # after the clock has stopped: it may take some time
    if told:
        res["facts"] = told
    ts = sorted(times)
    res.update(
        median_s=statistics.median(ts),
        min_s=ts[0],
        p90_s=ts[min(len(ts) - 1, int(0.9 * len(ts)))],
        samples=len(ts),
        calls_per_sample=n,
    )


if __name__ == "__main__":
    main()
