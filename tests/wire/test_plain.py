"""PLAIN against hand-written bytes (RFC 24, and what was seen from libzmq 4.3.5), and against itself in any pieces."""

import golden
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.codec import (
    AuthorisationRequired,
    Handshake,
    HandshakeDone,
    LocalProtocolError,
    RemoteProtocolError,
    encode_command,
    encode_frame,
    encode_properties,
)

GREETING = golden.greeting(mechanism=b"PLAIN")
AS_SERVER = golden.greeting(mechanism=b"PLAIN", as_server=1)
HELLO = b"\x04\x0a\x05HELLO\x01u\x01p"
WELCOME = b"\x04\x08\x07WELCOME"
PROPERTIES = b"\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
INITIATE = b"\x04\x2c\x08INITIATE" + PROPERTIES
READY = b"\x04\x29\x05READY" + PROPERTIES
REFUSED = b"\x04\x09^RROR\x03400"

UNSPECIFIED = 0x10000000
UNEXPECTED = 0x10000001
MALFORMED_HELLO = 0x10000013
MALFORMED_WELCOME = 0x10000017
INVALID_METADATA = 0x10000018
MISMATCH = 0x11000002


def client(**options):
    return Handshake("DEALER", mechanism="PLAIN", username=b"u", password=b"p", **options)


def server(**options):
    return Handshake("DEALER", mechanism="PLAIN", as_server=True, listening=True, **options)


def code_of(handshake, data):
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.receive_data(data)
    assert handshake.state == "failed"
    return caught.value.code


def test_client_says_what_libzmq_says():
    ours = client()
    assert ours.data_to_send() == GREETING
    ours.receive_data(AS_SERVER)
    assert ours.data_to_send() == HELLO
    ours.receive_data(WELCOME)
    assert ours.data_to_send() == INITIATE
    assert isinstance(ours.receive_data(READY)[-1], HandshakeDone)
    assert ours.state == "ready"
    assert ours.data_to_send() == b""


def test_server_says_what_libzmq_says():
    ours = server()
    assert ours.data_to_send() == AS_SERVER
    assert ours.receive_data(GREETING + HELLO)[-1] == AuthorisationRequired(b"", [], [b"u", b"p"])
    assert ours.data_to_send() == b""
    ours.authorise(200)
    assert ours.data_to_send() == WELCOME
    ours.receive_data(INITIATE)
    assert ours.state == "ready"
    assert ours.data_to_send() == READY


def test_a_server_always_asks():
    """Nothing in this process may judge a password."""
    ours = server(zap_wait=False)
    ours.receive_data(GREETING + HELLO)
    assert ours.state == "wait_authorisation"


@pytest.mark.parametrize(("status", "said"), [(300, b""), (400, REFUSED), (500, b"\x04\x09^RROR\x03500")])
def test_refusals_are_spelt_as_a_libzmq_client_reads_them(status, said):
    ours = server()
    ours.receive_data(GREETING + HELLO)
    ours.data_to_send()
    ours.authorise(status)
    assert ours.state == "failed"
    assert ours.data_to_send() == said


@pytest.mark.parametrize("refusal", [REFUSED, golden.ERROR_400], ids=["libzmq", "RFC"])
@pytest.mark.parametrize("step", [b"", WELCOME], ids=["for HELLO", "for INITIATE"])
def test_a_client_reads_both_spellings(refusal, step):
    ours = client()
    ours.receive_data(AS_SERVER + step)
    with pytest.raises(RemoteProtocolError) as caught:
        ours.receive_data(refusal)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "hello",
    [b"", b"\x01", b"\x01u", b"\x02u\x01p", b"\x01u\x02p", b"\x01u\x01pp", b"\x01u\x01", b"\xff" * 3],
    ids=bytes.hex,
)
def test_malformed_hello(hello):
    assert code_of(server(), GREETING + encode_command("HELLO", hello)) == MALFORMED_HELLO


def test_empty_and_longest_credentials():
    ours = server()
    shown = ours.receive_data(GREETING + encode_command("HELLO", b"\x00\x00"))[-1]
    assert shown.credentials == [b"", b""]
    ours = server()
    shown = ours.receive_data(GREETING + encode_command("HELLO", b"\xff" + b"u" * 255 + b"\xff" + b"p" * 255))[-1]
    assert shown.credentials == [b"u" * 255, b"p" * 255]
    with pytest.raises(LocalProtocolError):
        Handshake("DEALER", mechanism="PLAIN", username=b"u" * 256)


def test_welcome_has_nothing_to_say():
    assert code_of(client(), AS_SERVER + encode_command("WELCOME", b"x")) == MALFORMED_WELCOME


@pytest.mark.parametrize(
    "order", [INITIATE, WELCOME, READY, HELLO + WELCOME], ids=["INITIATE", "WELCOME", "READY", "2"]
)
def test_server_takes_steps_in_order_only(order):
    ours = server()
    ours.receive_data(GREETING)
    if order.startswith(HELLO):
        ours.receive_data(HELLO)
        ours.authorise(200)
        order = order[len(HELLO) :]
    assert code_of(ours, order) == UNEXPECTED


def test_hello_twice():
    ours = server()
    ours.receive_data(GREETING + HELLO)
    ours.authorise(200)
    assert code_of(ours, HELLO) == UNEXPECTED


@pytest.mark.parametrize("order", [HELLO, INITIATE, READY, WELCOME + WELCOME, WELCOME + INITIATE])
def test_client_takes_steps_in_order_only(order):
    assert code_of(client(), AS_SERVER + order) == UNEXPECTED


def test_what_comes_before_the_verdict_waits_for_it():
    ours = server()
    ours.receive_data(GREETING + HELLO + INITIATE + golden.HI)
    assert ours.state == "wait_authorisation"
    ours.authorise(200)
    assert ours.state == "ready"
    assert ours.trailing_data == golden.HI


def test_metadata_is_judged():
    for properties, expected in (
        (b"\x05ab", INVALID_METADATA),
        (encode_properties({"Socket-Type": "PUB"}), INVALID_METADATA),
    ):
        ours = server()
        ours.receive_data(GREETING + HELLO)
        ours.authorise(200)
        assert code_of(ours, encode_command("INITIATE", properties)) == expected


def test_a_stranger_has_little_room():
    """Before a password has been seen nobody needs more than a name and a password take."""
    ours = server()
    ours.receive_data(GREETING)
    assert code_of(ours, b"\x06" + (600).to_bytes(8, "big")) == UNSPECIFIED
    assert ours.memory < 1000


@pytest.mark.parametrize(
    "peer", [golden.greeting(), golden.greeting(mechanism=b"CURVE"), golden.greeting(mechanism=b"PLAINX")]
)
def test_another_mechanism_is_no_downgrade(peer):
    assert code_of(client(), peer) == MISMATCH
    assert code_of(server(), peer) == MISMATCH


@pytest.mark.parametrize("old", [b"\x01\x00", golden.SIGNATURE + b"\x01\x05\x00\x00", golden.SIGNATURE + b"\x00\x05"])
def test_older_versions_are_no_downgrade(old):
    for ours in (client(), server()):
        with pytest.raises(RemoteProtocolError):
            ours.receive_data(old)


def test_two_servers_do_not_wait_for_each_other():
    assert code_of(server(), AS_SERVER) == MISMATCH


def test_two_clients_fail():
    assert code_of(client(), GREETING + HELLO) == UNEXPECTED


def test_the_password_is_nowhere_to_be_seen():
    ours = Handshake("DEALER", mechanism="PLAIN", username=b"user", password=b"open sesame")
    assert "sesame" not in repr(ours)
    with pytest.raises(RemoteProtocolError) as caught:
        ours.receive_data(AS_SERVER + encode_command("ERROR", b"\x03400"))
    assert "sesame" not in repr(caught.value)


@given(st.lists(st.integers(1, 40), max_size=40), st.binary(max_size=255), st.binary(max_size=255))
def test_both_sides_agree_in_any_pieces(cuts, username, password):
    a = Handshake("REQ", b"me", mechanism="PLAIN", username=username, password=password)
    b = Handshake("ROUTER", mechanism="PLAIN", as_server=True)
    pieces = iter(cuts)
    seen = []
    while a.state != "ready" or b.state != "ready":
        moved = False
        for source, target in ((a, b), (b, a)):
            data = source.data_to_send(next(pieces, 1 << 16))
            if data:
                moved = True
                seen += target.receive_data(data)
            if target.state == "wait_authorisation":
                seen += target.authorise(200)
                moved = True
        assert moved
    asked = next(event for event in seen if isinstance(event, AuthorisationRequired))
    assert asked.credentials == [username, password]
    assert next(event for event in seen if isinstance(event, HandshakeDone) and event.identity == b"me")


@given(st.binary(max_size=300), st.integers(0, 2))
def test_garbage_harms_nobody(junk, step):
    for ours, said in ((server(), [b"", HELLO]), (client(), [b"", WELCOME])):
        ours.receive_data(AS_SERVER if ours.data_to_send() == GREETING else GREETING)
        try:
            for command in said[: step + 1]:
                ours.receive_data(command)
                if ours.state == "wait_authorisation":
                    ours.authorise(200)
            ours.receive_data(junk)
            ours.receive_data(encode_frame(junk, is_command=True))
        except RemoteProtocolError:
            assert ours.state == "failed"
        assert ours.memory < 70_000
