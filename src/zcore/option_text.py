"""What there is to say about options in words: names for attributes, reasons for errors, the reference page.

All of it is read from the rows (`zcore.options.table`). `python -m zcore.option_text > docs/options.md` renews the
page.
"""

from __future__ import annotations

from zcore.options import SOCKET_TYPES, context_table, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    _Row: TypeAlias = dict[str, Any]

SECRETS = frozenset({"PLAIN_PASSWORD", "SOCKS_PASSWORD", "CURVE_SECRETKEY"})
_INT32 = 2**31 - 1
_rows = {row["number"]: row for row in table()}

_INTRODUCTION = """\
# Options

Every option of sockets and of contexts. This page is made from the table the engine itself works with
(`zcore.options.table()`).

Set an option with `socket.set(zmq.NAME, value)` or as an attribute, `socket.name = value`; read it with
`socket.get(zmq.NAME)` or `socket.name`. A value that an option does not take is `ZMQError(EINVAL)`.

- **Type**: *int* is 32 bits, *int64* 64 bits; *bytes* may be anything of the given length; *fd* is a descriptor.
- **Access**: *s* can be set, *g* can be read.
- **Range**: smallest and largest value, or length in bytes.
- **Counts**: when a new value begins to count. *At once* includes the connections there are; *next peer* is the next
  that arrives.
- **Sockets**: the types that take the option; nothing there means all. Others answer EINVAL.
"""
_SOCKET_COLUMNS = ("Option", "#", "Type", "Access", "Default", "Range", "Counts", "Sockets", "Meaning")
_CONTEXT_COLUMNS = ("Option", "#", "Access", "Default", "Range", "Counts", "Meaning")


def names() -> dict[str, int]:
    """The name of every option and every alias, in lower case, with its number: what a socket has as attributes."""
    return {name.lower(): row["number"] for row in _rows.values() for name in (row["name"], *row["aliases"])}


def explain(number: int, socket_type: int, value: Any = None, *, setting: bool = True) -> str:
    """Why setting or reading socket option `number` was refused: the option, the value given, and what would do.

    For the text of the exception that follows EINVAL. `socket_type` is the number of the type, `value` what was given,
    of any type; secrets are not repeated.
    """
    row = _rows.get(number)
    if row is None:
        return f"{number} is not a socket option"
    name = f"{row['name']} ({number})"
    if not row["built"]:
        return f"{name} needs a library that is not built in"
    here = SOCKET_TYPES[socket_type]
    if here not in row["types"]:
        return f"{name} is not an option of {here} sockets, only of {', '.join(row['types'])}"
    if not setting:
        return f"{name} can only be set"
    if "s" not in row["access"]:
        return f"{name} can only be read"
    if row["name"] in ("SUBSCRIBE", "UNSUBSCRIBE") and here != "SUB":
        return f"{name} on a {here} socket needs XPUB_MANUAL"
    return f"{name} takes {_wanted(row)}, not {_shown(row, value)}"


def _wanted(row: _Row) -> str:
    check, low, high = row["check"], row["low"], row["high"]
    unit = f" ({row['unit']})" if row["unit"] else ""
    if check == "key":
        return "32 raw bytes or 40 Z85 characters"
    if check == "network":
        return '"address" or "address/bits", in numbers'
    if check == "property":
        return '"X-name:value"'
    if row["type"] == "bytes":
        length = f"{low} to {high} bytes" if high < _INT32 else f"at least {low} bytes" if low else "bytes"
        return length + (", the first not 0" if check == "id" else "")
    if check == "bool":
        return "0 or 1"
    if low <= -_INT32 and high >= _INT32:
        return f"an integer{unit}"
    return (f"an integer from {low} to {high}" if high < _INT32 else f"an integer of at least {low}") + unit


def _shown(row: _Row, value: Any) -> str:
    if row["name"] in SECRETS:
        return f"a value of {len(value)} bytes" if isinstance(value, (bytes, str)) else f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def render() -> str:
    """The reference page in Markdown."""
    parts = [_INTRODUCTION]
    group = None
    for row in _rows.values():
        if row["group"] != group:
            group = row["group"]
            parts.append(f"\n## {group}\n\n" + _head(_SOCKET_COLUMNS))
        takers = ", ".join(row["types"]) if len(row["types"]) < len(SOCKET_TYPES) else ""
        cells = [_name_cell(row), row["number"], row["type"], row["access"], _default_cell(row), _range_cell(row)]
        parts.append(_line([*cells, row["applies"], takers, _meaning_cell(row)]))
    parts.append(
        "\n## Context options\n\nSet with `context.set(zmq.NAME, value)`, read with `context.get(zmq.NAME)`.\n\n"
    )
    parts.append(_head(_CONTEXT_COLUMNS))
    for row in context_table():
        cells = [_name_cell(row), row["number"], row["access"], _default_cell(row), _range_cell(row)]
        parts.append(_line([*cells, row["applies"], _meaning_cell(row)]))
    return "".join(parts)


def _head(columns: tuple[str, ...]) -> str:
    return _line(columns) + "|" + "---|" * len(columns) + "\n"


def _line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"


def _name_cell(row: _Row) -> str:
    return "<br>".join(f"`{name}`" for name in (row["name"], *row["aliases"]))


def _default_cell(row: _Row) -> object:
    if row["default"] is None or not row["built"]:
        return ""
    return "none" if row["default"] == b"" else row["default"]


def _range_cell(row: _Row) -> str:
    if "s" not in row["access"] or not row["built"]:
        return ""
    low, high, check = row["low"], row["high"], row["check"]
    unit = f" {row['unit']}" if row["unit"] else ""
    if check == "key":
        return "32 raw bytes, 40 Z85 characters"
    if check == "network":
        return "`address/bits`"
    if check == "property":
        return "`X-name:value`"
    if row["type"] == "bytes":
        return f"{low}-{high} bytes" if high < _INT32 else f"{low} bytes or more" if low else "any bytes"
    if check == "truth" and low <= 0:
        return "0, 1" if low == 0 else "0, other"
    if check == "bool":
        return "0, 1"
    if low <= -_INT32 and high >= _INT32:
        return f"any{unit}"
    return (f"{low} to {high}" if high < _INT32 else f"{low} or more") + unit


def _meaning_cell(row: _Row) -> str:
    text: str = row["meaning"]
    if not row["built"]:
        text += " Not built in: EINVAL."
    if row["deprecated"]:
        text += " Deprecated."
    if row["used_by"] != row["types"]:
        text += f" Makes a difference to {', '.join(row['used_by'])}."
    return text


if __name__ == "__main__":
    print(render(), end="")
