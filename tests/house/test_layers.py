"""The picture of the house, read from its imports: bytes -> frames -> pipes -> peers -> patterns -> Python.

A room may use what stands above it in the list, never below; inside a room nothing may be circular.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "src" / "zcore"
PYTHON = ROOT / "src" / "pyzq"

ROOMS = [
    ("platform", "platform descriptors errors errno_zmq"),
    ("message", "message tracker ring buffer limits keeper"),
    ("zmtp", "zmtp mechanism sodium null plain curve handshake codec codec_events"),
    ("endpoint and options", "endpoint address options option_table option_values option_text"),
    ("subscriptions", "subscriptions radix fantree"),
    ("poller and reactor", "poller poller_table poller_epoll poller_kqueue poller_poll timers reactor resolver"),
    ("pipe", "pipe"),
    ("stream, connection, inproc", "stream lookup socks ipcfile backoff connecter listener connection inproc"),
    ("routing", "routing"),
    ("patterns", "pubsub patterns"),
    ("context", "ctx"),
    (
        "waiting and socket",
        (
            "engine peers thrift traffic watchers waiting lease monitor heartbeat zap readiness sessions opening epts "
            "joining dialling endpoints lifecycle border landing batch context frame patience socket_base accounts "
            "policies polling socket direct promise hub aio"
        ),
    ),
    ("proxy", "proxy"),
]
RANK = {name: index for index, (_, names) in enumerate(ROOMS) for name in names.split()}
TRIALS = re.compile(r"selftest_\w+")  # compiled tests: may use everything, are used by nobody

IMPORT = re.compile(
    r"^[ \t]*(?:"
    r"from[ \t]+(?:zcore)?\.(?P<part>\w+)[ \t]+c?import"  # from .x cimport y, from zcore.x import y
    r"|from[ \t]+(?:zcore|\.)[ \t]+c?import[ \t]+\(?(?P<names>[\w, \t]+)"  # from . cimport x, y
    r"|c?import[ \t]+zcore\.(?P<whole>\w+)"  # cimport zcore.x
    r'|include[ \t]+"(?P<text>\w+)\.px'
    r")",
    re.MULTILINE,
)


def sources(directory, *endings):
    return sorted(path for path in directory.rglob("*") if path.suffix in endings and path.is_file())


def without_strings(text):
    """The text without triple-quoted strings and comments, so that prose about imports is no import."""
    text = re.sub(r'("""|\'\'\').*?\1', '""', text, flags=re.DOTALL)
    return re.sub(r"#.*", "", text)


def arrows():
    """{module: modules it uses} of the core; .pyx, .pxd, .py and .pxi of one name are one module."""
    found = {}
    for path in sources(CORE, ".pyx", ".pxd", ".py", ".pxi"):
        if path.stem == "__init__":
            continue
        used = found.setdefault(path.stem, set())
        for match in IMPORT.finditer(without_strings(path.read_text())):
            names = match["part"] or match["whole"] or match["text"]
            for name in [names] if names else match["names"].replace(",", " ").split():
                if (CORE / f"{name}.pyx").exists() or list(CORE.glob(f"{name}.p*")):
                    used.add(name)
        used.discard(path.stem)
    return found


ARROWS = arrows()


def test_the_parser_sees_imports():
    """A rule that reads nothing would always hold."""
    assert "platform" in ARROWS["message"]
    assert sum(len(used) for used in ARROWS.values()) > 30


@pytest.mark.parametrize("module", sorted(ARROWS))
def test_module_has_a_room_and_looks_up_only(module):
    if TRIALS.fullmatch(module):
        return
    assert module in RANK, f"{module} stands in no room: put it into ROOMS"
    for used in sorted(ARROWS[module]):
        assert not TRIALS.fullmatch(used), f"{module} uses the compiled test {used}"
        assert RANK.get(used, -1) <= RANK[module], (
            f"{module} ({ROOMS[RANK[module]][0]}) uses {used} ({ROOMS[RANK[used]][0]}), which stands below it"
        )


def test_no_circles():
    done, path = set(), []

    def visit(module):
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module in done:
            return
        path.append(module)
        for used in sorted(ARROWS.get(module, ())):
            visit(used)
        path.pop()
        done.add(module)

    for module in sorted(ARROWS):
        visit(module)


def test_the_core_does_not_know_the_python_layer():
    for path in sources(CORE, ".pyx", ".pxd", ".py", ".pxi"):
        assert not re.search(r"^\s*(from|import|cimport)\s+pyzq\b", without_strings(path.read_text()), re.MULTILINE), (
            path
        )


def test_nobody_imports_another_implementation():
    """src works without libzmq and pyzmq."""
    foreign = re.compile(r"^\s*(from|import|cimport)\s+(zmq|pyomq|pynng)\b", re.MULTILINE)
    for path in sources(ROOT / "src", ".pyx", ".pxd", ".py", ".pyi", ".h"):
        assert not foreign.search(without_strings(path.read_text())), path


def test_descriptors_and_clocks_stop_at_the_pipe():
    """What stands above the poller is handed its bytes and its time; it makes no system call."""
    calls = re.compile(r"\b(?:zq_now_ns|clock_gettime|recvmsg|sendmsg|epoll_\w+|accept4?)\s*\(")
    for name, rank in RANK.items():
        if 0 < rank < [room for room, _ in ROOMS].index("poller and reactor"):
            for path in CORE.glob(f"{name}.p*"):
                found = calls.search(without_strings(path.read_text()))
                assert not found, f"{path.name} calls {found.group()}"
