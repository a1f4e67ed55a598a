"""Streams for tornado in programs that use gevent. See `pyzq.eventloop`."""

from pyzq.green.eventloop.ioloop import IOLoop

__all__ = ["IOLoop"]
