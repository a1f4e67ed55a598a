"""See `zcore.tracker`."""

from zcore.tracker import FINISHED as _FINISHED_TRACKER
from zcore.tracker import MessageTracker

__all__ = ["_FINISHED_TRACKER", "MessageTracker"]
