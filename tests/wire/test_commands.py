"""Commands, property lists and socket types."""

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore import codec
from zcore.codec import (
    Command,
    FrameDecoder,
    LocalProtocolError,
    MalformedCommand,
    RemoteProtocolError,
    compatible,
    decode_properties,
    encode_command,
    encode_frame,
    encode_properties,
    encode_ready,
)

KNOWN = [
    "READY",
    "ERROR",
    "SUBSCRIBE",
    "CANCEL",
    "PING",
    "PONG",
    "JOIN",
    "LEAVE",
    "HELLO",
    "WELCOME",
    "INITIATE",
    "MESSAGE",
]


def one(wire):
    (event,) = FrameDecoder().receive_data(wire)
    return event


def body(data):
    """A command frame around a body that may be none."""
    return encode_frame(data, is_command=True)


@pytest.mark.parametrize(
    ("built", "wire"),
    [
        (codec.encode_subscribe(b"top"), golden.SUBSCRIBE_TOP),
        (codec.encode_cancel(b"top"), golden.CANCEL_TOP),
        (codec.encode_subscribe(b"top", (3, 0)), golden.SUBSCRIBE_TOP_3_0),
        (codec.encode_cancel(b"top", (3, 0)), golden.CANCEL_TOP_3_0),
        (codec.encode_subscribe(b"top", 2), golden.SUBSCRIBE_TOP_3_0),
        (codec.encode_subscribe(b"top", 1), golden.SUBSCRIBE_TOP_1_0),
        (codec.encode_ping(10), golden.PING_1_SECOND),
        (codec.encode_pong(), golden.PONG_EMPTY),
        (codec.encode_error("400"), golden.ERROR_400),
        (codec.encode_join("weather"), b"\x04\x0c\x04JOINweather"),
        (codec.encode_leave(b"weather"), b"\x04\x0d\x05LEAVEweather"),
        (encode_ready("DEALER", b"abc"), golden.READY_DEALER_ABC),
        (encode_ready("ROUTER", b""), golden.READY_ROUTER),
        (encode_ready("PULL"), golden.READY_PULL),
    ],
)
def test_builds_the_golden_bytes(built, wire):
    assert built == wire


@pytest.mark.parametrize(
    ("wire", "name", "argument", "ttl"),
    [
        (golden.SUBSCRIBE_TOP, "SUBSCRIBE", b"top", None),
        (golden.CANCEL_TOP, "CANCEL", b"top", None),
        (golden.PING_1_SECOND, "PING", b"", 10),
        (b"\x04\x09\x04PING\xff\xfehi", "PING", b"hi", 0xFFFE),
        (golden.PONG_EMPTY, "PONG", b"", None),
        (golden.ERROR_400, "ERROR", b"400", None),
        (body(golden.ERROR_400_OF_PLAIN), "^RROR", b"400", None),
        (body(b"\x05ERROR\x02abc"), "ERROR", b"ab", None),
        (b"\x04\x06\x05HELLO", "HELLO", b"", None),
        (body(b"\x07MESSAGE" + bytes(300)), "MESSAGE", bytes(300), None),
    ],
)
def test_reads_the_golden_bytes(wire, name, argument, ttl):
    event = one(wire)
    assert (event.name, event.argument, event.ttl) == (name, argument, ttl)


def test_reads_the_properties_of_ready():
    assert decode_properties(one(golden.READY_DEALER_ABC).argument) == [
        ("Socket-Type", b"DEALER"),
        ("Identity", b"abc"),
    ]
    assert decode_properties(one(golden.READY_ROUTER).argument) == [("Socket-Type", b"ROUTER"), ("Identity", b"")]
    with pytest.raises(RemoteProtocolError):
        decode_properties(one(body(b"\x05READY\x03ab")).argument)


@pytest.mark.parametrize("topic", [0, 1, 245, 246, 253, 254, 255, 256, 300])
@pytest.mark.parametrize("version", [1, 2, (3, 0), 3])
def test_subscriptions_of_any_length_have_a_header_that_fits(topic, version):
    # libzmq writes nine bytes of header without the LONG flag for a topic of 255 bytes to a 3.0 peer
    for build, first in ((codec.encode_subscribe, 1), (codec.encode_cancel, 0)):
        decoder = FrameDecoder(version)
        (event,) = decoder.receive_data(build(b"t" * topic, version))
        assert decoder.pending == 0
        if version == 3:
            assert (event.name, event.argument) == ("SUBSCRIBE" if first else "CANCEL", b"t" * topic)
        else:
            assert (event.body, event.more) == (bytes([first]) + b"t" * topic, False)


def test_a_topic_of_255_bytes_for_3_0_is_a_long_frame():
    wire = codec.encode_subscribe(b"t" * 255, (3, 0))
    assert wire[:9] == b"\x02" + (256).to_bytes(8, "big")


def test_a_pong_echoes_at_most_sixteen_bytes():
    assert one(codec.encode_pong(b"c" * 16)).argument == b"c" * 16
    assert one(codec.encode_pong(b"c" * 100)).argument == b"c" * 16


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x00PING",
        b"\x01",
        b"\x05PING",
        b"\xff",
        b"\x04PING",
        b"\x04PING\x00",
        b"\x05ERROR",
        b"\x05ERROR\x01",
        b"\x05ERROR\x09400",
        b"^RROR",
        b"^RROR\x04400",
        b"^RRO",
        b"\x04JOIN" + b"g" * 256,
        b"\x05LEAVE" + b"g" * 256,
    ],
)
def test_malformed_commands_are_told_apart_and_counted(data):
    decoder = FrameDecoder()
    assert decoder.receive_data(body(data)) == [MalformedCommand(data, 4 if len(data) < 256 else 6)]
    assert decoder.malformed_commands == 1
    assert decoder.unknown_commands == 0


@pytest.mark.parametrize("name", ["PIN", "PINGS", "ping", "Subscribe", "X", "R" * 255])
def test_unknown_commands_are_handed_over_and_counted(name):
    decoder = FrameDecoder()
    (event,) = decoder.receive_data(encode_command(name, b"rest"))
    assert (event.name, event.argument) == (name, b"rest")
    assert decoder.unknown_commands == 1


@pytest.mark.parametrize("name", KNOWN)
def test_known_commands_are_known(name):
    decoder = FrameDecoder()
    # a TTL for PING, a reason of no bytes for ERROR
    (event,) = decoder.receive_data(encode_command(name, b"\x00\x00"))
    assert isinstance(event, Command)
    assert event.name == name
    assert decoder.unknown_commands == decoder.malformed_commands == 0


def test_a_command_with_more_is_read_and_counted():
    decoder = FrameDecoder()
    (event,) = decoder.receive_data(b"\x05\x07\x04PING\x00\x00")
    assert event.name == "PING"
    assert decoder.loose_commands == 1
    decoder.receive_eof()


def test_a_command_in_the_middle_of_a_message_leaves_it_open():
    decoder = FrameDecoder()
    decoder.receive_data(encode_frame(b"a", more=True) + golden.PONG_EMPTY)
    with pytest.raises(RemoteProtocolError):
        decoder.receive_eof()


def test_every_command_cut_at_every_byte_is_no_event():
    for wire in (golden.READY_DEALER_ABC, golden.SUBSCRIBE_TOP, golden.PING_1_SECOND, golden.ERROR_400):
        for cut in range(len(wire)):
            assert FrameDecoder().receive_data(wire[:cut]) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_command("", b""),
        lambda: encode_command("N" * 256, b""),
        lambda: codec.encode_ping(-1),
        lambda: codec.encode_ping(65536),
        lambda: codec.encode_ping(0, b"c" * 17),
        lambda: codec.encode_join("g" * 256),
        lambda: codec.encode_error("r" * 256),
        lambda: encode_properties([("", b"")]),
        lambda: encode_properties([("N" * 256, b"")]),
        lambda: encode_ready("NO-SUCH-TYPE"),
        lambda: encode_ready(21),
        lambda: compatible("PUB", -1),
    ],
)
def test_what_zmtp_cannot_say_is_a_local_error(call):
    with pytest.raises(LocalProtocolError):
        call()


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=255), st.binary(max_size=300)), max_size=6))
def test_properties_round_trip(items):
    wire = encode_properties(items)
    assert decode_properties(wire) == [(name.decode("latin-1"), value) for name, value in items]
    assert encode_properties(dict(items)) == encode_properties(list(dict(items).items()))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_property_list_or_a_fault(data):
    try:
        items = decode_properties(data)
    except RemoteProtocolError:
        return
    assert encode_properties([(name.encode("latin-1"), value) for name, value in items]) == data


def test_a_property_list_cut_anywhere_but_between_properties_is_a_fault():
    parts = [encode_properties([("Socket-Type", "DEALER")]), encode_properties([("Identity", b"abc")])]
    wire = b"".join(parts)
    for cut in range(len(wire) + 1):
        if cut in (0, len(parts[0]), len(wire)):
            decode_properties(wire[:cut])
        else:
            with pytest.raises(RemoteProtocolError):
                decode_properties(wire[:cut])


def test_a_value_of_2_gib_is_refused():
    with pytest.raises(RemoteProtocolError):
        decode_properties(b"\x01X\x80\x00\x00\x00")
    with pytest.raises(RemoteProtocolError):
        decode_properties(b"\x01X\xff\xff\xff\xff")


# RFC 37, "The Socket-Type Property"; DGRAM is libzmq's.
PAIRS = {
    "REQ": "REP ROUTER",
    "REP": "REQ DEALER",
    "DEALER": "REP DEALER ROUTER",
    "ROUTER": "REQ DEALER ROUTER",
    "PUB": "SUB XSUB",
    "XPUB": "SUB XSUB",
    "SUB": "PUB XPUB",
    "XSUB": "PUB XPUB",
    "PUSH": "PULL",
    "PULL": "PUSH",
    "PAIR": "PAIR",
    "CLIENT": "SERVER",
    "SERVER": "CLIENT",
    "RADIO": "DISH",
    "DISH": "RADIO",
    "SCATTER": "GATHER",
    "GATHER": "SCATTER",
    "PEER": "PEER",
    "CHANNEL": "CHANNEL",
    "DGRAM": "DGRAM",
    "STREAM": "",
}


def test_who_may_talk_to_whom():
    assert set(PAIRS) == set(codec.SOCKET_TYPE_NUMBERS)
    for a, number in codec.SOCKET_TYPE_NUMBERS.items():
        for b in PAIRS:
            assert compatible(a, b) == (b in PAIRS[a].split())
            assert compatible(number, b) == compatible(b, a)


def test_numbers_are_libzmqs():
    zmq = pytest.importorskip("zmq")
    for name, number in codec.SOCKET_TYPE_NUMBERS.items():
        assert getattr(zmq.SocketType, name) == number
