"""Programs as processes, on pyzq or on stock pyzmq: what they say, what they have mapped, and that they are gone."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from pyzq._alias import SITE

LIMIT = 60.0  # seconds any single wait may take
SCRIPTS = Path(__file__).resolve().parent / "programs"
PYZQ, STOCK = "pyzq", "stock"
# in the environment of every process of one test, and of what it starts
MARK = "PYZQ_CLIENTS_TEST"
_serial = itertools.count()


def needs(*modules):
    """Skips a file whose program is not installed, and says which part is missing."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("what a process has mapped cannot be read here", allow_module_level=True)
    missing = [name for name in (*modules, "zmq") if not find_spec(name)]
    if missing:
        pytest.skip(f"not installed for this Python: {', '.join(missing)}", allow_module_level=True)


def sides(*names):
    """Every deployment of two parts: all on pyzq, and each part alone on stock pyzmq."""
    found = [(PYZQ, PYZQ), (PYZQ, STOCK), (STOCK, PYZQ)]
    return pytest.mark.parametrize(names, found, ids=["-".join(one) for one in found])


def environment(side):
    """What a process of this side has to find in its environment, when it is not started by `Programs`."""
    return {"PYZQ_AS_ZMQ": "1", "PYTHONPATH": SITE} if side == PYZQ else {"PYZQ_AS_ZMQ": "0", "PYTHONPATH": ""}


def mapped(pid):
    """Which implementations a process has loaded, by the files it has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    found = set()
    if re.search(r"/zcore/\w+\.[\w.-]*so", maps):
        found.add(PYZQ)
    if "libzmq" in maps or "/zmq/backend/" in maps:
        found.add(STOCK)
    return found


def assert_side(pid, side):
    """The process uses this implementation and has not loaded the other."""
    assert mapped(pid) == {side}, psutil.Process(pid).cmdline()


class Program:
    """One process; what it prints is read line by line, and lines of JSON are its events."""

    def __init__(self, side, command, cwd, env):
        self.side = side
        self.command = command
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.pid = self.process.pid
        self.lines = []
        self._read = {}
        self._ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _listen(self):
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def output(self):
        return "\n".join(self.lines)

    def _next(self, wanted, what):
        """Reads on until `wanted(line)` is something, from where the last such search ended."""
        end = time.monotonic() + LIMIT
        with self._more:
            while True:
                for number in range(self._read.get(what, 0), len(self.lines)):
                    self._read[what] = number + 1
                    found = wanted(self.lines[number])
                    if found is not None:
                        return found
                if self._ended or not self._more.wait(end - time.monotonic()):
                    pytest.fail(f"{what} did not come from {self.command}:\n{self.output()}")

    def line(self, pattern):
        """The next line in which the pattern is found, as a match."""
        return self._next(re.compile(pattern).search, f"a line with {pattern!r}")

    def event(self, name):
        """The next event of this name, as a dict; those of other names may come before or after."""

        def wanted(line):
            if not line.startswith('{"event"'):
                return None
            event = json.loads(line)
            return event if event["event"] == name else None

        return self._next(wanted, f"the event {name!r}")

    def say(self, line=""):
        """One line to its standard input."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def assert_side(self):
        assert_side(self.pid, self.side)

    def end(self, status=0, signal=None):
        """Waits for it to end, after a signal if one is given; its whole output. None is any status."""
        if signal is not None:
            self.process.send_signal(signal)
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.command} goes on:\n{self.output()}")
        self._reader.join(LIMIT)
        status = self.process.returncode if status is None else status
        assert self.process.returncode == status, f"{self.process.returncode} from {self.command}:\n{self.output()}"
        return self.output()


class Programs:
    """All programs of one test, in a folder of their own."""

    def __init__(self):
        # short, for ipc addresses lie in it
        self.folder = Path(tempfile.mkdtemp(prefix="zq"))
        self.report = self.folder / "impure"
        self.mark = f"{os.getpid()}-{next(_serial)}"
        self.started = []

    def env(self, **more):
        mine = ("PYTHONPATH", "PYZQ_AS_ZMQ", "PYTHONSTARTUP")
        kept = {name: value for name, value in os.environ.items() if name not in mine and "JUPYTER" not in name}
        folder = str(self.folder)
        kept |= {"HOME": folder, "IPYTHONDIR": f"{folder}/ipython", "JUPYTER_RUNTIME_DIR": f"{folder}/r"}
        kept |= {"JUPYTER_CONFIG_DIR": f"{folder}/c", "JUPYTER_DATA_DIR": f"{folder}/d", "JUPYTER_PLATFORM_DIRS": "1"}
        kept |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        return kept | {MARK: self.mark, "PYZQ_AS_ZMQ_CHECK": str(self.report)} | more

    def run(self, side, *arguments, **env):
        """Starts `python arguments...` on one side; what it starts is on the same one."""
        alias = ["-m", "pyzq.as_zmq"] if side == PYZQ else []
        command = [sys.executable, *alias, *map(str, arguments)]
        program = Program(side, command, self.folder, self.env(**env))
        self.started.append(program)
        return program

    def script(self, side, name, *arguments, **env):
        """Starts a script of the folder `programs`."""
        return self.run(side, SCRIPTS / name, *arguments, **env)

    def living(self):
        """Every process that belongs to the test."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark:
                    found.append(process)
            except psutil.Error:
                pass
        return found

    def assert_pure(self):
        """No process of the test has libzmq mapped."""
        for process in self.living():
            try:
                assert STOCK not in mapped(process.pid), process.cmdline()
            except (OSError, psutil.NoSuchProcess):
                pass  # it ended meanwhile, and wrote a report if it had reason to

    def close(self, failed):
        """Ends what is left; a test that did not fail must have left nothing."""
        try:
            end = time.monotonic() + (0 if failed else 10)
            left = self.living()
            while left and time.monotonic() < end:
                psutil.wait_procs(left, timeout=0.1)
                left = self.living()
            names = [" ".join(process.cmdline()) for process in left if process.is_running()]
            for process in left:
                process.kill()
            psutil.wait_procs(left, timeout=LIMIT)
            for program in self.started:
                program.process.wait(LIMIT)
                program._reader.join(LIMIT)
                program.process.stdin.close()
                program.process.stdout.close()
            if not failed:
                assert not names, f"left behind: {names}"
                assert not self.report.exists(), self.report.read_text()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
