"""What a person sees while and after the benchmarks run: a progress bar and tables, by rich."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .session import Progress

WIDTH = 200  # of what is not a terminal
KEPT = 4  # columns that are shown however narrow the terminal is


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
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        from .report import grid

        print("\n".join(part for part in (title, grid(heads, body)) if part))
        return
    shown = console or Console()
    if not shown.is_terminal:
        shown = Console(width=max(WIDTH, shown.width))  # a file or a pipe has no edge at which to fold
    grown = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    # Names and ratios stay in one piece; where there is no room, the columns on the right go.
    widths = [max(len(line[k]) for line in [heads, *body]) + 3 for k in range(len(heads))]
    fits = len(heads)
    while fits > KEPT and sum(widths[:fits]) > shown.width:
        fits -= 1
    for head in heads[:fits]:
        grown.add_column(head, no_wrap=True)
    for line in body:
        grown.add_row(*line[:fits])
    shown.print(grown)
    if fits < len(heads):
        say(f"A wider terminal shows {', '.join(heads[fits:])}, too.", shown)


def say(text: str, console: Any = None) -> None:
    """One line, on the console given."""
    (console.print if console is not None else print)(text)
