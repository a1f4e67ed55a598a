"""A proxy whose monitor can tell which way a message went."""

from zcore.proxy import monitored_queue

__all__ = ["monitored_queue"]
