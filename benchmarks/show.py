"""What a person sees while and after the benchmarks run: a progress bar and tables, by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .session import Progress


@contextmanager
def progress(title: str, console: Any = None) -> Iterator[Progress]:
    """A bar on the terminal, moved by the callback it yields; nothing where there is no terminal or no rich."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
    except ImportError:
        yield lambda done, planned, label: None
        return
    shown = (
        TextColumn("{task.description:<40}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*shown, console=console, refresh_per_second=2) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, planned, label: bar.update(task, completed=done, total=planned, description=label)
        bar.update(task, description=title)


def table(heads: list[str], body: list[list[str]], title: str = "", console: Any = None) -> None:
    """A table; through rich when it is there, plain Markdown otherwise."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        from .report import grid

        print("\n".join(part for part in (title, grid(heads, body)) if part))
        return
    grown = Table(title=title or None, title_justify="left")
    for head in heads:
        grown.add_column(head, overflow="fold")
    for line in body:
        grown.add_row(*line)
    (console or Console()).print(grown)


def say(text: str, console: Any = None) -> None:
    """One line, on the console given."""
    (console.print if console is not None else print)(text)
