"""Framing of ZMTP 1.0, 2.0 and 3.x: any split, any size, no trust in what a header announces."""

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcore.codec import (
    Command,
    Frame,
    FrameDecoder,
    LocalProtocolError,
    MalformedCommand,
    RemoteProtocolError,
    encode_command,
    encode_frame,
)

VERSIONS = [(1, 0), (2, 0), (3, 0), (3, 1)]
SIZES = [0, 1, 2, 252, 253, 254, 255, 256, 257, 65535, 65536]


def decode(data, version=3, max_size=-1):
    return FrameDecoder(version, max_size).receive_data(data)


@pytest.mark.parametrize(
    ("version", "wire", "flags"),
    [
        (3, golden.HI, 0),
        (3, golden.HI_LONG, 2),
        (3, golden.HI_RESERVED_BITS, 0xF8),
        (2, golden.HI, 0),
        (2, golden.HI_LONG, 2),
        (1, golden.HI_1_0, 0),
        (1, b"\xff" + (3).to_bytes(8, "big") + b"\x00hi", 0),
    ],
)
def test_reads_every_spelling_of_a_small_frame(version, wire, flags):
    assert decode(wire, version) == [Frame(b"hi", False, flags)]


def test_reads_the_envelopes_of_req_and_the_probe():
    assert [(f.body, f.more) for f in decode(golden.REQ_Q)] == [(b"", True), (b"q", False)]
    assert [(f.body, f.more) for f in decode(golden.REQ_Q_CORRELATED)] == [
        (b"\x00\x00\x00\x07", True),
        (b"", True),
        (b"q", False),
    ]
    assert decode(golden.PROBE) == [Frame(b"", False, 0)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("more", [False, True])
def test_round_trip_at_the_edges_of_every_length_field(version, size, more):
    body = bytes(size)
    wire = encode_frame(body, more=more, version=version)
    (frame,) = decode(wire, version)
    assert (frame.body, frame.more) == (body, more)


@pytest.mark.parametrize(
    ("size", "version", "header"),
    [
        (255, 3, b"\x00\xff"),
        (256, 3, b"\x02" + (256).to_bytes(8, "big")),
        (255, 2, b"\x00\xff"),
        (253, 1, b"\xfe\x00"),
        (254, 1, b"\xff" + (255).to_bytes(8, "big") + b"\x00"),
    ],
)
def test_headers_grow_exactly_where_the_rfcs_say(size, version, header):
    assert encode_frame(bytes(size), version=version) == header + bytes(size)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_split_gives_the_same_frames(version):
    wire = b"".join(
        encode_frame(body, more=more, version=version)
        for body, more in [(b"", True), (b"a", True), (bytes(range(256)) * 2, False), (b"end", False)]
    )
    whole = decode(wire, version)
    for cut in range(len(wire) + 1):
        decoder = FrameDecoder(version)
        assert decoder.receive_data(wire[:cut]) + decoder.receive_data(wire[cut:]) == whole
        assert decoder.pending == 0
    decoder = FrameDecoder(version)
    assert [e for i in range(len(wire)) for e in decoder.receive_data(wire[i : i + 1])] == whole


@pytest.mark.parametrize("version", VERSIONS)
def test_truncated_at_every_byte_yields_nothing_and_eof_says_so(version):
    wire = encode_frame(b"x" * 300, version=version)
    for cut in range(1, len(wire)):
        decoder = FrameDecoder(version)
        assert decoder.receive_data(wire[:cut]) == []
        assert decoder.pending == cut
        with pytest.raises(RemoteProtocolError):
            decoder.receive_eof()
    FrameDecoder(version).receive_eof()


def test_eof_between_the_frames_of_a_message_is_a_fault_and_after_the_last_is_not():
    decoder = FrameDecoder()
    decoder.receive_data(encode_frame(b"a", more=True))
    with pytest.raises(RemoteProtocolError):
        decoder.receive_eof()
    decoder = FrameDecoder()
    decoder.receive_data(encode_frame(b"a", more=True) + encode_frame(b"b"))
    decoder.receive_eof()


@pytest.mark.parametrize("version", [2, 3])
def test_a_size_of_2_to_the_63_is_refused_with_the_first_byte_that_shows_it(version):
    for size in (1 << 63, (1 << 64) - 1):
        wire = b"\x02" + size.to_bytes(8, "big")
        with pytest.raises(RemoteProtocolError):
            decode(wire, version)
        with pytest.raises(RemoteProtocolError):
            decode(wire[:2], version)


def test_a_size_just_below_costs_nothing_before_its_bytes_come():
    decoder = FrameDecoder()
    assert decoder.receive_data(b"\x02" + ((1 << 63) - 1).to_bytes(8, "big") + b"abc") == []
    assert decoder.pending == 12


@pytest.mark.parametrize(
    "wire", [b"\x00", b"\xff" + bytes(8), b"\xff\x80", b"\xff" + ((1 << 64) - 1).to_bytes(8, "big")]
)
def test_zmtp_1_0_refuses_lengths_of_zero_and_above_2_to_the_63(wire):
    with pytest.raises(RemoteProtocolError):
        decode(wire, 1)


@pytest.mark.parametrize("version", VERSIONS)
def test_max_size_is_judged_on_the_header(version):
    at_limit = encode_frame(bytes(1000), version=version)
    assert len(decode(at_limit, version, max_size=1000)) == 1
    header = encode_frame(bytes(1001), version=version)[:-1001]
    with pytest.raises(RemoteProtocolError):
        decode(header, version, max_size=1000)
    with pytest.raises(RemoteProtocolError):
        decode(encode_frame(b"x", version=version), version, max_size=0)
    assert len(decode(encode_frame(b"", version=version), version, max_size=0)) == 1


def test_a_fault_hands_over_what_came_before_and_ends_the_decoder():
    decoder = FrameDecoder(max_size=10)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_data(golden.HI + b"\x00\x0b")
    assert caught.value.events == [Frame(b"hi", False, 0)]
    assert caught.value.code is None
    with pytest.raises(RemoteProtocolError) as again:
        decoder.receive_data(golden.HI)
    assert again.value.events == []
    with pytest.raises(RemoteProtocolError):
        decoder.receive_eof()


def test_reserved_bits_are_ignored_and_counted():
    decoder = FrameDecoder(3)
    decoder.receive_data(golden.HI_RESERVED_BITS + golden.HI)
    assert decoder.reserved_bits == 1
    # bit 2 means nothing before 3.0
    old = FrameDecoder(2)
    assert old.receive_data(b"\x04\x02hi") == [Frame(b"hi", False, 4)]
    assert old.reserved_bits == 1
    oldest = FrameDecoder(1)
    assert oldest.receive_data(b"\x03\x7fhi") == [Frame(b"hi", True, 0x7F)]
    assert oldest.reserved_bits == 1


def test_local_misuse_is_told_apart():
    with pytest.raises(LocalProtocolError):
        encode_frame(b"", more=True, is_command=True)
    with pytest.raises(LocalProtocolError):
        encode_frame(b"", is_command=True, version=2)
    for version in (0, 4, (2, 1), "3", None):
        with pytest.raises(LocalProtocolError):
            FrameDecoder(version)
    for size in (-2, 1 << 63):
        with pytest.raises(LocalProtocolError):
            FrameDecoder(max_size=size)
    with pytest.raises(TypeError):
        encode_frame("text")
    with pytest.raises(TypeError):
        FrameDecoder().receive_data("text")


def test_takes_any_buffer():
    wire = golden.HI + golden.HI
    for data in (bytearray(wire), memoryview(wire)):
        assert decode(data) == [Frame(b"hi", False, 0)] * 2
    assert encode_frame(memoryview(b"hi")) == encode_frame(bytearray(b"hi")) == golden.HI


chunks = st.lists(st.integers(0, 40), max_size=30)


def feed(decoder, wire, cuts):
    """Feed `wire` in pieces; what came out, and whether it ended in a fault."""
    events = []
    at = 0
    try:
        for n in [*cuts, len(wire)]:
            events += decoder.receive_data(wire[at : at + n])
            at += n
    except RemoteProtocolError as fault:
        return events + fault.events, True
    return events, False


@given(
    st.lists(st.tuples(st.binary(max_size=600), st.booleans(), st.booleans()), max_size=8),
    st.sampled_from(VERSIONS),
    chunks,
)
def test_messages_round_trip_in_any_pieces(parts, version, cuts):
    wire = b""
    expected = []
    for body, more, is_command in parts:
        if is_command and version >= (3, 0):
            wire += encode_command("X", body)
            expected.append(("X", body))
        else:
            wire += encode_frame(body, more=more, version=version)
            expected.append((body, more))
    events, fault = feed(FrameDecoder(version), wire, cuts)
    assert not fault
    assert [(e.name, e.argument) if isinstance(e, Command) else (e.body, e.more) for e in events] == expected


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(VERSIONS), st.sampled_from([-1, 0, 20, 1 << 40]), chunks)
def test_garbage_means_the_same_in_any_pieces_and_harms_nobody(wire, version, max_size, cuts):
    whole = feed(FrameDecoder(version, max_size), wire, [])
    assert feed(FrameDecoder(version, max_size), wire, cuts) == whole
    for event in whole[0]:
        assert isinstance(event, (Frame, Command, MalformedCommand))
