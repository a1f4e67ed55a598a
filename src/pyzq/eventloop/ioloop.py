"""Tornado's event loop, under the name that programs from the time when sockets needed a loop of their own import."""

from __future__ import annotations

from tornado.ioloop import IOLoop, PeriodicCallback

from pyzq.eventloop._deprecated import DelayedCallback, install

ZMQIOLoop = IOLoop

__all__ = ["DelayedCallback", "IOLoop", "PeriodicCallback", "ZMQIOLoop", "install"]
