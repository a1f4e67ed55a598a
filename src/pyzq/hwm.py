"""What happens at the high-water mark: wait, drop the newest or the oldest, keep the last, or disconnect.

A policy is a value: made once, never changed, usable on any number of sockets.

    socket.hwm_policy = DropOldest(messages=1000)
    socket.set_hwm_policy(send=Block(timeout=100), recv=KeepLast())
    pub = Pub(bind="tcp://*:5555", hwm_policy=Disconnect(after=5000, bytes=64 << 20))

Every policy takes the two limits it is about, both for each peer: `messages`, a number of messages, and `bytes`, the
sum of their frames. The limit that is reached first counts; None leaves it to the option SNDHWM or RCVHWM (messages)
or sets none (bytes), 0 is no limit. Times are in ms, as everywhere in this package.

`DEFAULT` goes back to what the type of the socket prescribes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, Literal

FIRST_FRAME: Literal["first_frame"] = "first_frame"
_LONGEST = 2**31 - 1


class Policy:
    """The base of the policies."""

    __slots__ = ("bytes", "messages")

    kind: ClassVar[str] = ""
    messages: int | None
    bytes: int | None

    def __init__(self, *, messages: int | None = None, bytes: int | None = None) -> None:
        if type(self) is Policy:
            raise TypeError("use one of Block, DropNewest, DropOldest, KeepLast, Disconnect and DEFAULT")
        self._put("messages", _limit("messages", messages))
        self._put("bytes", _limit("bytes", bytes))

    def _put(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed; make another one")

    def _fields(self) -> tuple[tuple[str, Any], ...]:
        names = [name for base in reversed(type(self).__mro__) for name in base.__dict__.get("__slots__", ())]
        return tuple((name, getattr(self, name)) for name in names)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.kind, self._fields()))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._fields() if value is not None)
        return f"{type(self).__name__}({given})"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _make, (type(self), self._fields())

    def spec(self) -> dict[str, Any]:
        """The policy as the engine takes it."""
        spec: dict[str, Any] = {"timeout": -1, "key": None, "after": 0}
        spec.update(self._fields())
        spec["kind"] = self.kind
        return spec


class Default(Policy):
    """What the type of the socket prescribes, with the limits SNDHWM and RCVHWM: the policy of a new socket.

    `DEFAULT` is the one to use.
    """

    __slots__ = ()

    kind = "default"

    def __init__(self) -> None:
        super().__init__()

    def __repr__(self) -> str:
        return "DEFAULT"

    def __reduce__(self) -> str:
        return "DEFAULT"


class Block(Policy):
    """Wait for room: what most types do by themselves.

    Args:
        timeout: how long a send may wait, in ms; -1 leaves it to SNDTIMEO, 0 does not wait. For sending only: a
            receiver at its limit stops reading.
        messages, bytes: the limits.

    Raises:
        ValueError: a number out of range.
        TypeError: not a number.
    """

    __slots__ = ("timeout",)

    kind = "block"
    timeout: int

    def __init__(self, *, timeout: int = -1, messages: int | None = None, bytes: int | None = None) -> None:
        super().__init__(messages=messages, bytes=bytes)
        self._put("timeout", _milliseconds("timeout", timeout, -1))


class DropNewest(Policy):
    """Drop the message that does not fit: what PUB does by itself.

    Args:
        messages, bytes: the limits.

    Raises:
        ValueError: a number out of range.
        TypeError: not a number.
    """

    __slots__ = ()

    kind = "drop_newest"


class DropOldest(Policy):
    """Make room by dropping the messages that have waited longest.

    A message of which a part is already on its way is not dropped.

    Args:
        messages, bytes: the limits.

    Raises:
        ValueError: a number out of range.
        TypeError: not a number.
    """

    __slots__ = ()

    kind = "drop_oldest"


class KeepLast(Policy):
    """Keep the last message only, or the last for each key. Whole messages, all their parts.

    Args:
        key: None, one message for the peer; a number n, one for each value of the first n bytes; "first_frame", one
            for each value of the first frame. Frames are the application's: for RADIO and DISH the group is none of
            them, so a key is one of the message alone, whatever its group.
        messages: how many keys are kept, the oldest giving way.
        bytes: the limit of their sum.

    Raises:
        ValueError: a number out of range.
        TypeError: not a number.
    """

    __slots__ = ("key",)

    kind = "keep_last"
    key: int | Literal["first_frame"] | None

    def __init__(
        self,
        key: int | Literal["first_frame"] | None = None,
        *,
        messages: int | None = None,
        bytes: int | None = None,
    ) -> None:
        super().__init__(messages=messages, bytes=bytes)
        if key is not None and key != FIRST_FRAME:
            if isinstance(key, str):
                raise ValueError(f'key must be None, a number of bytes or "{FIRST_FRAME}", not {key!r}')
            key = _number("key", key, 1, 255)
        self._put("key", key)


class Disconnect(Policy):
    """Close the connection of a peer that stays behind; it may connect again and start afresh.

    What its queue held is dropped with it, and in the books. Where this side is the one that connects, the queue is the
    endpoint's: it stays, for the next connection.

    Args:
        after: how long a peer may stay at its limit, in ms; 0 is not at all.
        messages, bytes: the limits.

    Raises:
        ValueError: a number out of range.
        TypeError: not a number.
    """

    __slots__ = ("after",)

    kind = "disconnect"
    after: int

    def __init__(self, *, after: int = 0, messages: int | None = None, bytes: int | None = None) -> None:
        super().__init__(messages=messages, bytes=bytes)
        self._put("after", _milliseconds("after", after, 0))


def _make(cls: type[Policy], fields: tuple[tuple[str, Any], ...]) -> Policy:
    return cls(**dict(fields))


def _number(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    number: int = type(value).__index__(value)
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {number}")
    return number


def _limit(name: str, value: Any) -> int | None:
    return None if value is None else _number(name, value, 0, 2**63 - 1 if name == "bytes" else _LONGEST)


def _milliseconds(name: str, value: Any, least: int) -> int:
    return _number(name, value, least, _LONGEST)


def spec_of(policy: Policy) -> dict[str, Any]:
    """The policy as the engine takes it.

    Raises:
        TypeError: `policy` is none.
    """
    if not isinstance(policy, Policy):
        names = "Block, DropNewest, DropOldest, KeepLast, Disconnect or DEFAULT"
        made = f"; make one: {policy.__name__}()" if isinstance(policy, type) and issubclass(policy, Policy) else ""
        raise TypeError(f"expected a policy ({names}), not {policy!r}{made}")
    return policy.spec()


DEFAULT = Default()

__all__ = ["DEFAULT", "FIRST_FRAME", "Block", "Default", "Disconnect", "DropNewest", "DropOldest", "KeepLast", "Policy"]
