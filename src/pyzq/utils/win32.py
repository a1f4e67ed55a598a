"""Ctrl-C in blocking calls: nothing has to be done for it here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class allow_interrupt:
    """A context manager for programs that wrap their waits in it on Windows.

    On the systems this package runs on a signal always ends a wait by itself, so `action` is never needed and never
    called.

    Args:
        action: what to call when the wait is interrupted on Windows.
    """

    def __init__(self, action: Callable[[], Any] | None = None) -> None:
        self.action = action

    def __enter__(self) -> None:
        return None

    def __exit__(self, *args: object) -> None:
        return None


__all__ = ["allow_interrupt"]
