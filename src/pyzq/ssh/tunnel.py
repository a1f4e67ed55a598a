"""Tunnels: a local port whose connections end at a port that an ssh server can reach.

    with context.socket(pyzq.REQ) as socket:
        tunnel_connection(socket, "tcp://10.0.0.5:5555", "somebody@gateway")

They are made by the program `ssh` (openssh), or in a process of this program by the library paramiko.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import socket
from getpass import getpass, getuser
from importlib.util import find_spec
from multiprocessing import Process

from pyzq.ssh import _openssh

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyzq.socket import Socket

_TRIES = 3


class MaxRetryExceeded(Exception):
    """The password was wrong too often."""


class SSHException(Exception):
    """A tunnel cannot be made; the message says why."""


def select_random_ports(n: int) -> list[int]:
    """Ports of this machine that are free now.

    Returns:
        n different ones. They are not kept: another program may take them.

    Raises:
        OSError: there are not that many.
    """
    probes: list[socket.socket] = []
    try:
        for _ in range(n):
            probe = socket.socket()
            probes.append(probe)
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def try_passwordless_ssh(server: str, keyfile: str | None, paramiko: bool | None = None) -> bool:
    """Whether a server lets us in without a password.

    Args:
        server: `user@host:port`; user and port may be left out.
        keyfile: of a private key; None: the default ones.
        paramiko: whether to try by paramiko; None: only when there is no program `ssh`.

    Raises:
        SSHException: there is neither `ssh` nor paramiko.
    """
    if _by_paramiko(paramiko):
        return _try_passwordless_paramiko(server, keyfile)
    return _try_passwordless_openssh(server, keyfile)


def _by_paramiko(paramiko: bool | None) -> bool:
    if paramiko is None:
        return shutil.which("ssh") is None and find_spec("paramiko") is not None
    return paramiko


def _try_passwordless_openssh(server: str, keyfile: str | None) -> bool:
    try:
        return _openssh.lets_in(server, keyfile)
    except _openssh.Failed as error:
        raise SSHException(str(error)) from None


def _try_passwordless_paramiko(server: str, keyfile: str | None) -> bool:
    paramiko = _paramiko()
    try:
        client = _connected(server, keyfile, None)
    except paramiko.AuthenticationException:
        return False
    except paramiko.SSHException as error:
        if "No authentication methods" in str(error):  # there is no key to try
            return False
        raise SSHException(f"{server}: {error}") from None
    client.close()
    return True


def tunnel_connection(
    socket: Socket[Any],
    addr: str,
    server: str,
    keyfile: str | None = None,
    password: str | None = None,
    paramiko: bool | None = None,
    timeout: int = 60,
) -> int | Process:
    """Connect a socket through an ssh server.

    Args:
        socket: the socket.
        addr: the address to connect to, as the ssh server sees it.
        server, keyfile, password, paramiko, timeout: as for `open_tunnel`.

    Returns:
        the tunnel, as `open_tunnel` does.

    Raises:
        SSHException, MaxRetryExceeded, ValueError: see `open_tunnel`.
    """
    address, tunnel = open_tunnel(addr, server, keyfile, password, paramiko, timeout)
    socket.connect(address)
    return tunnel


def open_tunnel(
    addr: str,
    server: str,
    keyfile: str | None = None,
    password: str | None = None,
    paramiko: bool | None = None,
    timeout: int = 60,
) -> tuple[str, int | Process]:
    """Make a tunnel to an address.

    Args:
        addr: a tcp address, as the ssh server sees it: `tcp://10.0.0.5:5555`.
        server: `user@host:port`; user and port may be left out.
        keyfile: of a private key; None: the default ones.
        password: for the server; None: asked for at the terminal if one is needed.
        paramiko: whether to use paramiko; None: only when there is no program `ssh`.
        timeout: seconds after which a tunnel by ssh ends, unless it is in use then.

    Returns:
        the address to connect to instead, and the tunnel: the process id of ssh, or a `multiprocessing.Process`.

    Raises:
        SSHException: the tunnel cannot be made.
        MaxRetryExceeded: the password was wrong too often.
        ValueError: `addr` is no tcp address with a port.
    """
    transport, found, rest = addr.partition("://")
    remoteip, _, rport = rest.rpartition(":")
    if not found or transport != "tcp" or not remoteip or not rport.isdigit():
        raise ValueError(f"cannot make a tunnel to {addr!r}: tcp://host:port is needed")
    lport = select_random_ports(1)[0]
    make = paramiko_tunnel if _by_paramiko(paramiko) else openssh_tunnel
    tunnel = make(lport, int(rport), server, remoteip, keyfile, password, timeout)
    return f"tcp://127.0.0.1:{lport}", tunnel


def openssh_tunnel(
    lport: int,
    rport: int,
    server: str,
    remoteip: str = "127.0.0.1",
    keyfile: str | None = None,
    password: str | None = None,
    timeout: int = 60,
) -> int:
    """Make a tunnel with the program `ssh`, which goes on in the background.

    Args:
        lport: the port of this machine (127.0.0.1).
        rport: the port at the far end.
        server, keyfile, password, timeout: as for `open_tunnel`.
        remoteip: the host at the far end, as the ssh server sees it.

    Returns:
        the process id of ssh.

    Raises:
        SSHException: the tunnel cannot be made.
        MaxRetryExceeded: the password was wrong too often.
    """
    try:
        if password is not None:
            return _openssh.forward(lport, rport, server, remoteip, keyfile, password, timeout)
        try:
            return _openssh.forward(lport, rport, server, remoteip, keyfile, None, timeout)
        except _openssh.WrongPassword:
            pass
        for _ in range(_TRIES):
            try:
                return _openssh.forward(lport, rport, server, remoteip, keyfile, _ask(server), timeout)
            except _openssh.WrongPassword:
                continue
    except _openssh.WrongPassword as error:
        raise MaxRetryExceeded(str(error)) from None
    except _openssh.Failed as error:
        raise SSHException(f"tunnel through {server} failed to start: {error}") from None
    raise MaxRetryExceeded(f"{server}: wrong password {_TRIES} times")


ssh_tunnel = openssh_tunnel


def paramiko_tunnel(
    lport: int,
    rport: int,
    server: str,
    remoteip: str = "127.0.0.1",
    keyfile: str | None = None,
    password: str | None = None,
    timeout: float = 60,
) -> Process:
    """Make a tunnel with paramiko, in a process that ends with this one.

    Args:
        lport: the port of this machine (127.0.0.1).
        rport: the port at the far end.
        server, keyfile, password: as for `open_tunnel`.
        remoteip: the host at the far end, as the ssh server sees it.
        timeout: seconds that making it may take.

    Returns:
        the process.

    Raises:
        SSHException: the tunnel cannot be made.
    """
    if password is None and not _try_passwordless_paramiko(server, keyfile):
        password = _ask(server)
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours:
        arguments = (lport, rport, server, remoteip, keyfile, password, theirs)
        process = Process(target=_paramiko_tunnel, args=arguments, daemon=True)
        process.start()
        theirs.close()
        try:
            error = ours.recv() if ours.poll(timeout) else f"no connection within {timeout} s"
        except EOFError:
            error = "its process ended"
    if error is not None:
        process.terminate()
        process.join()
        process.close()
        raise SSHException(f"tunnel through {server} failed to start: {error}")
    return process


def _paramiko_tunnel(
    lport: int,
    rport: int,
    server: str,
    remoteip: str,
    keyfile: str | None,
    password: str | None,
    answer: Any,
) -> None:
    """What the process of a tunnel does. `answer` gets None when the tunnel is made, else why it is not."""
    from pyzq.ssh.forward import forward_tunnel

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this process with itself
    try:
        client = _connected(server, keyfile, password)
        forward_tunnel(lport, remoteip, rport, client.get_transport(), ready=lambda: answer.send(None))
    except Exception as error:
        answer.send(f"{type(error).__name__}: {error}")


def _paramiko() -> Any:
    try:
        import paramiko  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise SSHException("paramiko is not installed: pip install paramiko") from None
    return paramiko


def _connected(server: str, keyfile: str | None, password: str | None) -> Any:
    paramiko = _paramiko()
    user, host, port = _split_server(server)
    client = paramiko.SSHClient()
    client.load_system_host_keys()
    client.set_missing_host_key_policy(paramiko.WarningPolicy())
    try:
        client.connect(
            host, port, username=user, key_filename=keyfile, look_for_keys=password is None, password=password
        )
    except BaseException:
        client.close()
        raise
    return client


def _split_server(server: str) -> tuple[str, str, int]:
    user, at, host = server.rpartition("@")
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        return (user if at else getuser()), name, int(port)
    return (user if at else getuser()), host, 22


def _ask(server: str) -> str:
    return getpass(f"{server}'s password: ")


__all__ = [
    "MaxRetryExceeded",
    "SSHException",
    "open_tunnel",
    "openssh_tunnel",
    "paramiko_tunnel",
    "select_random_ports",
    "ssh_tunnel",
    "try_passwordless_ssh",
    "tunnel_connection",
]
