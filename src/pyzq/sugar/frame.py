"""See `pyzq.frame`."""

from pyzq.frame import Frame, Message

__all__ = ["Frame", "Message"]
