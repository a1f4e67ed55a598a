"""Contexts and sockets for the length of a function call.

    @context()
    @socket(pyzq.PUSH)
    def work(ctx, push): ...

    @socket("push", pyzq.PUSH)
    def work(push): ...

The new object is handed to the function behind its other positional arguments or, with a name, as that keyword. When
the function is left it is closed.
"""

from __future__ import annotations

from functools import wraps

from pyzq.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any, Protocol, TypeVar

    _ResultT = TypeVar("_ResultT")

    class _Decorator(Protocol):
        """The decorated function is called without what it is handed."""

        def __call__(self, func: Callable[..., _ResultT], /) -> Callable[..., _ResultT]: ...


def _name_and_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str | None, tuple[Any, ...]]:
    if args and isinstance(args[0], str):
        return args[0], args[1:]
    return kwargs.pop("name", None), args


def _hand_over(make: Callable[..., AbstractContextManager[Any]], name: str | None) -> _Decorator:
    def decorate(func: Callable[..., _ResultT]) -> Callable[..., _ResultT]:
        @wraps(func)
        def wrapper(*args: Any, **kwargs: Any) -> _ResultT:
            with make(args, kwargs) as made:
                if name is None:
                    return func(*args, made, **kwargs)
                return func(*args, **{**kwargs, name: made})

        return wrapper

    return decorate


def context(*args: Any, **kwargs: Any) -> _Decorator:
    """A new context for each call of a function; terminated when the call ends.

    Args:
        *args: the keyword to hand it over as, if the first is a str; the rest goes to `Context`.
        **kwargs: `name` is another way to give the keyword; the rest goes to `Context`.
    """
    name, args = _name_and_arguments(args, kwargs)
    return _hand_over(lambda call_args, call_kwargs: Context(*args, **kwargs), name)


def socket(*args: Any, **kwargs: Any) -> _Decorator:
    """A new socket for each call of a function; closed when the call ends.

    It belongs to the context in the keyword `context_name`, else to the first context among the arguments of the call,
    else to `Context.instance()`.

    Args:
        *args: the keyword to hand it over as, if the first is a str; the rest goes to `Context.socket`.
        **kwargs: `name` is another way to give the keyword; `context_name`, "context" by default; the rest goes to
            `Context.socket`.
    """
    name, args = _name_and_arguments(args, kwargs)
    context_name = kwargs.pop("context_name", "context")

    def make(call_args: tuple[Any, ...], call_kwargs: dict[str, Any]) -> Any:
        for candidate in (call_kwargs.get(context_name), *call_args):
            if isinstance(candidate, Context):
                return candidate.socket(*args, **kwargs)
        return Context.instance().socket(*args, **kwargs)

    return _hand_over(make, name)


__all__ = ["context", "socket"]
