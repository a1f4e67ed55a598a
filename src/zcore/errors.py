"""One place where an error number becomes a Python exception.

The core reports failure as a negative errno; the Python border hands it to `raise_errno`. Everything a program can
catch is defined here and published as `pyzq.error`. Every class that carries an errno is a `ZMQError`, so code that
only knows the general class and the number keeps working when a more telling subclass is raised.
"""

from __future__ import annotations

import errno as _errno
from _thread import _local
from os import strerror as _os_strerror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, NoReturn

# Numbers of ZeroMQ's own, above the range of any operating system.
HAUSNUMERO = 156384712
EFSM = HAUSNUMERO + 51
ENOCOMPATPROTO = HAUSNUMERO + 52
ETERM = HAUSNUMERO + 53
EMTHREAD = HAUSNUMERO + 54

EAGAIN = _errno.EAGAIN
EINTR = _errno.EINTR

_TEXTS: dict[int, str] = {
    EFSM: "Operation cannot be accomplished in current state",
    ENOCOMPATPROTO: "The protocol is not compatible with the socket type",
    ETERM: "Context was terminated",
    EMTHREAD: "No thread available",
    _errno.EHOSTUNREACH: "Host unreachable",
}

_COMPATIBLE_VERSION = "4.3.5"


class _LastError(_local):
    errno = 0


_last = _LastError()


def strerror(errno: int) -> str:
    """The text of an error number, ZeroMQ's own numbers included."""
    return _TEXTS.get(errno) or _os_strerror(errno)


def zmq_errno() -> int:
    """The number of the last error that was raised in this thread; 0 before the first."""
    return _last.errno


class ZMQBaseError(Exception):
    """The root of everything this package raises on its own account."""


class ZMQError(ZMQBaseError):
    """A failed operation, with the errno it failed with.

    Args:
        errno: the error number; None takes the last one of this thread. Any other object becomes the text.
        msg: the text, instead of the system's for `errno`.

    Attributes:
        errno: the error number, None when the exception was made from a text alone.
        strerror: the text; also `str()` of the exception.
        hint: what is known about the cause beyond the number, "" when nothing is.
    """

    errno: int | None = None
    strerror: str
    hint: str = ""

    def __init__(self, errno: int | None = None, msg: str | None = None) -> None:
        if errno is None:
            errno = _last.errno
        if isinstance(errno, int):
            self.errno = int(errno)
            self.strerror = strerror(errno) if msg is None else msg
        else:
            self.strerror = str(errno) if msg is None else msg

    def __str__(self) -> str:
        return self.strerror

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{self}')"


class ContextTerminated(ZMQError):
    """ETERM: the context was terminated or shut down, during the call or before it."""

    errno = ETERM
    strerror = _TEXTS[ETERM]

    def __init__(self, errno: int | Literal["ignored"] = "ignored", msg: str = "ignored") -> None:
        pass


class Again(ZMQError):
    """EAGAIN: a call that was not to wait would have had to, or waited for its whole timeout."""

    errno = EAGAIN
    strerror = _os_strerror(EAGAIN)

    def __init__(self, errno: int | Literal["ignored"] = "ignored", msg: str = "ignored") -> None:
        pass


class InterruptedSystemCall(ZMQError, InterruptedError):
    """EINTR: a signal arrived. Blocking calls resume by themselves, so programs do not see this one."""

    errno = EINTR
    strerror = _os_strerror(EINTR)

    def __init__(self, errno: int | Literal["ignored"] = "ignored", msg: str = "ignored") -> None:
        pass


class SocketClosed(ZMQError):
    """ENOTSOCK: the socket has been closed. (From `Socket.poll` ENOTSUP, as programs expect there.)"""


class ForkedSocket(SocketClosed):
    """ENOTSOCK: the socket or context belongs to the parent of this process and cannot be used after `fork`."""


class ContextClosed(ZMQError, RuntimeError):
    """EFAULT: the context was terminated, or is that of the parent of this process. Also a RuntimeError."""


class WrongState(ZMQError):
    """EFSM: the pattern forbids this call now, as a second `send` of a REQ before its reply."""


class NoRoute(ZMQError):
    """EHOSTUNREACH: no peer has the identity or routing id that the message names."""


class AddressInUse(ZMQError):
    """EADDRINUSE: another socket is bound to the address."""


class OptionTooLate(ZMQError):
    """EINVAL: the option cannot take effect any more on this socket or context."""


class ZMQBindError(ZMQBaseError):
    """`Socket.bind_to_random_port` found no free port."""


class NotDone(ZMQBaseError):
    """`MessageTracker.wait` reached its timeout while a buffer was still in use."""


class ZMQVersionError(NotImplementedError):
    """A feature needs a newer level of the API than this package offers.

    Args:
        min_version: the level needed, such as "5.0".
        msg: the name of the feature.
    """

    msg: str
    min_version: str
    version: str

    def __init__(self, min_version: str, msg: str = "Feature") -> None:
        super().__init__(min_version, msg)
        self.min_version = min_version
        self.msg = msg
        self.version = _COMPATIBLE_VERSION

    def __str__(self) -> str:
        return f"{self.msg} requires libzmq >= {self.min_version}, have {self.version}"

    def __repr__(self) -> str:
        return f"ZMQVersionError('{self}')"


class DraftFDWarning(RuntimeWarning):
    """Kept for programs that filter it. It is never issued here: every socket type has a descriptor."""

    def __init__(self, msg: str = "") -> None:
        super().__init__(msg or "a file descriptor on a thread-safe socket type")


_BARE: dict[int, type[ZMQError]] = {
    EAGAIN: Again,
    ETERM: ContextTerminated,
    EINTR: InterruptedSystemCall,
}
_NAMED: dict[int, type[ZMQError]] = {
    _errno.ENOTSOCK: SocketClosed,
    EFSM: WrongState,
    _errno.EHOSTUNREACH: NoRoute,
    _errno.EADDRINUSE: AddressInUse,
}


def make_error(errno: int, detail: str = "", cls: type[ZMQError] | None = None) -> ZMQError:
    """The exception for an error number, ready to be raised.

    Args:
        errno: the error number; the core's negative form is accepted.
        detail: what is known beyond the number; becomes `hint` and is shown in parentheses after the text.
        cls: the class to use instead of the one that belongs to the number (for the two that share one:
            `ForkedSocket`, `OptionTooLate`).
    """
    errno = abs(errno)
    _last.errno = errno
    if cls is None:
        bare = _BARE.get(errno)
        if bare is not None:
            error = bare()
            if detail:
                error.hint = detail
                error.strerror = f"{error.strerror} ({detail})"
            return error
        cls = _NAMED.get(errno, ZMQError)
    error = cls(errno, f"{strerror(errno)} ({detail})" if detail else None)
    if detail:
        error.hint = detail
    return error


def raise_errno(errno: int, detail: str = "") -> NoReturn:
    """Raise the exception that belongs to an error number.

    EAGAIN raises `Again`, ETERM `ContextTerminated`, EINTR `InterruptedSystemCall`, everything else `ZMQError` or the
    subclass of it that names the number.

    Args:
        errno: the error number; the core's negative form is accepted.
        detail: what is known beyond the number, shown in parentheses after the text.
    """
    raise make_error(errno, detail)


def raise_forked(parent: int) -> NoReturn:
    """Raise `ForkedSocket` for an object that was inherited from the process `parent` (its pid)."""
    raise make_error(_errno.ENOTSOCK, f"inherited through fork from process {parent}", ForkedSocket)


def raise_too_late(option: str, when: str = "earlier") -> NoReturn:
    """Raise `OptionTooLate` (EINVAL) for the option with this name; `when` says until when it can be set."""
    raise make_error(_errno.EINVAL, f"{option} can only be set {when}", OptionTooLate)


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

for _name in __all__:
    # Programs see these classes, also in tracebacks and pickles, as members of the public module.
    globals()[_name].__module__ = "pyzq.error"
del _name
