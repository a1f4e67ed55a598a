"""Tunnels: by a program `ssh` that is played by a script, and by paramiko to a server made with it."""

import importlib
import os
import signal
import socket
import sys
import threading

import pytest
from support.impl import DEADLINE_MS, ours_only, zmq

from pyzq.ssh import tunnel

pytestmark = ours_only

# Plays ssh: lets in with the right password, or with none for the server `open`; then forwards in the background.
FAKE_SSH = """\
#!{python}
import os, re, select, socket, subprocess, sys, threading, time
words = sys.argv[1:]
with open(os.environ["FAKE_SSH_LOG"], "a") as log:
    print(*words, file=log)
options = [words[k + 1] for k, word in enumerate(words) if word == "-o"]
control = words[words.index("-S") + 1]
if "-O" in words:
    with open(control) as file:
        sys.exit("Master running (pid=%s)" % file.read() if file else 1)
server = [word for word in words if "@" in word or word in ("open", "guarded", "strange", "nowhere")][0]
if server == "nowhere":
    sys.exit("ssh: Could not resolve hostname nowhere")
if server != "open":
    if "BatchMode=yes" in options:
        sys.exit(server + ": Permission denied (publickey,password).")
    prompt = "password: " if server != "strange" else "Are you sure you want to continue connecting (yes/no)? "
    asked = subprocess.run([os.environ["SSH_ASKPASS"], prompt], stdout=subprocess.PIPE, text=True)
    if asked.returncode:
        sys.exit("Host key verification failed.")
    if asked.stdout != "secret\\n":
        sys.exit(server + ": Permission denied (publickey,password).")
if "-L" not in words:
    sys.exit(0)
address, lport, host, rport = words[words.index("-L") + 1].split(":")
listener = socket.create_server((address, int(lport)))
if os.fork():
    os._exit(0)
with open(control, "w") as file:
    file.write(str(os.getpid()))
def pass_on(one):
    other = socket.create_connection((host, int(rport)))
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)
while True:
    one, _ = listener.accept()
    threading.Thread(target=pass_on, args=(one,), daemon=True).start()
"""


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """The words of all calls of `ssh`, as a function; tunnels made with it are ended with the test."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "ssh"
    program.write_text(FAKE_SSH.format(python=sys.executable))
    program.chmod(0o755)
    log = tmp_path / "log"
    log.write_text("")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH_LOG", str(log))
    made = []
    forward = tunnel._openssh.forward

    def kept(*args):
        made.append(forward(*args))
        return made[-1]

    monkeypatch.setattr(tunnel._openssh, "forward", kept)
    yield lambda: [line.split() for line in log.read_text().splitlines()]
    for pid in made:
        os.kill(pid, signal.SIGKILL)


def echoed(world, connect):
    """Whether a REQ that `connect` is given reaches a REP."""
    rep, req = world.socket(zmq.REP), world.socket(zmq.REQ)
    address = world.bind(rep)
    made = connect(req, address)
    req.send(b"q")
    assert rep.recv() == b"q"
    rep.send(b"a")
    assert req.recv() == b"a"
    return made


def test_through_ssh(world, fake_ssh):
    pid = echoed(world, lambda req, address: tunnel.tunnel_connection(req, address, "open", keyfile="key", timeout=30))
    assert pid > 0
    words = fake_ssh()[0]
    assert words[:2] == ["-i", "key"]
    assert words[-2:] == ["sleep", "30"] or words[-1] == "sleep 30"


def test_passwords(world, fake_ssh, monkeypatch):
    echoed(world, lambda req, address: tunnel.tunnel_connection(req, address, "guarded", password="secret"))
    assert not any("secret" in word for words in fake_ssh() for word in words)
    with pytest.raises(tunnel.MaxRetryExceeded):
        tunnel.openssh_tunnel(1, 2, "guarded", password="wrong")
    # asked for when none is given
    answers = ["wrong", "secret"]
    monkeypatch.setattr(tunnel, "getpass", lambda prompt: answers.pop(0))
    echoed(world, lambda req, address: tunnel.tunnel_connection(req, address, "guarded"))
    assert answers == []
    monkeypatch.setattr(tunnel, "getpass", lambda prompt: "wrong")
    with pytest.raises(tunnel.MaxRetryExceeded, match="guarded"):
        tunnel.openssh_tunnel(1, 2, "guarded")


def test_what_goes_wrong(fake_ssh):
    with pytest.raises(tunnel.SSHException, match="nowhere"):
        tunnel.openssh_tunnel(1, 2, "nowhere")
    # whether to trust a server that nobody knows is not answered with a password
    with pytest.raises(tunnel.SSHException, match="Host key"):
        tunnel.openssh_tunnel(1, 2, "strange", password="secret")
    for address in ("ipc:///x", "tcp://host", "tcp://:1", "nonsense"):
        with pytest.raises(ValueError, match="tcp"):
            tunnel.open_tunnel(address, "open")


def test_without_a_password(fake_ssh):
    assert tunnel.try_passwordless_ssh("open", None)
    assert not tunnel.try_passwordless_ssh("guarded", None)
    assert tunnel.try_passwordless_ssh("me@guarded:22", None) is False
    assert fake_ssh()[-1][:2] == ["-p", "22"]


def test_no_ssh(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tunnel.SSHException, match="ssh"):
        tunnel.openssh_tunnel(1, 2, "open")
    with pytest.raises(tunnel.SSHException, match="ssh"):
        tunnel.try_passwordless_ssh("open", None, paramiko=False)


def test_the_helper_leaves_nothing_behind(fake_ssh, monkeypatch, tmp_path):
    import tempfile

    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    tunnel.openssh_tunnel(tunnel.select_random_ports(1)[0], 2, "guarded", password="secret")
    assert os.listdir(folder) == []


def test_ports():
    ports = tunnel.select_random_ports(50)
    assert len(set(ports)) == 50
    for port in ports[:5]:
        socket.create_server(("127.0.0.1", port)).close()


def test_servers():
    assert tunnel._split_server("me@host:2222") == ("me", "host", 2222)
    assert tunnel._split_server("me@host") == ("me", "host", 22)
    assert tunnel._split_server("host:22")[1:] == ("host", 22)


def test_names():
    import pyzq.ssh

    for name in pyzq.ssh.__all__:
        assert getattr(pyzq.ssh, name) is getattr(tunnel, name)
    assert pyzq.ssh.ssh_tunnel is pyzq.ssh.openssh_tunnel


# paramiko

HAS_PARAMIKO = importlib.util.find_spec("paramiko") is not None


class Server:
    """An ssh server on this machine that lets `me` in with `secret` and connects where it is told to."""

    def __init__(self):
        import paramiko

        self.key = paramiko.RSAKey.generate(2048)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.transports = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        import paramiko

        class Rules(paramiko.ServerInterface):
            def check_auth_password(self, username, password):
                good = (username, password) == ("me", "secret")
                return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

            def check_channel_direct_tcpip_request(self, chanid, origin, destination):
                self.destinations[chanid] = destination
                return paramiko.OPEN_SUCCEEDED

        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            rules = Rules()
            rules.destinations = {}
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            self.transports.append(transport)
            try:
                transport.start_server(server=rules)
            except (paramiko.SSHException, EOFError):
                continue
            threading.Thread(target=self._serve, args=(transport, rules), daemon=True).start()

    def _serve(self, transport, rules):
        while (channel := transport.accept(60)) is not None:
            far = socket.create_connection(rules.destinations[channel.get_id()])
            for source, target in ((channel, far), (far, channel)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except (OSError, EOFError):
            pass
        finally:
            source.close()
            target.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for transport in self.transports:
            transport.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.mark.keeps_open  # paramiko's threads
@pytest.mark.skipif(not HAS_PARAMIKO, reason="paramiko is not installed")
@pytest.mark.filterwarnings("ignore:Unknown")
def test_through_paramiko(world, server):
    name = f"me@127.0.0.1:{server.port}"
    process = echoed(
        world,
        lambda req, address: tunnel.tunnel_connection(req, address, name, password="secret", paramiko=True),
    )
    try:
        assert process.is_alive()
        assert process.daemon
    finally:
        process.terminate()
        process.join(DEADLINE_MS / 1000)
    assert not process.is_alive()
    process.close()


@pytest.mark.keeps_open
@pytest.mark.skipif(not HAS_PARAMIKO, reason="paramiko is not installed")
@pytest.mark.filterwarnings("ignore:Unknown")
def test_paramiko_and_a_wrong_password(server):
    with pytest.raises(tunnel.SSHException, match="Authentication"):
        tunnel.paramiko_tunnel(1, 2, f"me@127.0.0.1:{server.port}", password="wrong")
    assert tunnel.try_passwordless_ssh(f"me@127.0.0.1:{server.port}", None, paramiko=True) is False


@pytest.mark.skipif(HAS_PARAMIKO, reason="paramiko is installed")
def test_no_paramiko():
    with pytest.raises(tunnel.SSHException, match="paramiko"):
        tunnel.paramiko_tunnel(1, 2, "open", password="secret")
