"""One part of a message, with its memory."""

from __future__ import annotations

from zcore.frame import Frame

Message = Frame

__all__ = ["Frame", "Message"]
