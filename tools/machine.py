"""What pyzq needs from a machine before it can be built, checked before anything is downloaded or compiled.

`setup.py` asks `unsupported()` and `cannot_build()`; `make` runs this file, which also asks `no_environment()`.
Each answers with one sentence that says what to do, or None.  Written for any Python 3, so that an old one
gets the sentence and not a syntax error.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig

OLDEST = (3, 10)

# What the engine's own headers include; a compiler without the C library's headers fails here.
PROBE = b"#include <Python.h>\n#include <pthread.h>\n#include <sys/socket.h>\n"


def unsupported():
    """The interpreter or the operating system is one pyzq does not support."""
    if sys.platform == "win32":
        return "pyzq supports Linux and macOS; Windows is not supported."
    if platform.python_implementation() != "CPython":
        return "pyzq needs CPython; {} is not supported.".format(platform.python_implementation())
    if sys.version_info < OLDEST:
        return "pyzq needs Python {}.{} or newer, and {} is {}; choose another with `make PYTHON=python3.12`.".format(
            *OLDEST, sys.executable, platform.python_version()
        )
    return None


def cannot_build():
    """The C compiler, Python's headers or the C library's headers are missing."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        return (
            "pyzq is compiled on this machine and there is no C compiler ({}): "
            "install one (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; "
            "macOS: xcode-select --install).".format(compiler[0])
        )
    include = sysconfig.get_path("include")
    if not os.path.isfile(os.path.join(include, "Python.h")):
        return (
            "pyzq is compiled on this machine and Python's headers are missing ({} has no Python.h): "
            "install them (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel).".format(include)
        )
    probe = subprocess.run(
        [*compiler, "-fsyntax-only", "-I", include, "-I", sysconfig.get_path("platinclude"), "-x", "c", "-"],
        input=PROBE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if probe.returncode != 0:
        lines = probe.stdout.decode(errors="replace").splitlines() or ["it said nothing"]
        reason = next((line for line in lines if "error" in line), lines[-1])
        return "pyzq is compiled on this machine and the C compiler ({}) does not work: {}".format(
            compiler[0], reason.strip()
        )
    return None


def no_environment():
    """Python cannot make a virtual environment with pip in it."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return (
            "{} cannot make a virtual environment (no module named {}): "
            "install it (Debian, Ubuntu: apt install python3-venv).".format(sys.executable, error.name)
        )
    return None


if __name__ == "__main__":
    sys.exit(unsupported() or cannot_build() or no_environment())
