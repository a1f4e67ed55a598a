"""What calls return and raise, here and in stock pyzmq, side by side: the type of the exception and its errno."""

import pytest

import pyzq

stock = pytest.importorskip("zmq")


def socket(zmq, kind="DEALER"):
    made = zmq.Context.instance().socket(getattr(zmq, kind))
    made.linger = 0
    return made


def closed(zmq):
    made = socket(zmq)
    made.close()
    return made


def ended(zmq):
    made = zmq.Context()
    made.term()
    return made


def frame(zmq, data=b"hello", **options):
    return zmq.Frame(data, **options)


def linked(zmq, send):
    """What `send` returns, as the kind of thing that it is."""
    a, b = socket(zmq, "PAIR"), socket(zmq, "PAIR")
    a.bind("inproc://agreement")
    b.connect("inproc://agreement")
    try:
        return type(send(a)).__name__
    finally:
        a.close()
        b.close()


def yielded(zmq, verb):
    made = socket(zmq)
    with getattr(made, verb)("inproc://with") as inside:
        return inside is made


class Mine:
    """Subclasses of Frame, one of each implementation."""

    pyzq = type("Sub", (pyzq.Frame,), {})
    zmq = type("Sub", (stock.Frame,), {})


CASES = {
    # integers beyond the C type
    **{
        f"int-{value}": lambda zmq, value=value: socket(zmq).set(zmq.LINGER, value)
        for value in (1 << 31, 1 << 40, -(1 << 31) - 1, 1 << 63, 1 << 70)
    },
    "int64-fits": lambda zmq: socket(zmq).set(zmq.MAXMSGSIZE, 1 << 40),
    "int64-does-not": lambda zmq: socket(zmq).set(zmq.MAXMSGSIZE, 1 << 63),
    "unknown-option-large": lambda zmq: socket(zmq).set(9999, 1 << 40),
    "context-int": lambda zmq: zmq.Context().set(zmq.MAX_SOCKETS, 1 << 40),
    # options of bytes
    **{
        f"none-{name}": lambda zmq, name=name: socket(zmq).set(getattr(zmq, name), None)
        for name in ("ROUTING_ID", "ZAP_DOMAIN", "CURVE_PUBLICKEY")
    },
    "none-subscribe": lambda zmq: socket(zmq, "SUB").set(zmq.SUBSCRIBE, None),
    "none-welcome": lambda zmq: socket(zmq, "XPUB").set(zmq.XPUB_WELCOME_MSG, None),
    "float": lambda zmq: socket(zmq).set(zmq.LINGER, 1.5),
    "context-str": lambda zmq: zmq.Context().set(zmq.IO_THREADS, "1"),
    # ends
    "poll-closed": lambda zmq: closed(zmq).poll(0),
    "send-closed": lambda zmq: closed(zmq).send(b""),
    "get-closed": lambda zmq: closed(zmq).get(zmq.LINGER),
    "fileno-closed": lambda zmq: closed(zmq).fileno(),
    "get-ended": lambda zmq: ended(zmq).get(zmq.IO_THREADS),
    "set-ended": lambda zmq: ended(zmq).set(zmq.IO_THREADS, 1),
    "attribute-ended": lambda zmq: ended(zmq).io_threads,
    "socket-ended": lambda zmq: ended(zmq).socket(zmq.PUSH),
    # messages
    "no-parts": lambda zmq: socket(zmq).send_multipart([]),
    "not-a-part": lambda zmq: socket(zmq).send_multipart([b"a", object()]),
    "not-parts": lambda zmq: socket(zmq).send_multipart(b"abc"),
    "copied": lambda zmq: linked(zmq, lambda s: s.send(b"x")),
    "copied-tracked": lambda zmq: linked(zmq, lambda s: s.send(b"x", track=True)),
    "copied-buffer-tracked": lambda zmq: linked(zmq, lambda s: s.send(bytearray(5), track=True)),
    "lent": lambda zmq: linked(zmq, lambda s: s.send(b"x", copy=False)),
    "lent-tracked": lambda zmq: linked(zmq, lambda s: s.send(b"x", copy=False, track=True)),
    "frame-lent": lambda zmq: linked(zmq, lambda s: s.send(frame(zmq), copy=False)),
    "frame-untracked": lambda zmq: linked(zmq, lambda s: s.send(frame(zmq), track=True)),
    "frame-tracked": lambda zmq: linked(zmq, lambda s: s.send(frame(zmq, track=True), copy=False)),
    "parts-copied-tracked": lambda zmq: linked(zmq, lambda s: s.send_multipart([b"x", b"y"], track=True)),
    "parts-lent": lambda zmq: linked(zmq, lambda s: s.send_multipart([b"x", b"y"], copy=False)),
    # frames
    "repr": lambda zmq: repr(frame(zmq)),
    "str": lambda zmq: str(frame(zmq)),
    "repr-long": lambda zmq: repr(frame(zmq, b"hello" * 1000)),
    "repr-of-subclass": lambda zmq: repr(getattr(Mine, zmq.__name__)(b"hello")),
    "equal": lambda zmq: frame(zmq) == frame(zmq),
    "equal-bytes": lambda zmq: frame(zmq) == b"hello",
    "hashable": lambda zmq: len({frame(zmq), frame(zmq)}),
    "option-srcfd": lambda zmq: frame(zmq).get(zmq.SRCFD),
    "option-unknown": lambda zmq: frame(zmq).get(99),
    "property-unknown": lambda zmq: frame(zmq).get("No-Such"),
    "property-float": lambda zmq: frame(zmq).get(1.5),
    # endpoints
    "with-bind": lambda zmq: yielded(zmq, "bind"),
    "with-connect": lambda zmq: yielded(zmq, "connect"),
    **{
        f"monitor-{address}": lambda zmq, address=address: socket(zmq).monitor(address)
        for address in ("foo", "", "foo://x", "tcp://127.0.0.1:5", "inproc://", 5)
    },
}


def outcome(zmq, call):
    try:
        value = call(zmq)
    except Exception as error:
        for kind in (zmq.ZMQError, RuntimeError, OverflowError, TypeError, ValueError, IndexError):
            if isinstance(error, kind) and not (kind is zmq.ZMQError and isinstance(error, RuntimeError)):
                return kind.__name__, getattr(error, "errno", None) if kind is zmq.ZMQError else None
        raise
    return value


@pytest.mark.filterwarnings("ignore:(Unclosed|Destroying):ResourceWarning")
@pytest.mark.parametrize("case", CASES)
def test_same_as_stock(case):
    ours, theirs = outcome(pyzq, CASES[case]), outcome(stock, CASES[case])
    pyzq.Context.instance().destroy(0)
    stock.Context.instance().destroy(0)
    assert ours == theirs
