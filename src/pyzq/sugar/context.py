"""See `pyzq.context`."""

from pyzq.context import Context, SyncContext

__all__ = ["Context", "SyncContext"]
