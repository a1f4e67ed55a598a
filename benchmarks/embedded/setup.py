"""Builds one extension against the installed pyzq: python setup.py SOURCE.pyx FOLDER"""

import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import zcore

if __name__ == "__main__":
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.copy(source, folder)  # the translation is left beside its source
    extension = Extension(
        source.stem,
        [str(folder / source.name)],
        include_dirs=list(zcore.__path__),
        extra_compile_args=["-O2"],
    )
    setup(
        name=source.stem,
        script_args=["--quiet", "build_ext", "--build-lib", str(folder), "--build-temp", str(folder / "temp")],
        ext_modules=cythonize([extension], language_level=3, quiet=True),
    )
