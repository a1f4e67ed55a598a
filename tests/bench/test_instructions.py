"""Instruction counts: reading callgrind's file, absence of valgrind, and a count that repeats."""

import shutil

import pytest

from benchmarks import instructions
from benchmarks.__main__ import main

FILE = """\
# callgrind format
events: Ir
summary: 1300

ob=(1) /usr/lib/libone.so
fl=(1) one.c
fn=(10) outer
12 100
+3 50
cfn=(11) inner
calls=5 20
15 1000
-1 50

fn=(11)
20 1000
* 100
"""


def test_a_callee_s_instructions_are_not_its_caller_s():
    assert instructions.parse(FILE) == (1300, {"outer": 200, "inner": 1100})


def test_without_valgrind_one_sentence_says_so(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert main(["instructions", "--impl", "pyzmq"]) == 3
    assert "need valgrind, which is not installed" in capsys.readouterr().err


def test_an_unknown_case_is_refused(capsys):
    assert main(["instructions", "--cases", "nonsense"]) == 2
    assert "no case is called nonsense" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_a_count_repeats():
    pytest.importorskip("zmq")
    first, second = (instructions.count("pyzmq", "pub-alone").per_operation for _ in range(2))
    assert first > 100
    assert second == pytest.approx(first, rel=0.03)
