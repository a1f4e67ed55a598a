"""See `pyzq.stopwatch`."""

from pyzq.stopwatch import Stopwatch

__all__ = ["Stopwatch"]
