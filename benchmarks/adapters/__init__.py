"""One adapter per implementation: how to open one side of a pattern and get the callables a user's loop would call.

Every adapter module offers

- ``version() -> str``: imports the implementation; ImportError when it is not installed;
- ``lacks() -> list[str]``: transports that depend on how the implementation was built, and are missing;
- ``context()``: what the sides of one process share;
- ``open_side(context, end, job) -> Side``: one opened side, bound or connected;
- ``supports(pattern, transport) -> str``: empty, or why the implementation does not take part.

`supports` imports nothing, so that the conductor stays free of the implementations.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

_MODULES = {"pyzq": "zmqlike", "pyzmq": "zmqlike", "pyomq": "zmqlike", "pynng": "nng", "plain": "plain"}

IMPLEMENTATIONS: tuple[str, ...] = tuple(_MODULES)
"""Every implementation there is an adapter for, the subject first."""


@dataclass
class Side:
    """One open side of a pattern.

    `send` and `recv` are what the measured loops call, bound methods of the implementation wherever it has them. A side
    whose implementation needs an envelope (ROUTER) or an argument (a routing id, a group) wraps them in one closure,
    the same for all implementations of that pattern.
    """

    send: Callable[[Any], Any] | None = None
    recv: Callable[[], Any] | None = None
    send_many: Callable[[Any], Any] | None = None
    recv_many: Callable[[int], list[Any]] | None = None
    address: str = ""  # where the side listens; empty for a connecting side
    meet: Callable[[], None] = lambda: None  # sender: learn who is there; called once, after the receiver's greet
    greet: Callable[[], None] = lambda: None  # receiver: make itself known
    socket: Any = None  # the implementation's object, for scenarios written for one family of implementations
    extra: dict[str, Any] = field(default_factory=dict)


def adapter(impl: str) -> ModuleType:
    """The adapter module of `impl`, told which implementation it stands for."""
    return importlib.import_module(f"benchmarks.adapters.{_MODULES[impl]}")


def supports(impl: str, pattern: str, transport: str) -> str:
    """Empty when `impl` can run `pattern` over `transport`, else the reason why not."""
    return adapter(impl).supports(impl, pattern, transport)
