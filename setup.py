"""Builds the engine: one extension module per file of src/zcore."""

import os
import platform
import sys
from pathlib import Path

if sys.platform == "win32":
    sys.exit("pyzq supports Linux and macOS; Windows is not supported.")
if platform.python_implementation() != "CPython":
    sys.exit(f"pyzq needs CPython; {platform.python_implementation()} is not supported.")

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("src/zcore")
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "nonecheck": False,
    "cdivision": True,
    "embedsignature": True,
    "binding": True,
    "freethreading_compatible": True,
}
CFLAGS = ["-O3", "-g", "-fno-strict-aliasing", "-Wall", "-Wno-unused-function"]

extensions = [
    Extension(
        f"zcore.{path.stem}",
        [str(path)],
        include_dirs=[str(CORE)],
        depends=[str(CORE / "platform.h")],
        extra_compile_args=CFLAGS + os.environ.get("PYZQ_CFLAGS", "").split(),
        extra_link_args=["-pthread"] + os.environ.get("PYZQ_LDFLAGS", "").split(),
    )
    for path in sorted(CORE.glob("*.pyx"))
]

setup(ext_modules=cythonize(extensions, compiler_directives=DIRECTIVES, nthreads=int(os.environ.get("PYZQ_JOBS", "0"))))
