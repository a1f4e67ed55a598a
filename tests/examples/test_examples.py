"""Every example is a whole program: it ends by itself, successfully, and says what it did.

The programs run in a folder of their own, so that they find the installed package and not the sources beside them.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"

# program -> what its output must say
PROGRAMS = {
    "asyncio_requests": r"5 clients, 500 requests answered",
    "hwm_policies": r"DropOldest\(messages=5\): 15, 16, 17, 18, 19\n(.*\n)+Disconnect\(messages=5\): ",
    "load_balancing": r"worker 0: \d+ jobs, .*worker 3: \d+ jobs",
    "pipeline": r"worker \d: \d+ tasks",
    "publish_subscribe": r"sport: 1000 reports, traffic: 1000 reports, weather: 1000 reports",
    "request_reply": r"5 clients, 1000 requests answered",
    "send_many": r"one call for each message: 200000 .*\none call for many: 200000 ",
}


def run(program: Path, folder: Path, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, str(program), *arguments], cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stderr
    # a traceback of a thread or a warning of the library would be here
    assert ended.stderr == ""
    return ended.stdout


@pytest.mark.parametrize("name", PROGRAMS)
def test_example(name, tmp_path):
    assert re.search(PROGRAMS[name], run(EXAMPLES / f"{name}.py", tmp_path))


def test_every_example_is_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*PROGRAMS, "demo"}


@pytest.mark.slow
def test_demo(tmp_path):
    pytest.importorskip("rich")
    said = run(EXAMPLES / "demo.py", tmp_path, "--no-table")
    for scene, total in ("request-reply", 30_000), ("pipeline", 200_000), ("publish-subscribe", 240_000):
        assert re.search(rf"{scene}.*{total}/{total}", said), said
