"""Socket files: made, found stale, respected when alive, and removed by nobody but their maker."""

import errno
import os
import select
import socket
import stat
import sys
import tempfile

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_ipc_one_of_many_gets_a_stale_path(tmp_path):
    """Eight processes want the same dead path at the same time: one gets it, and the path is that one's."""
    path = str(tmp_path / "s")
    for _ in range(15):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        start, go = os.pipe()
        answers, answer = os.pipe()
        children = []
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                os.close(go)
                os.read(start, 1)
                try:
                    listener = Listener(f"ipc://{path}")
                except OSError as e:
                    os.write(answer, b"n" if e.errno == errno.EADDRINUSE else b"?")
                    os._exit(0)
                os.write(answer, b"y")
                wait_readable(listener)
                _, fd, _ = listener.accept()
                os.write(fd, b"here")
                os._exit(0)
            children.append(pid)
        os.close(start)
        os.close(go)
        said = b""
        while len(said) < 8:
            said += os.read(answers, 8)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(path)
            assert client.recv(4) == b"here"
        for pid in children:
            os.waitpid(pid, 0)
        os.close(answers)
        os.close(answer)
        assert sorted(said) == sorted(b"nnnnnnny")
        assert os.listdir(tmp_path) == ["s"]
        os.unlink(path)


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
        pid = os.fork()
        if pid == 0:
            try:
                os.setuid(65534)
                Listener(f"ipc://{path}")
            except OSError as e:
                os._exit(e.errno)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == errno.EADDRINUSE
        assert os.listdir(shared) == ["s"]
