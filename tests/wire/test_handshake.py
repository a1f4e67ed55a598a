"""The handshake against hand-written bytes, and against itself in any pieces.

One file because every test plays the same conversation, from the same table of golden bytes.
"""

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcore.codec import (
    AuthorisationRequired,
    Greeting,
    Handshake,
    HandshakeDone,
    LocalProtocolError,
    RemoteProtocolError,
    encode_command,
    encode_error,
    encode_frame,
    encode_properties,
    encode_ready,
)

UNSPECIFIED = 0x10000000
UNEXPECTED_COMMAND = 0x10000001
MALFORMED_ERROR = 0x10000015
INVALID_METADATA = 0x10000018
MECHANISM_MISMATCH = 0x11000002

GREETING_3_1 = golden.greeting()


def fails(handshake, data):
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.receive_data(data)
    assert handshake.state == "failed"
    # and stays failed
    with pytest.raises(RemoteProtocolError):
        handshake.receive_data(b"")
    return caught.value


def done(socket_type, data, **options):
    """Hand over everything at once: the handshake, its HandshakeDone, everything it said."""
    handshake = Handshake(socket_type, **options)
    events = handshake.receive_data(data)
    assert handshake.state == "ready"
    assert isinstance(events[-1], HandshakeDone)
    return handshake, events[-1], handshake.data_to_send()


# ---- what libzmq says, we say ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", golden.CONVERSATIONS)
def test_says_what_libzmq_says(name):
    socket_type, identity, steps = golden.CONVERSATIONS[name]
    handshake = Handshake(socket_type, identity)
    for sent, answer in steps:
        handshake.receive_data(sent)
        assert handshake.data_to_send() == answer


@pytest.mark.parametrize("name", golden.CONVERSATIONS)
def test_every_split_of_a_conversation_is_the_same_conversation(name):
    socket_type, identity, steps = golden.CONVERSATIONS[name]
    heard = b"".join(sent for sent, _ in steps)
    said = b"".join(answer for _, answer in steps)
    for cut in range(len(heard) + 1):
        handshake = Handshake(socket_type, identity)
        handshake.receive_data(heard[:cut])
        out = handshake.data_to_send()
        handshake.receive_data(heard[cut:])
        assert out + handshake.data_to_send() == said
    handshake = Handshake(socket_type, identity)
    out = handshake.data_to_send()
    for i in range(len(heard)):
        handshake.receive_data(heard[i : i + 1])
        out += handshake.data_to_send()
    assert out == said


@pytest.mark.parametrize("amount", [1, 7, 60, 100])
def test_output_may_leave_in_pieces_while_more_is_added(amount):
    extra = {"X-large": "v" * 300}
    expected = golden.SIGNATURE_ABC + b"\x03" + golden.rest_of_greeting() + encode_ready("DEALER", b"abc", extra)
    handshake = Handshake("DEALER", b"abc", extra)
    out = handshake.data_to_send(amount)
    for at in range(0, 64, 8):
        handshake.receive_data(GREETING_3_1[at : at + 8])
        out += handshake.data_to_send(amount)
    while piece := handshake.data_to_send(amount):
        assert len(piece) <= amount
        out += piece
    assert out == expected


@pytest.mark.parametrize("socket_type", ["REQ", "DEALER", "ROUTER", "PUB", "PULL", "PAIR", "SERVER", "CHANNEL"])
def test_identity_goes_out_from_req_dealer_and_router_only(socket_type):
    for identity in (b"", b"abc", b"i" * 255):
        handshake = Handshake(socket_type, identity, properties={"X-a": "b"})
        handshake.receive_data(GREETING_3_1)
        told = identity if socket_type in ("REQ", "DEALER", "ROUTER") else None
        expected = encode_ready(socket_type, told, {"X-a": "b"})
        assert handshake.data_to_send()[64:] == expected


def test_the_signature_carries_the_identitys_length_and_goes_first():
    handshake = Handshake("DEALER", b"i" * 255)
    assert handshake.data_to_send() == b"\xff\x00\x00\x00\x00\x00\x00\x01\x00\x7f"


def test_everything_goes_at_once_where_older_peers_are_refused():
    for options in ({"downgrade": False}, {"require_zap": True}, {"zap_wait": True}):
        assert Handshake("PULL", **options).data_to_send() == golden.greeting()


# ---- what the peer says ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("major", "minor", "version"),
    [(3, 0, (3, 0)), (3, 1, (3, 1)), (3, 7, (3, 1)), (4, 0, (3, 1)), (255, 255, (3, 1))],
)
def test_later_versions_are_taken_for_ours(major, minor, version):
    handshake = Handshake("PULL")
    events = handshake.receive_data(golden.greeting(minor=minor, major=major) + golden.READY_PUSH)
    assert events == [
        Greeting((major, minor), "NULL", False),
        HandshakeDone(version, "PUSH", b"", [("Socket-Type", b"PUSH")]),
    ]
    assert handshake.version == version


def test_the_padding_and_the_filler_mean_nothing():
    signature = b"\xff" + b"padding!" + b"\x01"
    wire = signature + b"\x03\x01" + b"NULL".ljust(20, b"\0") + b"\x01" + b"f" * 31
    handshake = Handshake("PULL")
    events = handshake.receive_data(wire + golden.READY_PUSH)
    assert events[0] == Greeting((3, 1), "NULL", True)
    assert handshake.state == "ready"


def test_facts_about_the_peer():
    _, facts, _ = done("ROUTER", GREETING_3_1 + encode_ready("DEALER", b"abc", {"X-colour": "green"}))
    assert facts == HandshakeDone(
        (3, 1), "DEALER", b"abc", [("Socket-Type", b"DEALER"), ("Identity", b"abc"), ("X-colour", b"green")]
    )


@pytest.mark.parametrize("spelling", ["socket-type", "SOCKET-TYPE", "sOcKeT-tYpE"])
def test_property_names_are_told_in_any_case(spelling):
    ready = encode_command("READY", encode_properties([(spelling, "DEALER"), ("IDENTITY", b"abc")]))
    handshake, facts, _ = done("ROUTER", GREETING_3_1 + ready)
    assert (facts.socket_type, facts.identity) == ("DEALER", b"abc")
    assert handshake.oddities["loose_names"] == 2
    refused = fails(Handshake("ROUTER"), GREETING_3_1 + encode_command("READY", encode_properties([(spelling, "PUB")])))
    assert refused.code == INVALID_METADATA


def test_a_ready_without_socket_type_is_accepted_unless_forbidden():
    ready = encode_command("READY", b"")
    handshake, facts, _ = done("PULL", GREETING_3_1 + ready)
    assert facts == HandshakeDone((3, 1), None, b"", [])
    assert handshake.oddities["missing_type"] == 1
    strict = Handshake("PULL", require_type=True)
    assert fails(strict, GREETING_3_1 + ready).code == INVALID_METADATA
    assert strict.data_to_send().endswith(encode_error("missing-socket-type"))


def test_types_that_do_not_match_get_an_error():
    handshake = Handshake("PULL")
    handshake.receive_data(GREETING_3_1)
    handshake.data_to_send()
    assert fails(handshake, golden.READY_PUB).code == INVALID_METADATA
    assert handshake.data_to_send() == encode_error("incompatible-socket-type")


@pytest.mark.parametrize("name", ["push", "PUSH ", "", "FOO", "STREAM"])
def test_a_type_must_be_one(name):
    ready = encode_command("READY", encode_properties([("Socket-Type", name)]))
    assert fails(Handshake("PULL"), GREETING_3_1 + ready).code == INVALID_METADATA


@pytest.mark.parametrize(
    "metadata",
    [
        encode_properties([("Socket-Type", "PUSH")]) + b"\x03ab",
        encode_properties([("Socket-Type", "PUSH")]) + b"\x02ab",
        encode_properties([("Socket-Type", "PUSH")]) + b"\x00\x00\x00\x00\x00",
        encode_properties([("Socket-Type", "PUSH"), ("Socket-Type", "PUSH")]),
        encode_properties([("Socket-Type", "PUSH"), ("Identity", "a"), ("identity", "b")]),
        encode_properties([("Socket-Type", "PUSH"), ("Identity", "i" * 256)]),
        b"\x0bSocket-Type\x00\x00\x00\x05PUSH",
        b"\x0bSocket-Type\xff\xff\xff\xffPUSH",
    ],
)
def test_metadata_that_is_none_is_refused(metadata):
    handshake = Handshake("PULL")
    handshake.receive_data(GREETING_3_1)
    handshake.data_to_send()
    assert fails(handshake, encode_command("READY", metadata)).code == INVALID_METADATA
    assert handshake.data_to_send() == b""


def test_a_ready_cut_short_anywhere_inside_its_metadata_is_refused_or_lacks_what_was_cut():
    full = encode_properties([("Socket-Type", "DEALER"), ("Identity", b"abc")])
    for cut in range(len(full)):
        handshake = Handshake("ROUTER")
        wire = GREETING_3_1 + encode_command("READY", full[:cut])
        if cut in (0, 21 + 1):
            (_, facts) = handshake.receive_data(wire)
            assert facts.identity == b""
        else:
            assert fails(handshake, wire).code == INVALID_METADATA


@pytest.mark.parametrize("identity", [b"\x00", b"\x00\x00\x00\x00\x01"])
def test_an_identity_a_router_might_have_made_up_is_not_taken_over(identity):
    handshake, facts, _ = done("ROUTER", GREETING_3_1 + encode_ready("DEALER", identity))
    assert facts.identity == b""
    assert ("Identity", identity) in facts.properties
    assert handshake.oddities["reserved_identity"] == 1
    handshake, facts, _ = done("ROUTER", golden.SIGNATURE + b"\x01\x05" + encode_frame(identity, version=2))
    assert facts.identity == b""
    assert handshake.oddities["reserved_identity"] == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (encode_command("PING", b"\0\0"), UNEXPECTED_COMMAND),
        (encode_command("SUBSCRIBE", b"top"), UNEXPECTED_COMMAND),
        (encode_command("HELLO", b""), UNEXPECTED_COMMAND),
        (encode_command("WELCOME", b""), UNEXPECTED_COMMAND),
        (encode_command("UNHEARD-OF", b""), UNEXPECTED_COMMAND),
        (b"\x04\x00", UNEXPECTED_COMMAND),
        (b"\x04\x01\x00", UNEXPECTED_COMMAND),
        (b"\x04\x03\x05RE", UNEXPECTED_COMMAND),
        (golden.HI, UNEXPECTED_COMMAND),
        (b"\x04\x0a\x05ERROR\x09400", MALFORMED_ERROR),
        (b"\x06\xff" + bytes(7), UNSPECIFIED),
        (b"\x06" + (65537).to_bytes(8, "big"), UNSPECIFIED),
    ],
)
def test_anything_but_ready_and_error_ends_it(command, code):
    handshake = Handshake("PULL")
    error = fails(handshake, GREETING_3_1 + command)
    assert error.code == code
    assert error.events == [Greeting((3, 1), "NULL", False)]


@pytest.mark.parametrize(("status", "text"), [(300, "300"), (400, "400"), (500, "500")])
def test_an_error_with_a_status_is_a_refusal_to_let_us_in(status, text):
    for command in (encode_error(text), encode_frame(b"^RROR\x03" + text.encode(), is_command=True)):
        error = fails(Handshake("PULL"), GREETING_3_1 + command)
        assert (error.status, error.code, error.reason) == (status, None, text)


@pytest.mark.parametrize("text", ["", "200", "40", "4000", "go away", "r" * 255])
def test_an_error_with_another_text_keeps_it(text):
    error = fails(Handshake("PULL"), GREETING_3_1 + encode_error(text))
    assert (error.status, error.code, error.reason) == (None, None, text)


def test_a_ready_that_is_no_command_by_its_flags_is_read_all_the_same():
    for flags in (b"\x00", b"\x05", b"\x01", b"\xfc"):
        handshake, facts, _ = done("PULL", GREETING_3_1 + flags + golden.READY_PUSH[1:])
        assert facts.socket_type == "PUSH"
        assert handshake.oddities["loose_frames"] == (flags != b"\xfc")
        assert handshake.oddities["reserved_bits"] == (flags == b"\xfc")


def test_another_mechanism_ends_it_after_our_greeting():
    for name in (b"PLAIN", b"CURVE", b"null", b"", b"NULLNULLNULLNULLNULL", b"NULL\x00X"):
        handshake = Handshake("PULL")
        error = fails(handshake, golden.greeting(mechanism=name))
        assert error.code == MECHANISM_MISMATCH
        assert handshake.data_to_send() == golden.greeting()


# ---- older peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "version", "socket_type", "identity"),
    [
        (b"\x01\x00", (1, 0), None, b""),
        (b"\x04\x00xyz", (1, 0), None, b"xyz"),
        (b"\x04\x7fxyz", (1, 0), None, b"xyz"),
        (b"\xff" + (1).to_bytes(8, "big") + b"\x00", (1, 0), None, b""),
        (b"\xff" + (256).to_bytes(8, "big") + b"\x00" + b"i" * 255, (1, 0), None, b"i" * 255),
        (golden.SIGNATURE + b"\x00\x05\x04\x00xyz", (1, 0), "DEALER", b"xyz"),
        (golden.SIGNATURE + b"\x01\x05\x00\x03xyz", (2, 0), "DEALER", b"xyz"),
        (golden.SIGNATURE + b"\x02\x05\x00\x00", (2, 0), "DEALER", b""),
        (golden.SIGNATURE_ABC + b"\x01\x05\x02" + (3).to_bytes(8, "big") + b"xyz", (2, 0), "DEALER", b"xyz"),
    ],
)
def test_older_peers(wire, version, socket_type, identity):
    for cut in range(len(wire) + 1):
        handshake = Handshake("ROUTER")
        events = handshake.receive_data(wire[:cut]) + handshake.receive_data(wire[cut:] + golden.HI)
        assert events == [Greeting(version, None, None), HandshakeDone(version, socket_type, identity, [])]
        assert handshake.version == version
        assert handshake.trailing_data == golden.HI


def test_2_0_knows_pub_and_sub_only():
    for ours, number in (("XPUB", 1), ("XSUB", 2), ("PUB", 1), ("SUB", 2), ("CHANNEL", 20)):
        handshake = Handshake(ours)
        handshake.receive_data(golden.SIGNATURE + b"\x01")
        assert handshake.data_to_send() == golden.SIGNATURE + bytes([3, number, 0, 0])


def test_types_of_2_0_are_checked_and_unknown_ones_counted():
    handshake = Handshake("PULL")
    assert fails(handshake, golden.SIGNATURE + b"\x01\x01").code == INVALID_METADATA
    assert b"ERROR" not in handshake.data_to_send()
    handshake, facts, _ = done("PULL", golden.SIGNATURE + b"\x01\x63\x00\x00")
    assert facts.socket_type is None
    assert handshake.oddities["missing_type"] == 1
    assert fails(Handshake("PULL", require_type=True), golden.SIGNATURE + b"\x01\x63").code == INVALID_METADATA


@pytest.mark.parametrize("options", [{"downgrade": False}, {"require_zap": True}, {"zap_wait": True}])
@pytest.mark.parametrize(
    "wire",
    [b"\x01", golden.SIGNATURE + b"\x00", golden.SIGNATURE + b"\x01", golden.SIGNATURE + b"\x02", b"\xff" + bytes(9)],
)
def test_older_peers_are_refused_with_their_first_telling_byte(options, wire):
    handshake = Handshake("PULL", **options)
    if len(wire) > 1:
        assert handshake.receive_data(wire[:-1]) == []
    assert fails(handshake, wire[-1:]).code == UNSPECIFIED


def test_http_is_taken_for_zmtp_1_0_and_never_finishes():
    handshake = Handshake("PULL")
    assert handshake.receive_data(golden.HTTP) == [Greeting((1, 0), None, None)]
    assert handshake.state == "more"
    with pytest.raises(RemoteProtocolError):
        handshake.receive_eof()


@pytest.mark.parametrize(
    "wire",
    [
        b"\x00",
        b"\xff" + (257).to_bytes(8, "big") + b"\x00",
        b"\xff\x80" + bytes(8),
        b"\xff" + bytes(9),
        golden.SIGNATURE + b"\x01\x05\x02" + (256).to_bytes(8, "big"),
        golden.SIGNATURE + b"\x01\x05\x02\xff",
        golden.SIGNATURE + b"\x00\x05\x00",
    ],
)
def test_identity_frames_no_peer_may_send(wire):
    assert fails(Handshake("ROUTER"), wire).code == UNSPECIFIED


# ---- limits ------------------------------------------------------------------------------------------------


def test_max_size_holds_for_the_handshake_too():
    assert fails(Handshake("PULL", max_size=25), GREETING_3_1 + golden.READY_PUSH[:2]).code == UNSPECIFIED
    done("PULL", GREETING_3_1 + golden.READY_PUSH, max_size=26)
    assert fails(Handshake("PULL", max_size=2), b"\x04\x00").code == UNSPECIFIED


def test_memory_follows_what_was_received_not_what_was_announced():
    handshake = Handshake("PULL")
    handshake.receive_data(GREETING_3_1)
    handshake.data_to_send()
    before = handshake.memory
    handshake.receive_data(b"\x06" + (65536).to_bytes(8, "big"))
    assert handshake.memory == before
    for received in range(1, 4097):
        handshake.receive_data(b"x")
        assert handshake.memory - before <= 2 * received
    body = bytes(65536 - 4096)
    assert fails(handshake, body).code == UNEXPECTED_COMMAND


def test_a_ready_of_the_largest_size_arrives_in_pieces():
    room = 65536 - len(encode_ready("PUSH")) + 2 - len(encode_properties({"X-large": ""}))
    wire = GREETING_3_1 + encode_ready("PUSH", None, {"X-large": "v" * room})
    assert wire[64:73] == b"\x06" + (65536).to_bytes(8, "big")
    handshake = Handshake("PULL")
    events = []
    for at in range(0, len(wire), 1000):
        events += handshake.receive_data(wire[at : at + 1000])
    assert events[-1].properties[1] == ("X-large", b"v" * room)
    over = GREETING_3_1 + encode_ready("PUSH", None, {"X-large": "v" * (room + 1)})
    assert fails(Handshake("PULL"), over).code == UNSPECIFIED


def test_traffic_is_left_alone():
    for behind in (golden.HI, golden.SUBSCRIBE_TOP, b"\xff" * 5, bytes(100000)):
        wire = GREETING_3_1 + golden.READY_PUSH + behind
        for cut in (0, 10, 64, len(wire) - len(behind), len(wire) - len(behind) + 1, len(wire)):
            handshake = Handshake("PULL")
            handshake.receive_data(wire[:cut])
            handshake.receive_data(wire[cut:])
            assert handshake.state == "ready"
            assert handshake.trailing_data == behind
            handshake.receive_eof()


def test_we_are_ready_only_when_the_peers_ready_is_in():
    handshake = Handshake("PULL")
    handshake.receive_data(GREETING_3_1 + golden.READY_PUSH[:-1])
    assert handshake.data_to_send().endswith(golden.READY_PULL)
    assert handshake.state == "more"
    handshake.receive_data(golden.READY_PUSH[-1:])
    assert handshake.state == "ready"


# ---- authorisation -----------------------------------------------------------------------------------------


def test_the_listening_side_asks_when_it_knows_the_peer():
    handshake = Handshake("ROUTER", zap_wait=True, listening=True)
    (greeting, asked) = handshake.receive_data(GREETING_3_1 + golden.READY_DEALER_ABC + golden.HI)
    assert greeting.version == (3, 1)
    assert asked == AuthorisationRequired(b"abc", [("Socket-Type", b"DEALER"), ("Identity", b"abc")])
    assert handshake.state == "wait_authorisation"
    assert handshake.data_to_send() == golden.greeting()
    (facts,) = handshake.authorise(200)
    assert facts.identity == b"abc"
    assert handshake.data_to_send() == golden.READY_ROUTER
    assert handshake.state == "ready"
    assert handshake.trailing_data == golden.HI


def test_the_connecting_side_asks_at_once_and_says_nothing_before_the_answer():
    handshake = Handshake("ROUTER", zap_wait=True)
    assert handshake.receive_data(GREETING_3_1 + golden.READY_DEALER_ABC)[1] == AuthorisationRequired(b"", [])
    assert handshake.data_to_send() == golden.greeting()
    assert handshake.trailing_data == golden.READY_DEALER_ABC
    (facts,) = handshake.authorise(200)
    assert facts.identity == b"abc"
    assert handshake.data_to_send() == golden.READY_ROUTER


def test_two_sides_that_both_ask_do_not_wait_for_each_other():
    connecting = Handshake("DEALER", zap_wait=True)
    listening = Handshake("ROUTER", zap_wait=True, listening=True)
    for _ in range(10):
        for a, b in ((connecting, listening), (listening, connecting)):
            b.receive_data(a.data_to_send())
            if b.state == "wait_authorisation":
                b.authorise(200)
    assert connecting.state == listening.state == "ready"


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize(("status", "said"), [(300, b""), (400, golden.ERROR_400), (500, encode_error("500"))])
def test_who_is_refused_hears_it_unless_it_may_try_again(listening, status, said):
    handshake = Handshake("ROUTER", zap_wait=True, listening=listening)
    handshake.receive_data(GREETING_3_1 + golden.READY_DEALER_ABC)
    handshake.data_to_send()
    assert handshake.authorise(status) == []
    assert handshake.state == "failed"
    assert handshake.data_to_send() == said
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.receive_data(golden.HI)
    assert caught.value.status == status


def test_a_peer_of_the_wrong_type_is_not_worth_a_question():
    handshake = Handshake("PULL", zap_wait=True, listening=True)
    assert fails(handshake, GREETING_3_1 + golden.READY_PUB).code == INVALID_METADATA


def test_answers_nobody_asked_for():
    handshake = Handshake("PULL", zap_wait=True, listening=True)
    with pytest.raises(LocalProtocolError):
        handshake.authorise(200)
    handshake.receive_data(GREETING_3_1 + golden.READY_PUSH)
    for status in (0, 201, 401, None, "200"):
        with pytest.raises(LocalProtocolError):
            handshake.authorise(status)
    handshake.authorise(200)
    with pytest.raises(LocalProtocolError):
        handshake.authorise(200)


# ---- our own mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"socket_type": "STREAM"},
        {"socket_type": "DGRAM"},
        {"socket_type": "NONE"},
        {"socket_type": 21},
        {"socket_type": "PULL", "identity": b"i" * 256},
        {"socket_type": "PULL", "max_size": -2},
        {"socket_type": "PULL", "mechanism": "GSSAPI"},
        {"socket_type": "PULL", "properties": {"Socket-Type": "PUB"}},
        {"socket_type": "PULL", "properties": {"identity": "x"}},
        {"socket_type": "PULL", "properties": {"X-large": "v" * 65536}},
    ],
)
def test_configurations_that_make_no_sense(options):
    with pytest.raises(LocalProtocolError):
        Handshake(**options)


def test_a_handshake_cannot_be_begun_again():
    handshake = Handshake("PULL")
    with pytest.raises(LocalProtocolError):
        handshake.__init__("PUSH")
    assert handshake.data_to_send() == golden.SIGNATURE


# ---- any bytes, any pieces ---------------------------------------------------------------------------------


def play(data, cuts, **options):
    """Everything observable of a handshake that hears `data` in pieces."""
    handshake = Handshake("ROUTER", b"me", **options)
    events = []
    failure = None
    at = 0
    try:
        for n in [*cuts, len(data)]:
            events += handshake.receive_data(data[at : at + n])
            at += n
            if handshake.state == "wait_authorisation":
                events += handshake.authorise(200)
    except RemoteProtocolError as fault:
        events += fault.events
        failure = (fault.code, fault.status, fault.reason)
    return (
        events,
        failure,
        handshake.state,
        handshake.version,
        handshake.oddities,
        handshake.data_to_send(),
        (handshake.trailing_data),
    )


beginnings = st.sampled_from(
    [
        b"",
        b"\xff",
        golden.SIGNATURE,
        golden.SIGNATURE + b"\x00",
        golden.SIGNATURE + b"\x01\x05",
        golden.greeting(),
        golden.greeting(minor=0),
        golden.greeting() + b"\x04",
        golden.greeting() + b"\x06\x00\x00\x00\x00\x00\x00",
        golden.greeting() + golden.READY_DEALER_ABC,
        golden.greeting() + golden.READY_PUB,
        golden.greeting() + b"\x04\x20\x05READY",
    ]
)
choices = st.fixed_dictionaries(
    {},
    optional={
        "max_size": st.sampled_from([-1, 0, 30, 1 << 50]),
        "downgrade": st.booleans(),
        "zap_wait": st.booleans(),
        "listening": st.booleans(),
        "require_type": st.booleans(),
    },
)


@settings(max_examples=500)
@given(beginnings, st.binary(max_size=120), st.lists(st.integers(0, 30), max_size=20), choices)
def test_garbage_means_the_same_in_any_pieces_and_harms_nobody(beginning, rest, cuts, options):
    data = beginning + rest
    assert play(data, cuts, **options) == play(data, [], **options)


@given(
    st.sampled_from(["DEALER", "REQ", "ROUTER"]),
    st.binary(max_size=255).filter(lambda i: not i.startswith(b"\0")),
    st.dictionaries(st.from_regex(r"X-[A-Za-z0-9._+-]{1,20}", fullmatch=True), st.binary(max_size=300), max_size=4),
    st.lists(st.integers(1, 40), max_size=20),
    st.booleans(),
    st.booleans(),
)
def test_two_handshakes_agree_in_any_pieces(socket_type, identity, extra, cuts, zap_a, zap_b):
    a = Handshake(socket_type, identity, extra, zap_wait=zap_a)
    b = Handshake("ROUTER", zap_wait=zap_b, listening=True)
    events = {a: [], b: []}
    pieces = iter(cuts)
    while a.state != "ready" or b.state != "ready":
        moved = False
        for one, other in ((a, b), (b, a)):
            data = one.data_to_send()
            while data:
                n = next(pieces, len(data))
                events[other] += other.receive_data(data[:n])
                data = data[n:]
                moved = True
            if other.state == "wait_authorisation":
                events[other] += other.authorise(200)
                moved = True
        assert moved, "both wait"
    assert events[b][-1].identity == identity
    assert events[b][-1].socket_type == socket_type
    assert events[b][-1].properties[2:] == list(extra.items())
    assert events[a][-1].socket_type == "ROUTER"
