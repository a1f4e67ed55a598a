"""Types of the table of options, for type checkers: what `zcore.option_text` reads of it."""

from typing import Any

SOCKET_TYPES: tuple[str, ...]

def table() -> list[dict[str, Any]]: ...
def context_table() -> list[dict[str, Any]]: ...
