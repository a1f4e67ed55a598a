"""The documents lead where they say, and nothing the repository says about itself contradicts another part."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the tests run without the sources")


def test_links_and_named_files():
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_docs.py")], capture_output=True, text=True, timeout=50, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("text", ["", "[a](gone.md)", "[a](#gone)", "`tests/gone.py`"])
def test_the_check_itself(text, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import check_docs

    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\n[b](#here) `tools/machine.py`\n\n```\n[c](gone.md)\n```\n\n{text}\n")
    assert len(check_docs.problems(page)) == bool(text)


def test_every_make_target_is_explained():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    explained = set(re.findall(r"make ([\w-]+)", makefile))
    assert set(phony) - {"help", "build"} <= explained


def test_supported_versions_agree():
    """pyproject.toml, the test matrix and the wheels name the same interpreters."""
    project = (ROOT / "pyproject.toml").read_text()
    classifiers = set(re.findall(r"Python :: (3\.\d+)\"", project))
    wheels = re.search(r'^build = "(.*)"$', project, re.MULTILINE)[1]
    workflow = ROOT / ".github" / "workflows" / "test.yml"
    assert {f"3.{minor}" for minor in re.findall(r"cp3(\d+)-", wheels)} == classifiers
    if workflow.exists():  # an sdist has none
        tested = re.search(r"python: \[(.*)\]", workflow.read_text())[1]
        assert set(re.findall(r'"(3\.\d+)"', tested)) == classifiers
        assert '"3.14t"' in tested
        assert "cp314t-*" in wheels
