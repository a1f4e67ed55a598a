"""Contexts: what sockets share, from the reactor to the names of inproc endpoints."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from _weakref import ref

import zcore.context as _core
from pyzq._attributes import AttributeSetter, declares
from pyzq.constants import ContextOption, Errno, SocketOption
from pyzq.socket import Socket
from zcore.errors import ZMQError, make_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Generic, overload

    from typing_extensions import Self, TypeVar

    SocketT = TypeVar("SocketT", bound=Socket[Any], default=Socket[bytes], covariant=True)
    _OtherT = TypeVar("_OtherT", bound=Socket[Any])
else:
    from pyzq._generic import Generic
    from pyzq._generic import T as SocketT

# Contexts that can be shadowed by their address: address -> weak reference.
_by_address: dict[int, ref[Context[Any]]] = {}


def _remember(context: Context[Any]) -> None:
    address = context.underlying

    def forget(dead: ref[Context[Any]]) -> None:
        if _by_address.get(address) is dead:
            del _by_address[address]

    _by_address[address] = ref(context, forget)


def _at_address(address: int) -> Context[Any]:
    found = _by_address.get(address)
    context = found() if found is not None else None
    if context is None or context.closed:
        raise make_error(Errno.EFAULT, f"no context of this process has the address {address:#x}")
    return context


class Context(AttributeSetter, _core.Context, Generic[SocketT]):
    """What a group of sockets shares: reactor threads, inproc names, limits.

    A context is safe to use from any thread. It can be used in a `with` statement, which closes its sockets (with a
    ResourceWarning for each) and terminates it.

    Options of the context are attributes (`context.max_sockets = 100`). Options of sockets set as attributes are the
    defaults for sockets made later (`context.linger = 0`).

    Args:
        io_threads: the number of reactor threads, at least 0; or a context, to make a shadow of it.
        shadow: a context, or the address (`underlying`) of one. The new object shares its sockets' names and limits,
            closes only the sockets made through itself, and does not end the original.

    Raises:
        ZMQError: EINVAL for a number out of range, EMFILE when there are no descriptors left, EFAULT for an address
            at which there is no open context.
    """

    sockopts: dict[int, Any]
    _instance: ClassVar[Any] = None
    _instance_lock: ClassVar[Any] = allocate_lock()
    _instance_pid: ClassVar[int | None] = None
    _pid = 0
    _shadow = False
    _shadow_obj: Any = None
    _warn_destroy_close = False
    _repr_cls: str = "zmq.Context"
    _socket_class: Callable[..., Any] = Socket

    def __init__(self, io_threads: int | Context[Any] = 1, shadow: Context[Any] | int = 0) -> None:
        if isinstance(io_threads, _core.Context):
            shadow = io_threads
        if shadow:
            original = shadow if isinstance(shadow, _core.Context) else _at_address(shadow)
            super().__init__(original)
            self._shadow = True
            self._shadow_obj = original
        else:
            super().__init__(io_threads)
            _remember(self)
        self._pid = os.getpid()
        self.sockopts = {}

    @classmethod
    def shadow(cls, address: Context[Any] | int) -> Self:
        """A second object over the same context.

        Args:
            address: a context, or the address (`underlying`) of one.

        Raises:
            ZMQError: EFAULT, there is no open context at this address.
            ValueError: `address` is not an address.
        """
        if not isinstance(address, _core.Context):
            from pyzq.utils.interop import cast_int_addr

            address = _at_address(cast_int_addr(address))
        return cls(shadow=address)

    @classmethod
    def shadow_pyczmq(cls, ctx: Any) -> Self:
        """A second object over the context in a capsule or pointer; only a context of this package can be shared.

        Raises:
            ZMQError: EFAULT, the context belongs to another library.
            ValueError: `ctx` is not an address.
        """
        return cls.shadow(ctx)

    @classmethod
    def instance(cls, io_threads: int = 1) -> Self:
        """The context that a process shares: made at the first call, and anew after it was closed and after `fork`.

        Args:
            io_threads: used when the call makes the context.
        """
        context: Self | None = cls._instance
        if context is None or context.closed or cls._instance_pid != os.getpid():
            with cls._instance_lock:
                context = cls._instance
                if context is None or context.closed or cls._instance_pid != os.getpid():
                    fresh = cls(io_threads=io_threads)
                    # `context` keeps the old one alive meanwhile: were it finalised inside the assignment, other
                    # threads could still get it from the interpreter's cache of class attributes.
                    cls._instance = fresh
                    cls._instance_pid = os.getpid()
                    context = fresh
        return context

    if TYPE_CHECKING:

        @overload
        def socket(self, socket_type: int, socket_class: None = None, **kwargs: Any) -> SocketT: ...
        @overload
        def socket(self, socket_type: int, socket_class: type[_OtherT], **kwargs: Any) -> _OtherT: ...
        @overload
        def socket(self, socket_type: int, socket_class: Callable[..., _OtherT], **kwargs: Any) -> _OtherT: ...

    def socket(
        self, socket_type: int, socket_class: Callable[..., _OtherT] | None = None, **kwargs: Any
    ) -> SocketT | _OtherT:
        """A new socket.

        Args:
            socket_type: such as `pyzq.REQ`.
            socket_class: a class to use instead of this context's own.
            **kwargs: handed to the class.

        Raises:
            ZMQError: EINVAL for an unknown type, EMFILE above MAX_SOCKETS, ENOTSUP (EFAULT for a shadow) when the
                context is closed.
        """
        if self.closed:
            raise ZMQError(Errno.EFAULT if self._shadow else Errno.ENOTSUP)
        if socket_class is None:
            socket_class = self._socket_class
        socket = socket_class(self, socket_type, **kwargs)
        for option, value in self.sockopts.copy().items():
            try:
                socket.set(option, value)
            except ZMQError:
                pass  # a default that this type of socket does not have
        return socket

    def destroy(self, linger: int | None = None) -> None:
        """Close all sockets of this context, then terminate it.

        Args:
            linger: ms that each socket may still spend on sending what it has accepted; None leaves them as they are.
                As `term` waits for that, anything but 0 can block.
        """
        if self.closed:
            return
        self._close_sockets(linger, self._warn_destroy_close)
        self.term()

    def _close_sockets(self, linger: int | None, warn: bool) -> None:
        for socket in self.sockets():
            if socket.context is not self or socket.closed:
                continue
            if warn:
                _resource_warning(f"Destroying context with unclosed socket {socket}", socket)
            socket.close(linger)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._warn_destroy_close = True
        self.destroy()

    def __del__(self) -> None:
        # Never waits: sockets linger in the background, and what the process owes its peers is flushed at exit.
        if self._shadow or self._pid != os.getpid() or self.closed or sys.is_finalizing():
            return
        _resource_warning(f"Unclosed context {self}", self)
        self._close_sockets(None, True)

    def __copy__(self, memo: Any = None) -> Self:
        return self.shadow(self)

    __deepcopy__ = __copy__

    def __repr__(self) -> str:
        count = sum(1 for socket in self.sockets() if socket.context is self and not socket.closed)
        sockets = f"{count} socket{'s' if count != 1 else ''}" if count else ""
        closed = " closed" if self.closed else ""
        return f"<{self._repr_name()}({sockets}) at {hex(id(self))}{closed}>"

    def _repr_name(self) -> str:
        cls = type(self)
        return cls._repr_cls if "_repr_cls" in cls.__dict__ else f"{cls.__module__}.{cls.__qualname__}"

    # options

    def setsockopt(self, opt: int, value: Any) -> None:
        """Set the default of a socket option for sockets that are made from now on."""
        self.sockopts[opt] = value

    def getsockopt(self, opt: int) -> Any:
        """The default of a socket option.

        Raises:
            KeyError: none was set.
        """
        return self.sockopts[opt]

    def _option_number(self, name: str) -> int:
        option = ContextOption.__members__.get(name) or SocketOption.__members__.get(name)
        if option is None:
            raise AttributeError(f"{type(self).__name__} has no such option: {name}")
        return option

    def _set_attr_opt(self, name: str, opt: int, value: Any) -> None:
        if name in ContextOption.__members__:
            self.set(opt, value)
        else:
            self.sockopts[opt] = value

    def _get_attr_opt(self, name: str, opt: int) -> Any:
        if name in ContextOption.__members__:
            try:
                return self.get(opt)
            except ZMQError as error:
                if error.errno == Errno.EINVAL:
                    raise AttributeError(f"{name} attribute is write-only") from error
                raise
        try:
            return self.sockopts[opt]
        except (KeyError, AttributeError):
            raise AttributeError(f"no default is set for {name}") from None

    def __delattr__(self, key: str) -> None:
        if declares(type(self), key):
            object.__delattr__(self, key)
            return
        option = SocketOption.__members__.get(key.upper())
        if option is None or option not in self.sockopts:
            raise AttributeError(f"no default is set for {key.upper()}")
        del self.sockopts[option]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *ContextOption.__members__]


def _resource_warning(text: str, source: object) -> None:
    from warnings import warn

    warn(text, ResourceWarning, stacklevel=4, source=source)


def _after_fork_in_child() -> None:
    # A lock that another thread of the parent held would stay locked for ever.
    Context._instance_lock = allocate_lock()


os.register_at_fork(after_in_child=_after_fork_in_child)

SyncContext = Context

__all__ = ["Context", "SyncContext"]
