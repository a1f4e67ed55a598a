"""Run pyzmq's own test suite on this package, through the alias, and print the count.

    python tests/conformance                                   # every file
    python tests/conformance --file test_socket -k send --failures
    PYZQ_SUITE_IMPL=zmq python tests/conformance               # on pyzmq itself: the reference

The exit status is 0 when every test that passes on pyzmq (reference.json) and was selected passed, 1 otherwise, 2 when
it could not start.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from suite import EXCLUDED, GOOD, HERE, VERSION, Limits, Runner, fetch

REFERENCE = HERE / "reference.json"
COLUMNS = ("pass", "fail", "skip", "hung", "crash", "total")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", action="append", default=[], help="a test file (test_socket); may be repeated")
    parser.add_argument("-k", help="pytest's -k expression")
    parser.add_argument("--json", help="write everything to this file")
    parser.add_argument("--failures", action="store_true", help="name each test that did not pass, with its message")
    parser.add_argument("--excluded", action="store_true", help="run the excluded files as well")
    parser.add_argument("--cache", type=Path, help="where downloads are kept (.cache/conformance)")
    parser.add_argument("--sdist", help=f"a pyzmq-{VERSION}.tar.gz that is there already")
    parser.add_argument("--keep", help="keep the logs in this folder")
    parser.add_argument("--test-timeout", type=float, default=Limits.test, help="seconds for one test")
    parser.add_argument("--reruns", type=int, default=Limits.reruns, help="how often what failed is run again")
    parser.add_argument("--write-reference", action="store_true", help="renew reference.json (on pyzmq only)")
    parser.add_argument("pytest_args", nargs="*", help="more arguments for pytest (after --)")
    return parser.parse_args()


def environment(implementation, guard):
    path = [str(HERE)]
    made = dict(
        os.environ,
        PYTHONUNBUFFERED="1",
        PYTHONFAULTHANDLER="1",
        PYTHONDONTWRITEBYTECODE="1",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        PYTEST_PLUGINS="pytest_asyncio.plugin",
    )
    if implementation == "pyzq":
        from pyzq._alias import SITE

        path.insert(0, SITE)
        made.update(PYZQ_AS_ZMQ="1", PYZQ_AS_ZMQ_CHECK=str(guard))
    made["PYTHONPATH"] = os.pathsep.join([*path, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))])
    made.pop("ZMQ_TEST_TIMEOUT", None)
    return made


def probe(implementation, env):
    """Versions of what will be tested; ends the program when it cannot be."""
    code = "import pytest, pytest_asyncio, zmq; print(zmq.__name__, zmq.zmq_version(), zmq.__version__)"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    if done.returncode:
        print(f"cannot start (needs pytest, pytest-asyncio and {implementation}):\n{done.stderr[-1500:]}")
        sys.exit(2)
    name, zmq_version, version = done.stdout.split()[-3:]
    if name != implementation:
        print(f"the alias did not take: zmq is {name}, not {implementation}")
        sys.exit(2)
    return zmq_version, version


def short(test):
    return test.split("tests/", 1)[-1]


def row_of(run):
    return [
        run.count(*GOOD),
        run.count("failed"),
        run.count("skipped"),
        run.count("hung", "notrun"),
        run.count("crashed"),
        len(run.results),
    ]


def show(name, row, ok, of, seconds, notes=()):
    numbers = "".join(f"{number:7}" for number in row)
    print(f"{name:22}{numbers}{f'{ok}/{of}':>11}{seconds:7.1f}  {'; '.join(notes)}", flush=True)


def main():
    args = arguments()
    implementation = os.environ.get("PYZQ_SUITE_IMPL") or "pyzq"
    root = fetch((args.cache or HERE.parents[1] / ".cache" / "conformance").resolve(), args.sdist)
    stems = sorted(path.stem for path in (root / "tests").glob("test_*.py"))
    if args.file:
        unknown = [name for name in args.file if Path(name).stem not in stems]
        if unknown:
            sys.exit(f"no such test file: {', '.join(unknown)}")
        stems = [Path(name).stem for name in args.file]
    elif not args.excluded:
        stems = [stem for stem in stems if stem not in EXCLUDED]
    work = Path(args.keep).resolve() if args.keep else Path(tempfile.mkdtemp(prefix="pyzq-suite."))
    work.mkdir(parents=True, exist_ok=True)
    guard = work / "not-purely-pyzq"
    guard.unlink(missing_ok=True)
    env = environment(implementation, guard)
    zmq_version, version = probe(implementation, env)
    print(f"pyzmq {VERSION}'s tests on {implementation} {version}, Python {sys.version.split()[0]}", flush=True)
    reference = json.loads(REFERENCE.read_text())

    extra = (["-k", args.k] if args.k else []) + args.pytest_args
    runner = Runner(root, work, env, Limits(test=args.test_timeout, reruns=args.reruns), extra)
    print(f"{'file':22}" + "".join(f"{name:>7}" for name in COLUMNS) + f"{'ref':>11}{'sec':>7}", flush=True)
    runs, totals, ref_ok, ref_of = [], [0] * len(COLUMNS), 0, 0
    for stem in stems:
        run = runner.run(stem)
        runs.append(run)
        outcomes = {short(test): outcome for test, (outcome, _) in run.results.items()}
        wanted = [test for test in reference["passed"].get(stem, []) if not args.k or test in outcomes]
        ok = sum(outcomes.get(test) in GOOD for test in wanted)
        ref_ok, ref_of = ref_ok + ok, ref_of + len(wanted)
        totals = [a + b for a, b in zip(totals, row_of(run), strict=True)]
        show(stem, row_of(run), ok, len(wanted), run.seconds, run.notes)
        if args.failures:
            for test, (outcome, message) in {**run.flaky, **run.results}.items():
                if outcome not in (*GOOD, "skipped"):
                    label = "flaky" if test in run.flaky else outcome
                    print(f"    {label.upper():8}{short(test)}: {' '.join(message.split())[:200]}", flush=True)
    show("total", totals, ref_ok, ref_of, sum(run.seconds for run in runs))
    print("ref: of the tests that pass on pyzmq, those that passed here; hung includes tests that were not run")
    if guard.exists():
        print(f"processes that were not purely on {implementation}:\n{guard.read_text()}")
        ref_ok = -1
    if args.json:
        Path(args.json).write_text(json.dumps(everything(implementation, version, zmq_version, runs), indent=1))
    if args.write_reference and implementation == "zmq":
        REFERENCE.write_text(json.dumps(as_reference(version, zmq_version, runs), indent=1) + "\n")
    if not args.keep:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if ref_ok == ref_of else 1


def everything(implementation, version, zmq_version, runs):
    return {
        "implementation": implementation,
        "version": version,
        "zmq_version": zmq_version,
        "suite": VERSION,
        "python": sys.version.split()[0],
        "files": {
            run.stem: {
                "seconds": round(run.seconds, 1),
                "notes": run.notes,
                "flaky": sorted(map(short, run.flaky)),
                "tests": {
                    short(test): {"outcome": outcome, "message": message}
                    for test, (outcome, message) in sorted(run.results.items())
                },
            }
            for run in runs
        },
    }


def as_reference(version, zmq_version, runs):
    return {
        "pyzmq": version,
        "zmq_version": zmq_version,
        "python": sys.version.split()[0],
        "passed": {
            run.stem: sorted(short(test) for test, (outcome, _) in run.results.items() if outcome in GOOD)
            for run in runs
        },
        "skipped": {
            run.stem: {
                short(test): message for test, (outcome, message) in sorted(run.results.items()) if outcome == "skipped"
            }
            for run in runs
            if run.count("skipped")
        },
    }


if __name__ == "__main__":
    sys.exit(main())
