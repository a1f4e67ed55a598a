"""See `pyzq.poll`."""

from pyzq.poll import Poller, select

__all__ = ["Poller", "select"]
