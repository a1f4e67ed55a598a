"""See `pyzq.eventloop.ioloop`."""

from pyzq.eventloop.ioloop import DelayedCallback, IOLoop, PeriodicCallback, ZMQIOLoop, install

__all__ = ["DelayedCallback", "IOLoop", "PeriodicCallback", "ZMQIOLoop", "install"]
