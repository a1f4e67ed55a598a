"""Sockets for tornado: `zmqstream.ZMQStream` with callbacks, `future` with futures. Needs tornado 5 or newer."""

from pyzq.eventloop.ioloop import IOLoop

__all__ = ["IOLoop"]
