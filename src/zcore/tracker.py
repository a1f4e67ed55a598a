"""Tells when the engine has let go of the buffers of one or more messages."""

from __future__ import annotations

from time import monotonic

from zcore.errors import NotDone
from zcore.message import drain

_LOOK_FIRST, _LOOK_LAST = 0.0005, 0.02  # seconds between two looks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import Event
    from typing import Any


class MessageTracker:
    """Follows messages that are sent from the caller's own memory (`copy=False, track=True`).

    Args:
        *towatch: what to follow: events (objects with `is_set` and `wait`), other trackers, or frames that were made
            with `track=True`.

    Raises:
        TypeError: an argument is none of these.
        ValueError: a frame that is not tracked.
    """

    __slots__ = ("__weakref__", "events", "peers")

    events: set[Event]
    peers: set[MessageTracker]

    def __init__(self, *towatch: Any) -> None:
        self.events = set()
        self.peers = set()
        for obj in towatch:
            if isinstance(obj, MessageTracker):
                self.peers.add(obj)
            elif hasattr(obj, "is_set") and hasattr(obj, "wait"):
                self.events.add(obj)
            elif hasattr(obj, "tracker"):
                if obj.tracker is None:
                    raise ValueError("the frame is not tracked")
                self.peers.add(obj.tracker)
            else:
                raise TypeError(f"expected events, trackers or tracked frames, not {type(obj).__name__}")

    @property
    def done(self) -> bool:
        """True once every message is out of the engine's hands: its buffers may be changed or freed."""
        drain()
        return all(event.is_set() for event in self.events) and all(peer.done for peer in self.peers)

    def wait(self, timeout: float = -1) -> None:
        """Wait until `done`.

        Args:
            timeout: seconds; negative (or False) waits for ever.

        Raises:
            NotDone: the time is over and some message is still in use.
        """
        forever = timeout is False or timeout is None or timeout < 0
        deadline = 0.0 if forever else monotonic() + timeout
        # What the engine's own thread is done with is let go of by a thread of Python: this one, if no other comes by.
        drain()
        look = _LOOK_FIRST
        for event in self.events:
            while not event.wait(look if forever else max(0.0, min(look, deadline - monotonic()))):
                drain()
                if not forever and monotonic() >= deadline and not event.is_set():
                    raise NotDone
                look = min(look * 2, _LOOK_LAST)
        for peer in self.peers:
            peer.wait(-1 if forever else max(0.0, deadline - monotonic()))


# Handed out for messages that were copied: nothing of the caller's is held.
FINISHED = MessageTracker()

MessageTracker.__module__ = "pyzq"
