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


def rows(page, heading):
    """The cells of the rows of the table below a heading."""
    text = (ROOT / "docs" / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_what_is_said_not_to_be_there_is_not_there():
    """Whoever builds one of these takes it out of the table."""
    import importlib.util

    import pyzq

    absent = " ".join(row[0] for row in rows("differences.md", "Not there"))
    modules = re.findall(r"`zmq\.(\w+)`", absent)
    transports = re.findall(r"`([a-z]+)`", absent)
    assert transports
    for name in modules:
        assert importlib.util.find_spec(f"pyzq.{name}") is None, name
    with pyzq.Context() as context:
        for name in transports:
            assert not pyzq.has(name)
            with context.socket(pyzq.PUB) as made, pytest.raises(pyzq.ZMQError) as caught:
                made.bind(f"{name}://{'1' if name in ('vsock', 'vmci') else '127.0.0.1'}:5555")
            assert caught.value.errno == pyzq.EPROTONOSUPPORT, name
    assert not pyzq.has("gssapi")


def test_every_difference_has_its_test():
    """Or says why it has none; the tests named exist."""
    for heading in ("On the wire", "Endpoints", "Sockets", "Not there"):
        for row in rows("differences.md", heading):
            if row[-1].startswith(("none:", "no test yet")):
                continue
            named = re.findall(r"`(?:tests/)?([\w/]+\.py)?(?:::(\w+))?`", row[-1])
            assert named, row
            path = None
            for file, test in named:
                path = ROOT / "tests" / file if file else path
                assert re.search(rf"^def {test}" if test else "", path.read_text(), re.MULTILINE), (file, test)


def test_the_map_of_the_house_names_every_module():
    """docs/design.md shows the rooms as the layer test holds them."""
    from house.test_layers import ROOMS

    shown = {row[0]: row[1] for row in rows("design.md", "The house")}
    for room, names in ROOMS:
        listed = [re.escape(name).replace(r"\*", ".*") for name in re.findall(r"`([\w*]+)`", shown[room])]
        there = [name for name in names.split() if list((ROOT / "src" / "zcore").glob(f"{name}.*"))]
        for name in there:
            assert any(re.fullmatch(one, name) for one in listed), f"{name} is not in the room {room} of design.md"
        for one in listed:
            assert any(re.fullmatch(one, name) for name in there), f"design.md shows {one} in {room}"
