"""pyzmq's test suite: taken from its source release on PyPI, and run one process a file."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "27.3.0"
GOOD = ("passed", "xfailed", "xpassed")
BAD = ("failed", "hung", "crashed")

# Files that say nothing about another implementation.
EXCLUDED = {
    "test_cffi_backend": "pyzmq's other backend",
    "test_cython": "compiles an extension against pyzmq's declarations and libzmq's headers",
    "test_includes": "the headers that pyzmq ships",
    "test_mypy": "runs mypy over pyzmq's sources",
    "test_win32_shim": "Windows only",
    "test_draft": "skipped unless libzmq was built with drafts",
}

SETTINGS = """\
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider
pythonpath = tests
testpaths = tests
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    large: these tests use a lot of memory
    new_console: these tests create a new console
    wheel: these tests are for installs from a wheel, not dev-installs
"""


def fetch(cache, sdist=None):
    """The folder with the tests, downloaded by pip once. Nothing of the release is built or installed.

    Args:
        cache: where to keep it.
        sdist: a release that is there already.
    """
    root = cache / f"pyzmq-{VERSION}"
    if not (root / "tests" / "test_socket.py").exists():
        root.mkdir(parents=True, exist_ok=True)
        archive = Path(sdist) if sdist else root / f"pyzmq-{VERSION}.tar.gz"
        if not archive.exists():
            # pip reads the release's metadata, for which it puts the build tools into a throw-away environment
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "pyzmq"]
            command += ["-d", str(root), f"pyzmq=={VERSION}"]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            if not archive.exists():
                sys.exit(f"cannot download pyzmq {VERSION} (give --sdist FILE):\n{done.stdout[-2000:]}")
        unpack(archive, root)
    (root / "pytest.ini").write_text(SETTINGS)
    return root


def unpack(archive, root):
    prefix = f"pyzmq-{VERSION}/tests/"
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if member.isfile() and member.name.startswith(prefix) and ".." not in member.name:
                target = root / "tests" / member.name[len(prefix) :]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())


@dataclass
class Limits:
    test: float = 75  # seconds
    file: float = 600
    exit: float = 20  # from the last test to the end of the process
    restarts: int = 25  # processes for one file after hangs and crashes
    reruns: int = 2  # of what failed, for some of these tests race on a busy machine
    rerun_at_most: int = 12  # unless more than so many failed


@dataclass
class FileRun:
    """The outcome of one file."""

    stem: str
    results: dict = field(default_factory=dict)  # test -> [outcome, message]
    flaky: dict = field(default_factory=dict)  # what passed only when run again
    notes: list = field(default_factory=list)
    seconds: float = 0

    def count(self, *outcomes):
        return sum(outcome in outcomes for outcome, _ in self.results.values())


class Runner:
    """Runs files of the suite.

    Args:
        root: what `fetch` returned.
        work: a folder for logs.
        environment: of the processes.
        extra: further arguments for pytest.
    """

    def __init__(self, root, work, environment, limits, extra=()):
        self.root = root
        self.work = work
        self.environment = environment
        self.limits = limits
        self.extra = list(extra)

    def run(self, stem):
        run = FileRun(stem)
        began = time.monotonic()
        deadline = began + self.limits.file
        self._rest(run, deadline, "")
        for again in range(self.limits.reruns):
            bad = {
                test: result
                for test, result in run.results.items()
                if result[0] in BAD and not test.endswith("(collection)")
            }
            if not bad or len(bad) > self.limits.rerun_at_most or time.monotonic() > deadline:
                break
            for test in bad:
                del run.results[test]
            self._rest(run, deadline, f"again{again}.")
            for test, result in bad.items():
                now = run.results.get(test)
                if now is None or now[0] == "notrun":
                    run.results[test] = result
                elif now[0] not in BAD:
                    run.flaky.setdefault(test, result)
        run.seconds = time.monotonic() - began
        if run.flaky:
            run.notes.append(f"{len(run.flaky)} passed only when run again")
        return run

    def _rest(self, run, deadline, tag):
        """Run the tests of a file that have no result yet."""
        tests = None
        for attempt in range(1 + self.limits.restarts):
            process = _Process(self, run, f"{run.stem}.{tag}{attempt}")
            verdict = process.watch(deadline)
            tests = tests or process.tests
            if process.finished:
                if verdict == "hang at exit":
                    run.notes.append("process hung at exit")
                elif process.status and process.status < 0:
                    run.notes.append(f"process died at exit (signal {-process.status})")
                break
            if process.current is not None:
                run.results[process.current] = {
                    "hung": ["hung", f"no end after {self.limits.test:.0f} s"],
                    "file timeout": ["hung", f"the file's {self.limits.file:.0f} s ran out"],
                }.get(verdict, ["crashed", f"process ended with {process.status} inside the test"])
            elif tests is None:
                outcome = "failed" if verdict == "exited" else "hung"
                tail = process.log.read_text(errors="replace")[-600:]
                run.results[f"{run.stem}.py::(collection)"] = [
                    outcome,
                    f"{verdict}, status {process.status}: {tail}",
                ]
                break
            else:
                run.notes.append(f"process ended between tests ({verdict}, status {process.status})")
            if verdict == "file timeout":
                break
        for test in tests or []:
            run.results.setdefault(test, ["notrun", "the file's time or restarts ran out"])


class _Process:
    """One process that runs (the rest of) a file, and what it reports."""

    def __init__(self, runner, run, name):
        self.run = run
        self.limits = runner.limits
        self.report = runner.work / f"{name}.jsonl"
        self.log = runner.work / f"{name}.log"
        skip = runner.work / f"{run.stem}.skip.json"
        skip.write_text(json.dumps(sorted(run.results)))
        command = [sys.executable, "-m", "pytest", "-c", str(runner.root / "pytest.ini"), "--rootdir"]
        command += [str(runner.root), "-q", "-p", "report_plugin", "--tb=short", *runner.extra]
        command += [str(runner.root / "tests" / f"{run.stem}.py")]
        environment = dict(runner.environment, PYZQ_SUITE_REPORT=str(self.report), PYZQ_SUITE_SKIP=str(skip))
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                cwd=runner.work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.tests = None
        self.current = None
        self.finished = False
        self.since = time.monotonic()
        self._read = 0
        self._pending = b""

    @property
    def status(self):
        return self.process.returncode

    def watch(self, deadline):
        """Wait for the end, or bring it about: "exited", "hang at exit", "hung" or "file timeout"."""
        verdict = None
        while verdict is None:
            alive = self.process.poll() is None
            self._look()
            now = time.monotonic()
            if not alive:
                verdict = "exited"
            elif self.finished and now - self.since > self.limits.exit:
                verdict = "hang at exit"
            elif not self.finished and now - self.since > self.limits.test:
                verdict = "hung"
            elif now > deadline:
                verdict = "file timeout"
            else:
                time.sleep(0.05)
        if verdict != "exited":
            self._signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)  # and whatever the tests left running beside it
        self.process.wait()
        return verdict

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _look(self):
        if not self.report.exists():
            return
        with self.report.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def _hear(self, event):
        kind = event["event"]
        self.since = time.monotonic()
        if kind == "collected":
            self.tests = event["tests"]
        elif kind == "collect_error":
            self.run.results[f"{event['test']}::(collection)"] = ["failed", event["message"][-600:]]
        elif kind == "start":
            self.current = event["test"]
        elif kind == "done":
            self.run.results[event["test"]] = [event["outcome"], event["message"]]
            self.current = None
        elif kind == "finish":
            self.finished = True
