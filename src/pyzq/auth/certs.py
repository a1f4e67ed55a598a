"""Certificates for CURVE: text files with a public key, and maybe its secret one, as other ZeroMQ libraries write them.

    metadata
        name = "somebody"
    curve
        public-key = "..."
        secret-key = "..."

Source: RFC 4 (ZPL), the file format of czmq's zcert.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from errno import ENOENT
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(r"""^\s*(?P<name>[\w-]+)\s*=\s*(?P<quote>['"]?)(?P<value>.*?)(?P=quote)\s*$""")
_PUBLIC_NOTE = "A public certificate. Pass it on by a way that nobody can tamper with."
_SECRET_NOTE = "A secret certificate: DO NOT give it to anybody, and keep it readable for its owner only."


def _text(note: str, keys: dict[str, bytes], metadata: dict[str, str] | None) -> str:
    now = datetime.now(timezone.utc).isoformat(" ", "seconds")
    lines = [f"#   CURVE keys for ZeroMQ, made on {now}", f"#   {note}", "", "metadata"]
    lines += [f'    {name} = "{value}"' for name, value in (metadata or {}).items()]
    lines += ["curve"]
    lines += [f'    {name} = "{value.decode()}"' for name, value in keys.items()]
    return "\n".join(lines) + "\n"


def create_certificates(
    key_dir: str | os.PathLike[str], name: str, metadata: dict[str, str] | None = None
) -> tuple[str, str]:
    """Make a pair of keys and write two files: the public key alone, and both keys.

    Args:
        key_dir: the folder.
        name: the files are called `name.key` and `name.key_secret`; the second is readable for its owner only. Files
            that are there are replaced.
        metadata: written into both.

    Returns:
        the paths of the two files.

    Raises:
        OSError: a file cannot be written.
        ZMQError: ENOTSUP, PyNaCl is not installed.
    """
    from pyzq.features import curve_keypair

    public, secret = curve_keypair()
    base = os.path.join(key_dir, name)
    public_file, secret_file = f"{base}.key", f"{base}.key_secret"
    Path(public_file).write_text(_text(_PUBLIC_NOTE, {"public-key": public}, metadata), "utf-8")
    # Whatever was there may be readable for others, and stays so when it is written into.
    Path(secret_file).unlink(missing_ok=True)
    descriptor = os.open(secret_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(_text(_SECRET_NOTE, {"public-key": public, "secret-key": secret}, metadata))
    return public_file, secret_file


def _entries(path: str | os.PathLike[str]) -> Iterator[tuple[str, str]]:
    """Names and values of the section `curve`."""
    inside = False
    with open(path, encoding="utf-8") as file:
        for line in file:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if not line[0].isspace():
                inside = line.strip() == "curve"
            elif inside and (match := _LINE.match(line)):
                yield match["name"], match["value"]


def load_certificate(filename: str | os.PathLike[str]) -> tuple[bytes, bytes | None]:
    """The keys in a certificate.

    Returns:
        the public and the secret key, 40 characters of Z85 each; the secret one is None when the file has none.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it has no public key.
    """
    if not os.path.exists(filename):
        raise OSError(ENOENT, f"Invalid certificate file: {os.fspath(filename)}")
    keys = dict(_entries(filename))
    if "public-key" not in keys:
        raise ValueError(f"No public key found in {os.fspath(filename)}")
    secret = keys.get("secret-key")
    return keys["public-key"].encode(), secret.encode() if secret else None


def load_certificates(directory: str | os.PathLike[str] = ".") -> dict[bytes, bool]:
    """The public keys of all certificates (`*.key`) in a folder.

    Returns:
        True for each public key, 40 characters of Z85.

    Raises:
        OSError: there is no such folder, or a file cannot be read.
        ValueError: a file has no public key.
    """
    if not os.path.isdir(directory):
        raise OSError(ENOENT, f"Invalid certificate directory: {os.fspath(directory)}")
    return {load_certificate(path)[0]: True for path in sorted(Path(directory).glob("*.key"))}


__all__ = ["create_certificates", "load_certificate", "load_certificates"]
