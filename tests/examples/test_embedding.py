"""The extension in examples/embedding builds against the installed package and exchanges messages with it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

EMBEDDING = Path(__file__).resolve().parent.parent.parent / "examples" / "embedding"


# What ends a wait in the engine: the socket's end, the context's end, a signal.
ENDS = """
import os, signal, threading
import embedded
import pyzq as zmq

class Interrupted(Exception):
    pass

def handler(*_):
    raise Interrupted

def ended(socket):
    try:
        embedded.consume(socket)
    except zmq.ZMQError as error:
        return error.errno

def waiting(socket, end):
    result = []
    thread = threading.Thread(target=lambda: result.append(ended(socket)))
    thread.start()
    end()
    thread.join(30)
    return result

context = zmq.Context()
sink = context.socket(zmq.PULL)
sink.bind("inproc://numbers")
print(waiting(sink, sink.close) == [zmq.ENOTSOCK])
print(ended(sink) == zmq.ENOTSOCK)
sink = context.socket(zmq.PULL)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    embedded.consume(sink)
except Interrupted:
    print(True)
signal.setitimer(signal.ITIMER_REAL, 0)
print(waiting(sink, context.shutdown) == [zmq.ETERM])
try:
    embedded.consume(context)
except TypeError:
    print(True)
sink.close()
context.term()
"""


# What programs written against pyzmq's declarations do, with another name of the package.
CLASSES = """
from pyzq cimport Context, Frame, Socket

def look(Context context, Socket socket, Frame frame):
    cdef Frame received
    socket.send(frame)
    received = socket.recv(copy=False)
    return context.x != NULL and socket.s != NULL and received.size == frame.size and (<char*>received.data)[0]
"""
BUILD = """
import pyzq
from Cython.Build import cythonize
from setuptools import Extension, setup

sources = [Extension("classes", ["classes.pyx"], include_dirs=pyzq.get_includes())]
setup(ext_modules=cythonize(sources, language_level=3, include_path=pyzq.get_includes()))
"""
USE = """
import pyzq, classes

with pyzq.Context() as context, context.socket(pyzq.PAIR) as one, context.socket(pyzq.PAIR) as two:
    one.bind("inproc://look")
    two.connect("inproc://look")
    two.send(b"*answer")
    print(classes.look(context, one, pyzq.Frame(b"request")))
"""


def runner(folder):
    def run(*arguments):
        ended = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=150, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    return run


@pytest.mark.slow
def test_the_classes_can_be_cimported(tmp_path):
    run = runner(tmp_path)
    (tmp_path / "classes.pyx").write_text(CLASSES)
    (tmp_path / "setup.py").write_text(BUILD)
    run("setup.py", "--quiet", "build_ext", "--inplace")
    assert run("-c", USE).split() == [str(ord("*"))]


@pytest.mark.slow
def test_embedding(tmp_path):
    run = runner(tmp_path)
    for name in ("embedded.pyx", "run.py", "setup.py"):
        shutil.copy(EMBEDDING / name, tmp_path)
    run("setup.py", "--quiet", "build_ext", "--inplace")
    assert re.search(r"1000000 messages in .*, their sum is 499999500000", run("run.py"))
    assert run("-c", ENDS).split() == ["True"] * 5
