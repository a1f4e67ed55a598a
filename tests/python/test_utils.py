"""Z85, JSON, monitor messages, addresses, versions, capabilities."""

import ctypes
import importlib.util
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyzq
from pyzq.constants import Event
from pyzq.utils import interop, jsonapi, monitor, win32, z85

# RFC 32's own vector
RFC = bytes([0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B])


def test_z85_vector():
    assert z85.encode(RFC) == b"HelloWorld"
    assert z85.decode(b"HelloWorld") == z85.decode("HelloWorld") == RFC
    assert z85.encode(b"") == z85.decode(b"") == b""
    assert z85.encode(b"\xff" * 4) == b"%nSc0"
    assert z85.encode(memoryview(RFC)) == b"HelloWorld"


@given(st.binary(max_size=200).map(lambda data: data[: len(data) // 4 * 4]))
def test_z85_round_trip(data):
    assert z85.decode(z85.encode(data)) == data


@pytest.mark.parametrize("text", [b"abcd", b"abcdef", "Hello~orld", b"\x00" * 5, b"#####", b"%nSc1", "größe"])
def test_z85_refuses(text):
    with pytest.raises(ValueError):
        z85.decode(text)


def test_z85_refuses_other_lengths():
    for size in (1, 2, 3, 5):
        with pytest.raises(ValueError, match="multiple of 4"):
            z85.encode(b"x" * size)
    with pytest.raises(TypeError):
        z85.encode("abcd")


def test_json():
    assert jsonapi.loads(jsonapi.dumps({"a": ["é", 1, None]})) == {"a": ["é", 1, None]}
    assert isinstance(jsonapi.dumps(1), bytes)
    assert jsonapi.loads("[1]") == jsonapi.loads(memoryview(b"[1]")) == [1]
    assert jsonapi.dumps({"b": 1, "a": 2}, sort_keys=True, separators=(",", ":")) == b'{"a":2,"b":1}'


def test_monitor_message():
    head = struct.pack("=HI", Event.CONNECTED, 17)
    assert monitor.parse_monitor_message([head, b"tcp://x:1"]) == {
        "event": Event.CONNECTED,
        "value": 17,
        "endpoint": b"tcp://x:1",
    }
    head = struct.pack("=HI", Event.HANDSHAKE_FAILED_PROTOCOL, Event.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC)
    assert monitor.parse_monitor_message([head, b""])["value"] is Event.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
    for frames in ([], [head], [b"abc", b""], [head, b"", b""]):
        with pytest.raises(RuntimeError):
            monitor.parse_monitor_message(frames)


def test_addresses():
    assert interop.cast_int_addr(17) == 17
    cffi = pytest.importorskip("cffi")
    assert interop.cast_int_addr(cffi.FFI().cast("void*", 4096)) == 4096
    for other in ("17", None, b"x", 1.5, ctypes.c_int(5)):
        with pytest.raises(ValueError, match="Cannot cast"):
            interop.cast_int_addr(other)


def test_allow_interrupt_never_calls():
    called = []
    with win32.allow_interrupt(lambda: called.append(1)):
        pass
    assert called == []


def test_versions():
    assert pyzq.zmq_version() == "4.3.5"
    assert pyzq.zmq_version_info() == (4, 3, 5)
    assert pyzq.pyzmq_version() == "27.3.0"
    assert pyzq.pyzmq_version_info() == (27, 3, 0)
    assert pyzq.__version__ == pyzq.pyzmq_version()
    assert pyzq.sugar.version.VERSION_EXTRA == ""


def test_has():
    assert pyzq.has("ipc")
    assert pyzq.has("draft")
    assert not pyzq.has("pgm")
    assert not pyzq.has("something weird")
    with pytest.raises(TypeError):
        pyzq.has(5)


def test_curve_keys():
    pytest.importorskip("nacl")
    assert pyzq.has("curve") == (importlib.util.find_spec("zcore.curve") is not None)
    public, secret = pyzq.curve_keypair()
    assert len(public) == len(secret) == 40
    assert pyzq.curve_public(secret) == pyzq.curve_public(secret.decode()) == public
    # the pair of the CURVE specification
    assert pyzq.curve_public("D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs") == b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    with pytest.raises(ValueError, match="40"):
        pyzq.curve_public(b"short")
    with pytest.raises(TypeError):
        pyzq.curve_public(5)


def test_stopwatch():
    watch = pyzq.Stopwatch()
    assert watch.stop() == 0
    watch.start()
    first = watch.stop()
    assert isinstance(first, int)
    assert watch.stop() >= first >= 0


def test_folders_exist():
    from pathlib import Path

    for folder in pyzq.get_includes() + pyzq.get_library_dirs():
        assert Path(folder).is_dir()
    assert (Path(pyzq.get_includes()[0]) / "zcore").is_dir()
