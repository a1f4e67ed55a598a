"""JSON as `send_json` and `recv_json` use it: UTF-8 bytes on the wire."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

jsonmod = json


def dumps(o: Any, **kwargs: Any) -> bytes:
    """An object as UTF-8 encoded JSON.

    Args:
        o: what `json.dumps` can write.
        **kwargs: passed on to `json.dumps`.
    """
    return json.dumps(o, **kwargs).encode("utf-8")


def loads(s: bytes | str, **kwargs: Any) -> Any:
    """The object in a piece of JSON.

    Args:
        s: the text; bytes are UTF-8.
        **kwargs: passed on to `json.loads`.
    """
    if not isinstance(s, str):
        s = bytes(s).decode("utf-8")
    return json.loads(s, **kwargs)


__all__ = ["dumps", "jsonmod", "loads"]
