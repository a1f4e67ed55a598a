"""Running the program `ssh`. A password reaches it through a helper, for it does not read one from a pipe."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Answers questions for a password, and no others: whether to trust an unknown server is not for us to say.
_HELPER = """\
#!/bin/sh
case "$1" in *yes/no*) exit 1;; esac
printf '%s\\n' "$PYZQ_SSH_PASSWORD"
"""
_CHECK_SECONDS = 60
_PID = re.compile(r"pid=(\d+)")


class Failed(Exception):
    """ssh ended with an error; what it said."""


class WrongPassword(Failed):
    """The server let nobody in."""


def _ssh(keyfile: str | None, server: str) -> tuple[list[str], str]:
    """The beginning of a command, and the server without its port."""
    if shutil.which("ssh") is None:
        raise Failed("there is no program `ssh`")
    command = ["ssh"]
    if keyfile:
        command += ["-i", keyfile]
    host, _, port = server.rpartition(":")
    if host and port.isdigit():
        command += ["-p", port]
        server = host
    return command, server


def lets_in(server: str, keyfile: str | None) -> bool:
    """Whether a server lets us in without a password."""
    command, host = _ssh(keyfile, server)
    command += ["-S", "none", "-o", "BatchMode=yes", host, "exit"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_CHECK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


@contextmanager
def _environment(folder: str, password: str | None) -> Iterator[dict[str, str]]:
    env = {name: value for name, value in os.environ.items() if name != "SSH_ASKPASS"}
    if password is None:
        yield env
        return
    helper = os.path.join(folder, "password")
    with open(helper, "w") as file:
        file.write(_HELPER)
    os.chmod(helper, 0o700)
    env.update(SSH_ASKPASS=helper, SSH_ASKPASS_REQUIRE="force", PYZQ_SSH_PASSWORD=password)
    env.setdefault("DISPLAY", ":0")  # without one, older versions ask at the terminal
    yield env


def forward(
    lport: int, rport: int, server: str, remoteip: str, keyfile: str | None, password: str | None, timeout: int
) -> int:
    """Start a tunnel; returns the process id of the ssh in the background, when connections can be made.

    It ends by itself `timeout` seconds later, or when the last connection through it does.

    Raises:
        WrongPassword: the server did not let us in.
        Failed: anything else.
    """
    command, host = _ssh(keyfile, server)
    with tempfile.TemporaryDirectory(prefix="pyzq-ssh") as folder, _environment(folder, password) as env:
        control = os.path.join(folder, "c")
        said = os.path.join(folder, "said")
        options = ["ExitOnForwardFailure=yes", "ControlMaster=yes", "ControlPersist=no", "NumberOfPasswordPrompts=1"]
        if password is None:
            options.append("BatchMode=yes")
        full = [*command, "-f", "-S", control, *(word for option in options for word in ("-o", option))]
        full += ["-L", f"127.0.0.1:{lport}:{remoteip}:{rport}", host, f"sleep {timeout}"]
        # A file, for a pipe would stay open as long as the tunnel.
        with open(said, "wb") as out:
            done = subprocess.run(
                full,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=out,
                start_new_session=True,  # away from the terminal, where ssh would ask otherwise
                check=False,
            )
        if done.returncode:
            with open(said, errors="replace") as file:
                text = file.read().strip()
            kind = WrongPassword if "Permission denied" in text else Failed
            raise kind(text or f"ssh ended with {done.returncode}")
        check = subprocess.run(
            [*command, "-S", control, "-O", "check", host], env=env, capture_output=True, text=True, check=False
        )
        match = _PID.search(check.stdout + check.stderr)
        if match is None:
            raise Failed(f"the tunnel ended at once: {check.stderr.strip()}")
        return int(match[1])


__all__ = ["Failed", "WrongPassword", "forward", "lets_in"]
