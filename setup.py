"""Builds the engine: one extension module per file of src/zcore.

The environment may say: PYZQ_JOBS (modules built at once), PYZQ_CFLAGS and PYZQ_LDFLAGS (added last),
PYZQ_SANITIZE ("address,undefined" or "thread"), PYZQ_VARIANT (names the build directory of such a build).
"""

import os
import sys
import sysconfig
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
import machine

if refusal := machine.unsupported():
    sys.exit(refusal)

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("src/zcore")
JOBS = int(os.environ.get("PYZQ_JOBS") or 1)
SANITIZE = os.environ.get("PYZQ_SANITIZE", "")
VARIANT = os.environ.get("PYZQ_VARIANT") or SANITIZE.replace(",", "-") or "release"
BUILD = Path("build", VARIANT, sysconfig.get_config_var("SOABI"))
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
LDFLAGS = ["-pthread"]
if SANITIZE:
    # Undefined behaviour traps, so that AddressSanitizer reports it like any other fault.  Copying no bytes from NULL
    # does not count: every C library does nothing then, and the next C standard says so.
    CFLAGS += ["-O1", "-fno-omit-frame-pointer", f"-fsanitize={SANITIZE}"]
    CFLAGS += ["-fsanitize-undefined-trap-on-error", "-fno-sanitize=nonnull-attribute"]
    LDFLAGS += [f"-fsanitize={SANITIZE}"]


class Build(build_ext):
    """Translates and compiles what changed, and forgets what no longer has a source."""

    def finalize_options(self):
        from Cython.Build import cythonize

        if refusal := machine.cannot_build():
            sys.exit(refusal)
        self.distribution.ext_modules[:] = cythonize(
            self.distribution.ext_modules,
            build_dir=str(BUILD),
            compiler_directives=DIRECTIVES,
            nthreads=JOBS if JOBS > 1 else 0,
        )
        super().finalize_options()

    def run(self):
        library = Path(self.build_lib)
        for built in library.rglob("*.*"):
            source = Path("src", built.relative_to(library))
            if built.suffix == ".so":
                source = source.with_name(built.name.split(".")[0] + ".pyx")
            if not source.exists():
                built.unlink()
        super().run()


if __name__ == "__main__":
    setup(
        cmdclass={"build_ext": Build},
        options={"build": {"build_base": str(BUILD)}, "build_ext": {"parallel": JOBS}},
        ext_modules=[
            Extension(
                f"zcore.{path.stem}",
                [str(path)],
                include_dirs=[str(CORE)],
                depends=["setup.py", *sorted(map(str, CORE.glob("*.h")))],
                extra_compile_args=CFLAGS + os.environ.get("PYZQ_CFLAGS", "").split(),
                extra_link_args=LDFLAGS + os.environ.get("PYZQ_LDFLAGS", "").split(),
            )
            for path in sorted(CORE.glob("*.pyx"))
        ],
    )
