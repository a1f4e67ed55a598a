"""Builds an extension against the installed pyzq: python setup.py build_ext --inplace"""

from Cython.Build import cythonize
from setuptools import Extension, setup

import pyzq

# The .pxd files are found where the package is; the C compiler has to be told where its headers are.
extension = Extension("embedded", ["embedded.pyx"], include_dirs=pyzq.get_includes())

if __name__ == "__main__":
    directives = {"language_level": 3, "freethreading_compatible": True}  # what runs without the GIL takes its locks
    setup(ext_modules=cythonize([extension], compiler_directives=directives))
