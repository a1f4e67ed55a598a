"""What the tests of the poller, the reactor and the resolver share."""

import contextlib
import os
import sys

import pytest

from zcore import selftest_poller as sp

IN, OUT, ERR, HUP, ONESHOT = sp.IN, sp.OUT, sp.ERR, sp.HUP, sp.ONESHOT
MS = 1_000_000
SECOND = 1_000_000_000
LONG = 30 * SECOND  # a wait that is expected to end sooner
FAR = 3600 * SECOND  # a time that never comes
LINUX = sys.platform.startswith("linux")
SANITIZER = os.environ.get("PYZQ_SANITIZER", "")


@contextlib.contextmanager
def raises(number):
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == number


def calls(log, kind):
    """Numbers of the nodes of one kind in the order of their calls."""
    return [index for name, index, *_ in log if name == kind]


def barrier(r):
    """Two turns: whatever was ready is reported by then."""
    r.run()
    r.run()


def wait_asleep(r):
    """Until the reactor has nothing to do: posts of it are then wake-ups."""
    before = r.counters()
    while True:
        barrier(r)
        now = r.counters()
        if now["signals"] > before["signals"]:
            return


def thread_names():
    names = []
    for tid in thread_ids():
        try:
            with open(f"/proc/self/task/{tid}/comm") as f:
                names.append(f.read().strip())
        except OSError:
            pass  # it has ended meanwhile
    return names


def thread_ids():
    return os.listdir("/proc/self/task") if LINUX else []


# ThreadSanitizer loses track of threads that a forked child starts, and ends the child.
no_tsan = pytest.mark.skipif(SANITIZER == "tsan", reason="a forked child starts a thread")


def in_child(check):
    """Runs `check` in a forked child; its truth."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if check() else 2
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def error_of(call):
    try:
        call()
    except OSError as error:
        return error.errno
    return 0
