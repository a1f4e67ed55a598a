"""Streams over sockets of `pyzq.green`. See `pyzq.eventloop.zmqstream`."""

from pyzq.eventloop import zmqstream


class ZMQStream(zmqstream.ZMQStream):
    """A stream over a socket of `pyzq.green`; its callbacks may let other greenlets run. See the base class."""


__all__ = ["ZMQStream"]
