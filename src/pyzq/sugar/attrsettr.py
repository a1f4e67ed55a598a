"""See `pyzq._attributes`."""

from pyzq._attributes import AttributeSetter

__all__ = ["AttributeSetter"]
