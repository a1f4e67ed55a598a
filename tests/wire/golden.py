"""Bytes as libzmq 4.3.5 puts them on the wire, and conversations in which it and we must say the same.

Every literal was seen between libzmq and a raw TCP peer.  `CONVERSATIONS` is judged twice: against libzmq
(test_handshake_libzmq.py) and against ours (test_handshake.py).
"""

SIGNATURE = bytes.fromhex("ff00000000000000017f")
SIGNATURE_ABC = bytes.fromhex("ff00000000000000047f")  # with an identity of three bytes


def rest_of_greeting(minor=1, mechanism=b"NULL", as_server=0):
    """Everything behind the major version: 53 bytes."""
    return bytes([minor]) + mechanism.ljust(20, b"\0") + bytes([as_server]) + bytes(31)


def greeting(minor=1, mechanism=b"NULL", major=3, signature=SIGNATURE, as_server=0):
    return signature + bytes([major]) + rest_of_greeting(minor, mechanism, as_server)


READY_DEALER_ABC = bytes.fromhex(
    "042c 055245414459 0b536f636b65742d54797065 00000006 4445414c4552 084964656e74697479 00000003 616263"
)
READY_ROUTER = bytes.fromhex(
    "0429 055245414459 0b536f636b65742d54797065 00000006 524f55544552 084964656e74697479 00000000"
)
READY_PULL = bytes.fromhex("041a 055245414459 0b536f636b65742d54797065 00000004 50554c4c")
READY_PUSH = bytes.fromhex("041a 055245414459 0b536f636b65742d54797065 00000004 50555348")
READY_SUB = bytes.fromhex("0419 055245414459 0b536f636b65742d54797065 00000003 535542")
READY_PUB = bytes.fromhex("0419 055245414459 0b536f636b65742d54797065 00000003 505542")

SUBSCRIBE_TOP = b"\x04\x0d\x09SUBSCRIBEtop"
CANCEL_TOP = b"\x04\x0a\x06CANCELtop"
SUBSCRIBE_TOP_3_0 = b"\x00\x04\x01top"
CANCEL_TOP_3_0 = b"\x00\x04\x00top"
SUBSCRIBE_TOP_1_0 = b"\x05\x00\x01top"
PING_1_SECOND = b"\x04\x07\x04PING\x00\x0a"
PONG_EMPTY = b"\x04\x05\x04PONG"
ERROR_400 = b"\x04\x0a\x05ERROR\x03400"
ERROR_400_OF_PLAIN = b"^RROR\x03400"  # the body of the frame in which libzmq's PLAIN server says 400
HI = b"\x00\x02hi"
HI_RESERVED_BITS = b"\xf8\x02hi"
HI_LONG = b"\x02\x00\x00\x00\x00\x00\x00\x00\x02hi"
HI_1_0 = b"\x03\x00hi"
REQ_Q = b"\x01\x00\x00\x01q"
REQ_Q_CORRELATED = b"\x01\x04\x00\x00\x00\x07\x01\x00\x00\x01q"
PROBE = b"\x00\x00"
HTTP = b"GET / HTTP/1.1\r\n"

# name: (our type, our identity, [(the peer sends, we answer), ...]).  The first answer comes unasked.
CONVERSATIONS = {
    "3.1 in libzmq's steps": (
        "PULL",
        b"",
        [
            (b"", SIGNATURE),
            (SIGNATURE, b"\x03"),
            (b"\x03", rest_of_greeting()),
            (rest_of_greeting(), READY_PULL),
        ],
    ),
    "3.1 at once": ("PULL", b"", [(b"", SIGNATURE), (greeting(), b"\x03" + rest_of_greeting() + READY_PULL)]),
    "3.1 with identity": (
        "DEALER",
        b"abc",
        [(b"", SIGNATURE_ABC), (greeting(), b"\x03" + rest_of_greeting() + READY_DEALER_ABC)],
    ),
    "3.0": ("PULL", b"", [(b"", SIGNATURE), (greeting(minor=0), b"\x03" + rest_of_greeting() + READY_PULL)]),
    "4.0": ("PULL", b"", [(b"", SIGNATURE), (greeting(major=4, minor=0), b"\x03" + rest_of_greeting() + READY_PULL)]),
    "2.0": ("PULL", b"", [(b"", SIGNATURE), (SIGNATURE + b"\x01\x08", b"\x03\x07\x00\x00"), (b"\x00\x03xyz", b"")]),
    "2.0 with identity": (
        "ROUTER",
        b"abc",
        [(b"", SIGNATURE_ABC), (SIGNATURE + b"\x01\x05\x00\x03xyz", b"\x03\x06\x00\x03abc")],
    ),
    "1.0 with a version": (
        "PULL",
        b"",
        [(b"", SIGNATURE), (SIGNATURE + b"\x00\x08", b"\x03\x07\x01\x00"), (b"\x04\x00xyz", b"")],
    ),
    "1.0 anonymous": ("PULL", b"", [(b"", SIGNATURE), (b"\x01\x00", b"")]),
    "1.0 with identity": ("ROUTER", b"abc", [(b"", SIGNATURE_ABC), (b"\x04", b"abc"), (b"\x00xyz", b"")]),
    "1.0 with a long identity header": (
        "ROUTER",
        b"abc",
        [(b"", SIGNATURE_ABC), (b"\xff\x00\x00\x00\x00\x00\x00\x00\x04\x00xyz", b"abc")],
    ),
}
