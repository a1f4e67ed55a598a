"""CURVE against a peer spoken by hand with PyNaCl's primitives, each step tampered with, and against itself."""

import struct
import sys
from pathlib import Path

import golden
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("nacl")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.curvepeer import CurveClient, CurveServer, keypair
from support.rawpeer import command, frame, properties

from zcore.codec import (
    AuthorisationRequired,
    FrameDecoder,
    Handshake,
    HandshakeDone,
    LocalProtocolError,
    RemoteProtocolError,
    encode_subscribe,
)

GREETING = golden.greeting(mechanism=b"CURVE")
SERVER_KEYS = keypair()
CLIENT_KEYS = keypair()

UNSPECIFIED = 0x10000000
UNEXPECTED = 0x10000001
SEQUENCE = 0x10000002
NO_MESSAGE = 0x10000011
MALFORMED_MESSAGE = 0x10000012
MALFORMED_HELLO = 0x10000013
MALFORMED_INITIATE = 0x10000014
MALFORMED_READY = 0x10000016
MALFORMED_WELCOME = 0x10000017
METADATA = 0x10000018
CRYPTOGRAPHIC = 0x11000001
MISMATCH = 0x11000002


def server(**options):
    return Handshake("DEALER", mechanism="CURVE", as_server=True, secret_key=SERVER_KEYS[1], **options)


def client(**options):
    return Handshake(
        "DEALER",
        mechanism="CURVE",
        public_key=CLIENT_KEYS[0],
        secret_key=CLIENT_KEYS[1],
        server_key=SERVER_KEYS[0],
        **options,
    )


def next_command(handshake):
    """(name, argument, bytes) of what it says next, behind its greeting."""
    said = handshake.data_to_send()
    (found,) = FrameDecoder(3).receive_data(said)
    return found.name, found.argument, said


def code_of(handshake, data):
    with pytest.raises(RemoteProtocolError) as caught:
        handshake.receive_data(data)
    assert handshake.state == "failed"
    return caught.value.code


def greeted(handshake):
    handshake.data_to_send()
    handshake.receive_data(GREETING)
    return handshake


def welcomed(ours=None):
    """Our server behind its WELCOME, and the client by hand that has taken it."""
    ours = greeted(ours or server())
    peer = CurveClient(SERVER_KEYS[0], CLIENT_KEYS)
    ours.receive_data(peer.hello())
    name, argument, _ = next_command(ours)
    assert name == "WELCOME"
    peer.take_welcome(argument)
    return ours, peer


def initiated():
    """Our client behind its INITIATE, and the server by hand that has taken it."""
    ours = greeted(client())
    peer = CurveServer(SERVER_KEYS)
    peer.take_hello(next_command(ours)[1])
    ours.receive_data(peer.welcome())
    name, argument, _ = next_command(ours)
    assert name == "INITIATE"
    return ours, peer, peer.take_initiate(argument)


def connected():
    """Our server and a client by hand, ready."""
    ours, peer = welcomed()
    ours.receive_data(peer.initiate())
    assert ours.state == "ready"
    peer.take_ready(next_command(ours)[1])
    return ours, peer


# ---- what is said ------------------------------------------------------------------------------------------


def test_sizes_are_those_of_the_rfc():
    ours = greeted(client())
    name, argument, said = next_command(ours)
    assert name == "HELLO"
    assert len(said) == 2 + 200
    assert argument[:74] == b"\x01\x00" + bytes(72)
    assert struct.unpack(">Q", argument[106:114])[0] == 1
    peer = CurveServer(SERVER_KEYS)
    peer.take_hello(argument)
    ours.receive_data(peer.welcome())
    name, argument, said = next_command(ours)
    assert name == "INITIATE"
    assert len(said) == 9 + 257 + len(properties(Socket_Type=b"DEALER", Identity=b""))
    assert struct.unpack(">Q", argument[96:104])[0] == 2

    ours, peer = welcomed()
    ours.receive_data(peer.initiate())
    name, argument, said = next_command(ours)
    assert name == "READY"
    assert len(said) == 2 + 30 + len(properties(Socket_Type=b"DEALER", Identity=b""))


def test_client_of_ours():
    ours, peer, metadata = initiated()
    assert peer.client_key == CLIENT_KEYS[0]
    assert metadata == properties(Socket_Type=b"DEALER", Identity=b"")
    (done,) = ours.receive_data(peer.ready(properties(Socket_Type=b"ROUTER", Identity=b"srv")))
    assert isinstance(done, HandshakeDone)
    assert (done.socket_type, done.identity) == ("ROUTER", b"srv")
    flags, payload = peer.open_message(FrameDecoder(3).receive_data(ours.encode_frame(b"hi", more=True))[0].body)
    assert (flags, payload) == (1, b"hi")
    assert ours.decode_frame(FrameDecoder(3).receive_data(peer.message(b"x" * 1000, 1))[0].body) == (
        b"x" * 1000,
        True,
        False,
    )


def test_server_of_ours():
    ours, peer = connected()
    assert ours.decode_frame(FrameDecoder(3).receive_data(peer.message(b""))[0].body) == (b"", False, False)
    flags, payload = peer.open_message(
        FrameDecoder(3).receive_data(ours.encode_frame(encode_subscribe(b"t")[2:], is_command=True))[0].body
    )
    assert (flags, payload) == (2, b"\x09SUBSCRIBEt")


def test_the_outer_frame_is_a_message_of_its_own():
    """No COMMAND and no MORE on the outside: libzmq swallows frames that have them."""
    ours, _ = connected()
    for more, is_command in ((False, False), (True, False), (False, True)):
        (event,) = FrameDecoder(3).receive_data(ours.encode_frame(b"x", more, is_command))
        assert event.flags == 0
        assert event.body.startswith(b"\x07MESSAGE")


def test_a_server_asks_for_the_key_only_when_it_is_proved():
    ours, peer = welcomed(server(zap_wait=True))
    (asked,) = ours.receive_data(peer.initiate(properties(Socket_Type=b"ROUTER", Identity=b"me")))
    assert asked == AuthorisationRequired(b"me", [("Socket-Type", b"ROUTER"), ("Identity", b"me")], [CLIENT_KEYS[0]])
    assert ours.data_to_send() == b""
    assert isinstance(ours.authorise(200)[0], HandshakeDone)
    peer.take_ready(next_command(ours)[1])


@pytest.mark.parametrize(("status", "said"), [(300, b""), (400, golden.ERROR_400), (500, b"\x04\x0a\x05ERROR\x03500")])
def test_refusals(status, said):
    ours, peer = welcomed(server(zap_wait=True))
    ours.receive_data(peer.initiate())
    ours.authorise(status)
    assert ours.state == "failed"
    assert ours.data_to_send() == said


def test_a_client_hears_a_refusal():
    for ours in (greeted(client()), initiated()[0]):
        with pytest.raises(RemoteProtocolError) as caught:
            ours.receive_data(golden.ERROR_400)
        assert caught.value.status == 400


def test_a_public_key_can_be_computed():
    ours = greeted(Handshake("REQ", mechanism="CURVE", secret_key=CLIENT_KEYS[1], server_key=SERVER_KEYS[0]))
    peer = CurveServer(SERVER_KEYS)
    peer.take_hello(next_command(ours)[1])
    ours.receive_data(peer.welcome())
    peer.take_initiate(next_command(ours)[1])
    assert peer.client_key == CLIENT_KEYS[0]


def test_keys_that_are_missing():
    for options in ({}, {"secret_key": CLIENT_KEYS[1]}, {"server_key": SERVER_KEYS[0]}, {"as_server": True}):
        with pytest.raises(LocalProtocolError):
            Handshake("REQ", mechanism="CURVE", **options)
    with pytest.raises(LocalProtocolError):
        Handshake("REQ", mechanism="CURVE", as_server=True, secret_key=b"short")


# ---- tampering ---------------------------------------------------------------------------------------------


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


PADDING = range(2 + 6 + 2, 2 + 6 + 2 + 72)  # of HELLO: means nothing, and is not authenticated


def test_every_byte_of_hello_counts():
    said = CurveClient(SERVER_KEYS[0]).hello()
    for at in range(2, len(said)):
        ours = greeted(server())
        if at in PADDING:
            ours.receive_data(flipped(said, at))
            assert ours.state == "more"
        else:
            with pytest.raises(RemoteProtocolError):
                ours.receive_data(flipped(said, at))


def test_every_byte_of_welcome_counts():
    ours = greeted(client())
    peer = CurveServer(SERVER_KEYS)
    peer.take_hello(next_command(ours)[1])
    said = peer.welcome()
    for at in range(2, len(said)):
        ours = greeted(client())
        fresh = CurveServer(SERVER_KEYS)
        fresh.take_hello(next_command(ours)[1])
        with pytest.raises(RemoteProtocolError):
            ours.receive_data(flipped(fresh.welcome(), at))


def test_every_byte_of_initiate_counts():
    length = len(welcomed()[1].initiate())
    for at in range(9, length):
        ours, peer = welcomed()
        with pytest.raises(RemoteProtocolError):
            ours.receive_data(flipped(peer.initiate(), at))


def test_every_byte_of_ready_counts():
    length = len(initiated()[1].ready())
    for at in range(2, length):
        ours, peer, _ = initiated()
        with pytest.raises(RemoteProtocolError):
            ours.receive_data(flipped(peer.ready(), at))


def test_every_byte_of_a_message_counts():
    ours, peer = connected()
    body = FrameDecoder(3).receive_data(peer.message(b"a message of some length"))[0].body
    for at in range(len(body)):
        with pytest.raises(RemoteProtocolError):
            ours.decode_frame(flipped(body, at))
    assert ours.decode_frame(body)[0] == b"a message of some length"


def test_every_cut_of_every_step():
    def cut(said, n):
        (event,) = FrameDecoder(3).receive_data(said)
        return command(event.name.encode(), event.argument[:n])

    hello = CurveClient(SERVER_KEYS[0]).hello()
    for n in range(0, 194, 7):
        assert code_of(greeted(server()), cut(hello, n)) == MALFORMED_HELLO
    for n in range(0, 160, 7):
        ours = greeted(client())
        peer = CurveServer(SERVER_KEYS)
        peer.take_hello(next_command(ours)[1])
        assert code_of(ours, cut(peer.welcome(), n)) == MALFORMED_WELCOME
    for n in range(0, 300, 13):
        ours, peer = welcomed()
        assert code_of(ours, cut(peer.initiate(bytes(100)), n)) in (MALFORMED_INITIATE, SEQUENCE, CRYPTOGRAPHIC)
    for n in range(0, 60, 7):
        ours, peer, _ = initiated()
        assert code_of(ours, cut(peer.ready(bytes(100)), n)) in (MALFORMED_READY, CRYPTOGRAPHIC)
    ours, peer = connected()
    body = FrameDecoder(3).receive_data(peer.message(b"x" * 20))[0].body
    for n in range(len(body)):
        with pytest.raises(RemoteProtocolError) as caught:
            ours.decode_frame(body[:n])
        expected = NO_MESSAGE if n < 8 else MALFORMED_MESSAGE if n < 33 else CRYPTOGRAPHIC
        assert caught.value.code == expected


def test_nonces_increase():
    ours, peer = connected()
    bodies = [FrameDecoder(3).receive_data(peer.message(b"%d" % n))[0].body for n in range(4)]
    assert ours.decode_frame(bodies[0])[0] == b"0"
    assert ours.decode_frame(bodies[2])[0] == b"2"  # a gap is no fault: what counts is the order
    for body in (bodies[0], bodies[1], bodies[2]):
        with pytest.raises(RemoteProtocolError) as caught:
            ours.decode_frame(body)
        assert caught.value.code == SEQUENCE
    assert ours.decode_frame(bodies[3])[0] == b"3"


def test_the_last_nonce_is_not_passed():
    ours, peer = connected()
    body = FrameDecoder(3).receive_data(peer.message(b"x", nonce=2**64 - 1))[0].body
    assert ours.decode_frame(body)[0] == b"x"
    with pytest.raises(RemoteProtocolError):
        ours.decode_frame(FrameDecoder(3).receive_data(peer.message(b"y", nonce=0))[0].body)


def test_initiate_may_not_repeat_the_nonce_of_hello():
    ours, peer = welcomed()
    assert code_of(ours, peer.initiate(nonce=1)) == SEQUENCE


def test_messages_may_not_repeat_the_nonce_of_initiate():
    ours, peer = connected()
    with pytest.raises(RemoteProtocolError) as caught:
        ours.decode_frame(FrameDecoder(3).receive_data(peer.message(b"x", nonce=2))[0].body)
    assert caught.value.code == SEQUENCE


# ---- impostors ---------------------------------------------------------------------------------------------


def test_a_client_with_the_wrong_server_key():
    assert code_of(greeted(server()), CurveClient(keypair()[0]).hello()) == CRYPTOGRAPHIC


def test_a_server_that_has_not_the_key():
    ours = greeted(client())
    impostor = CurveServer(keypair())
    impostor.client_short = next_command(ours)[1][74:106]
    assert code_of(ours, impostor.welcome()) == CRYPTOGRAPHIC


def test_a_hello_that_proves_nothing():
    assert code_of(greeted(server()), CurveClient(SERVER_KEYS[0]).hello(plain=b"\1" + bytes(63))) == CRYPTOGRAPHIC


@pytest.mark.parametrize("version", [b"\x00\x00", b"\x02\x00", b"\x01\x01"], ids=bytes.hex)
def test_other_versions(version):
    assert code_of(greeted(server()), CurveClient(SERVER_KEYS[0]).hello(version)) == MALFORMED_HELLO


def test_a_vouch_for_another_server_is_none():
    """Whoever a client has talked to must not be able to pose as that client here."""
    ours, peer = welcomed()
    honest, peer.server_key = peer.server_key, keypair()[0]
    vouch = peer.vouch()
    peer.server_key = honest
    assert code_of(ours, peer.initiate(vouch=vouch)) == CRYPTOGRAPHIC


def test_a_vouch_for_another_connection_is_none():
    ours, peer = welcomed()
    honest, peer.short_public = peer.short_public, keypair()[0]
    vouch = peer.vouch()
    peer.short_public = honest
    assert code_of(ours, peer.initiate(vouch=vouch)) == CRYPTOGRAPHIC


def test_a_client_that_claims_another_key():
    ours, peer = welcomed()
    vouch = peer.vouch()
    peer.public = keypair()[0]
    assert code_of(ours, peer.initiate(vouch=vouch)) == CRYPTOGRAPHIC


def test_a_cookie_of_another_connection_is_none():
    ours, peer = welcomed()
    _, other = welcomed()
    assert code_of(ours, peer.initiate(cookie=other.cookie)) == CRYPTOGRAPHIC


def test_a_public_key_of_no_order():
    """Shared keys that everybody knows are refused, as libsodium says."""
    peer = CurveClient(SERVER_KEYS[0])
    peer.short_public = bytes(32)
    said = command(b"HELLO", b"\x01\x00" + bytes(72) + bytes(32) + struct.pack(">Q", 1) + bytes(80))
    assert code_of(greeted(server()), said) == CRYPTOGRAPHIC
    ours = greeted(client())
    honest = CurveServer(SERVER_KEYS)
    honest.take_hello(next_command(ours)[1])
    assert code_of(ours, honest.welcome(bytes(32) + bytes(96))) == CRYPTOGRAPHIC


# ---- order, versions, sizes --------------------------------------------------------------------------------


def test_steps_in_order_only():
    peer = CurveClient(SERVER_KEYS[0])
    hello = peer.hello()
    for name in (b"WELCOME", b"INITIATE", b"READY", b"MESSAGE"):
        assert code_of(greeted(server()), command(name, bytes(200))) == UNEXPECTED
        assert name == b"WELCOME" or code_of(greeted(client()), command(name, bytes(200))) == UNEXPECTED
    ours = greeted(server())
    ours.receive_data(hello)
    assert code_of(ours, hello) == UNEXPECTED
    ours, peer, _ = initiated()
    assert code_of(ours, peer.welcome()) == UNEXPECTED


@pytest.mark.parametrize(
    "peer", [golden.greeting(), golden.greeting(mechanism=b"PLAIN"), golden.greeting(mechanism=b"curve")]
)
def test_another_mechanism_is_no_downgrade(peer):
    for ours in (client(), server()):
        assert code_of(ours, peer) == MISMATCH


@pytest.mark.parametrize("old", [b"\x01\x00", golden.SIGNATURE + b"\x01\x05\x00\x00", golden.SIGNATURE + b"\x00\x05"])
def test_older_versions_are_no_downgrade(old):
    for ours in (client(), server()):
        with pytest.raises(RemoteProtocolError):
            ours.receive_data(old)


def test_a_ready_in_the_clear_is_no_ready():
    assert code_of(greeted(client()), golden.READY_DEALER_ABC) == UNEXPECTED
    ours, _, _ = initiated()
    assert code_of(ours, golden.READY_DEALER_ABC) in (MALFORMED_READY, CRYPTOGRAPHIC)


def test_two_servers_do_not_wait_for_each_other():
    assert code_of(server(), golden.greeting(mechanism=b"CURVE", as_server=1)) == MISMATCH


def test_strangers_have_little_room():
    for ours in (greeted(server()), greeted(client())):
        assert code_of(ours, b"\x06" + (300).to_bytes(8, "big")) == UNSPECIFIED
        assert ours.memory < 1000


def test_metadata_is_judged():
    for metadata in (b"\x05ab", properties(Socket_Type=b"PUB"), properties(Socket_Type=b"REP") * 2):
        ours, peer = welcomed()
        assert code_of(ours, peer.initiate(metadata)) == METADATA
        ours, peer, _ = initiated()
        assert code_of(ours, peer.ready(metadata)) == METADATA


def test_long_metadata():
    long = {"X-Long": b"v" * 60_000}
    a = client(properties=long)
    b = server(properties=long)
    run(a, b)
    with pytest.raises(LocalProtocolError):
        client(properties={"X-Long": b"v" * 65_100})


def test_secrets_are_nowhere_to_be_seen():
    ours = client()
    shown = repr(ours) + str(ours.__doc__)
    with pytest.raises(RemoteProtocolError) as caught:
        ours.receive_data(golden.greeting())
    shown += repr(caught.value) + repr(vars(caught.value))
    assert CLIENT_KEYS[1].hex() not in shown
    assert repr(CLIENT_KEYS[1])[2:-1] not in shown


# ---- in any pieces -----------------------------------------------------------------------------------------


def run(a, b, cuts=()):
    """Let two handshakes talk in pieces; the events of both."""
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
    return seen


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 90), max_size=40),
    st.booleans(),
    st.lists(st.tuples(st.binary(max_size=600), st.booleans()), max_size=8),
)
def test_both_sides_agree_in_any_pieces(cuts, asked, frames):
    a, b = client(), server(zap_wait=asked)
    run(a, b, cuts)
    for source, target in ((a, b), (b, a)):
        wire = b"".join(source.encode_frame(body, more) for body, more in frames)
        for (body, more), event in zip(frames, FrameDecoder(3).receive_data(wire), strict=True):
            assert target.decode_frame(event.body) == (body, more, False)


@settings(deadline=None)
@given(st.data())
def test_a_damaged_conversation_never_gets_ready(data):
    """One change anywhere in the bytes of one side: it fails, or means nothing, and never passes for something else."""
    a, b = client(), server()
    b.receive_data(a.data_to_send())
    a.receive_data(b.data_to_send())
    at = data.draw(st.integers(0, 3))
    for step, (source, target) in enumerate(((a, b), (b, a), (a, b), (b, a))):
        said = source.data_to_send()
        if step != at:
            target.receive_data(said)
            continue
        index = data.draw(st.integers(9 if len(said) > 257 else 2, len(said) - 1))
        if data.draw(st.booleans()):
            changed = said[:index] + bytes([said[index] ^ data.draw(st.integers(1, 255))]) + said[index + 1 :]
        else:
            changed = frame(said[2 : max(3, index)] if len(said) <= 257 else said[9 : max(10, index)], 4)
        if at == 0 and len(changed) == len(said) and index in PADDING:
            return
        with pytest.raises(RemoteProtocolError):
            target.receive_data(changed)
        assert target.state == "failed"
        return


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1), st.booleans())
def test_garbage_harms_nobody(junk, step, whole):
    for ours in ((greeted(server()), welcomed()[0])[step], (greeted(client()), initiated()[0])[step]):
        try:
            ours.receive_data(frame(junk, 4) if whole else junk)
        except RemoteProtocolError:
            assert ours.state == "failed"
        assert ours.state != "ready"
        assert ours.memory < 70_000
