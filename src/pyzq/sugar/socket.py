"""See `pyzq.socket`."""

from pyzq.socket import Socket, SyncSocket

__all__ = ["Socket", "SyncSocket"]
