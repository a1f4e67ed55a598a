"""Socket files: made, found stale, respected when alive, and removed by nobody but their maker."""

import contextlib
import errno
import fcntl
import itertools
import os
import select
import signal
import socket
import stat
import sys
import tempfile
import threading

import pytest

from zcore.selftest_stream import Listener

from .driver import LIMIT, accept, adopt, join, needs_linux, needs_root, refused, talk, wait_readable


def test_ipc_file(listeners, tmp_path):
    path = tmp_path / "socket"
    listener = listeners(f"ipc://{path}")
    assert listener.endpoint == f"ipc://{path}"
    assert stat.S_ISSOCK(path.stat().st_mode)
    ours, theirs, facts = join(listener)
    assert facts["local"] == facts["remote"] == listener.endpoint
    talk(ours, theirs)
    listener.close()
    assert not path.exists()


def test_ipc_mode_is_the_umask(listeners, tmp_path):
    old = os.umask(0o027)
    try:
        listeners(f"ipc://{tmp_path}/s")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o750


def test_ipc_wildcard(listeners, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    first, second = listeners("ipc://*"), listeners("ipc://*")
    assert first.endpoint != second.endpoint
    path = first.endpoint.removeprefix("ipc://")
    assert path.startswith(str(tmp_path)) or len(str(tmp_path)) > 80
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    talk(*join(first)[:2])
    first.close()
    second.close()
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("where", ["/no/such/directory", "relative", "/" + "x" * 120])
def test_ipc_wildcard_without_a_useful_tmpdir(listeners, monkeypatch, where):
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, where)
    assert listeners("ipc://*").endpoint.startswith("ipc:///tmp/")


@needs_linux
def test_ipc_abstract(listeners):
    name = f"ipc://@test-{os.getpid()}"
    listener = listeners(name)
    assert listener.endpoint == name
    assert refused(name) == errno.EADDRINUSE
    talk(*join(listener)[:2])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name.removeprefix("ipc://@"))
        adopt(accept(listener)[1]).close()


def test_ipc_longest_path(listeners, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limit = 107 if sys.platform.startswith("linux") else 103
    listener = listeners("ipc://" + "x" * limit)
    talk(*join(listener)[:2])
    listener.close()
    assert os.listdir(tmp_path) == []


def test_ipc_relative_path_is_removed_from_where_it_was(listeners, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    listener = listeners("ipc://s")
    monkeypatch.chdir(tmp_path / "b")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("s")
        listener.close()
        assert os.listdir(tmp_path / "a") == []
        assert os.listdir(tmp_path / "b") == ["s"]


def test_ipc_stale_file_is_replaced(listeners, tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    listener = listeners(f"ipc://{path}")
    talk(*join(listener)[:2])
    assert os.listdir(tmp_path) == ["s"]
    listener.close()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("listening", [True, False])
def test_ipc_live_file_is_respected(listeners, tmp_path, listening):
    """Nobody is robbed, and the one who lives there is not even disturbed."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        if listening:
            live.listen()
        inode = path.stat().st_ino
        assert refused(f"ipc://{path}") == errno.EADDRINUSE
        assert path.stat().st_ino == inode
        assert os.listdir(tmp_path) == ["s"]
        poll = select.poll()
        poll.register(live, select.POLLIN)
        assert not [event for event in poll.poll(0) if event[1] & select.POLLIN and listening]


def test_ipc_two_listeners(listeners, tmp_path):
    listener = listeners(f"ipc://{tmp_path}/s")
    assert refused(f"ipc://{tmp_path}/s") == errno.EADDRINUSE
    talk(*join(listener)[:2])


def test_ipc_what_is_no_socket_stays(tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    assert refused(f"ipc://{path}") == errno.EADDRINUSE
    assert path.read_text() == "data"
    os.symlink(path, tmp_path / "link")
    assert refused(f"ipc://{tmp_path}/link") == errno.EADDRINUSE
    (tmp_path / "folder").mkdir()
    assert refused(f"ipc://{tmp_path}/folder") == errno.EADDRINUSE
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "precious"]


def test_ipc_only_its_own_file_is_removed(listeners, tmp_path):
    path = tmp_path / "s"
    listener = listeners(f"ipc://{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listener.close()
        assert path.exists()


def test_ipc_closing_twice_and_a_file_already_gone(listeners, tmp_path):
    listener = listeners(f"ipc://{tmp_path}/s")
    (tmp_path / "s").unlink()
    listener.close()
    listener.close()
    assert listener.accept()[0] == "broken"


def test_ipc_abandoned_file_stays(listeners, tmp_path):
    listener = listeners(f"ipc://{tmp_path}/s")
    listener.abandon()
    assert (tmp_path / "s").exists()
    assert listener.fileno() == -1


def forked(job):
    """A child that runs `job` and ends with what it returns, whatever happens; its number."""
    pid = os.fork()
    if pid == 0:
        code = 255
        try:
            signal.alarm(int(LIMIT) * 2)
            code = job()
        finally:
            os._exit(code)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_ipc_one_of_many_gets_a_stale_path(tmp_path):
    """Eight processes want the same dead path at the same time: one gets it, and the path is that one's."""
    path = str(tmp_path / "s")

    def taker():
        os.close(go)
        os.close(stop)
        os.read(start, 1)
        try:
            listener = Listener(f"ipc://{path}")
        except OSError as e:
            os.write(answer, b"n" if e.errno == errno.EADDRINUSE else b"?")
            return 0
        os.write(answer, b"y")
        wait_readable(listener)
        os.write(listener.accept()[1], b"here")
        os.read(end, 1)
        listener.close()
        return 0

    for _ in range(60):  # before takers came one after the other, two of a hundred went wrong
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        (start, go), (answers, answer), (end, stop) = os.pipe(), os.pipe(), os.pipe()
        children = [forked(taker) for _ in range(8)]
        os.close(start)
        os.close(go)
        os.close(answer)
        said = b""
        while len(said) < 8 and (more := os.read(answers, 8)):
            said += more
        try:
            assert sorted(said) == sorted(b"nnnnnnny")
            assert os.listdir(tmp_path) == ["s"]
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(LIMIT)
                client.connect(path)
                assert client.recv(4) == b"here"
        finally:
            for fd in (answers, end, stop):
                os.close(fd)
            codes = [ended(pid) for pid in children]
        assert codes == [0] * 8
        assert os.listdir(tmp_path) == []  # removed by its maker


@needs_linux
def test_ipc_a_lock_on_the_directory_delays_nobody_for_ever(listeners, tmp_path):
    """A program that holds the directory's lock for its own purposes does not keep us from a dead path."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        talk(*join(listeners(f"ipc://{tmp_path}/s"))[:2])
    finally:
        os.close(held)


@needs_linux
def test_ipc_who_lives_there_is_told_of_without_waiting_for_the_lock(listeners, tmp_path):
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as live:
            live.bind(str(tmp_path / "s"))
            fcntl.flock(held, fcntl.LOCK_EX)
            before = os.times().elapsed
            assert refused(f"ipc://{tmp_path}/s") == errno.EADDRINUSE
            assert os.times().elapsed - before < 0.9  # the wait for the lock takes longer
    finally:
        os.close(held)


@needs_linux
def test_ipc_a_forked_child_keeps_no_lock(listeners, tmp_path):
    """Children forked while other threads take stale paths leave the directory free."""
    children, over = [], threading.Event()

    def take():
        while not over.is_set():
            path = tmp_path / f"s{next(numbers)}"
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
            with contextlib.suppress(OSError):  # a child may have the dead socket, which then lives
                Listener(f"ipc://{path}").close()

    def child():
        os.close(stop)
        return len(os.read(end, 1))

    numbers = itertools.count()
    takers = [threading.Thread(target=take) for _ in range(3)]
    for taker in takers:
        taker.start()
    end, stop = os.pipe()
    try:
        children += [forked(child) for _ in range(20)]
        over.set()
        for taker in takers:
            taker.join(LIMIT)
        held = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(held)
    finally:
        over.set()
        os.close(stop)
        os.close(end)
        codes = [ended(pid) for pid in children]
    assert codes == [0] * 20


@needs_root
@needs_linux
def test_ipc_stale_file_in_a_directory_that_may_not_be_read(tmp_path):
    """It can't be locked then, and the dead path is taken all the same."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(hidden / "s"))
    for above in (hidden, *hidden.parents[:-1]):
        if above.stat().st_uid == 0 and above.is_relative_to(tmp_path.parent.parent):
            above.chmod(0o711)
    os.chown(hidden, 65534, -1)
    hidden.chmod(0o300)
    os.chmod(hidden / "s", 0o777)

    def taker():
        os.setuid(65534)
        Listener(f"ipc://{hidden}/s").close()
        return 0

    assert ended(forked(taker)) == 0
    assert os.listdir(hidden) == []


@needs_root
@needs_linux
def test_ipc_stale_file_of_somebody_else_in_a_sticky_directory():
    """What may not be removed is in use."""
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o1777)
        path = f"{shared}/s"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        os.chmod(path, 0o777)

        def taker():
            os.setuid(65534)
            return refused(f"ipc://{path}")

        assert ended(forked(taker)) == errno.EADDRINUSE
        assert os.listdir(shared) == ["s"]
