"""All rows, and how a request such as ``pushpull-tcp-*`` selects among them."""

from __future__ import annotations

import pkgutil
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module

from . import rows
from .model import Row


@cache
def all_rows() -> tuple[Row, ...]:
    """Every row of every module in benchmarks.rows; ids are unique."""
    found: dict[str, Row] = {}
    for module in sorted(pkgutil.iter_modules(rows.__path__), key=lambda m: m.name):
        for row in import_module(f"benchmarks.rows.{module.name}").ROWS:
            if row.id in found:
                raise ValueError(f"two rows are called {row.id}")
            found[row.id] = row
    return tuple(found.values())


def select(patterns: list[str] | None = None, tag: str | None = None) -> list[Row]:
    """Rows whose id matches one of the globs (all without globs) and that carry `tag`; LookupError for an idle glob."""
    chosen = [row for row in all_rows() if tag is None or tag in row.tags]
    if not patterns:
        return chosen
    for pattern in patterns:
        if not any(fnmatchcase(row.id, pattern) for row in chosen):
            raise LookupError(f"no row is called {pattern!r}; `python -m benchmarks list` shows them all")
    return [row for row in chosen if any(fnmatchcase(row.id, pattern) for pattern in patterns)]
