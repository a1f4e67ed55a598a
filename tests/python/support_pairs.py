"""Connected sockets for the tests of this folder."""

import contextlib


@contextlib.contextmanager
def pair(context, first, second, address="inproc://pair"):
    """Two sockets of one context, the first bound, the second connected."""
    a, b = context.socket(first), context.socket(second)
    try:
        for s in (a, b):
            s.set(17, 0)
        a.bind(address)
        b.connect(a.get(32).decode())
        yield a, b
    finally:
        b.close()
        a.close()
