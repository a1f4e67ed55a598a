"""What the package raises. See `zcore.errors` for which error number becomes which class."""

from __future__ import annotations

from zcore.errors import (
    AddressInUse,
    Again,
    ContextClosed,
    ContextTerminated,
    DraftFDWarning,
    ForkedSocket,
    InterruptedSystemCall,
    NoRoute,
    NotDone,
    OptionTooLate,
    SocketClosed,
    WrongState,
    ZMQBaseError,
    ZMQBindError,
    ZMQError,
    ZMQVersionError,
)

__all__ = [
    "AddressInUse",
    "Again",
    "ContextClosed",
    "ContextTerminated",
    "DraftFDWarning",
    "ForkedSocket",
    "InterruptedSystemCall",
    "NoRoute",
    "NotDone",
    "OptionTooLate",
    "SocketClosed",
    "WrongState",
    "ZMQBaseError",
    "ZMQBindError",
    "ZMQError",
    "ZMQVersionError",
]
