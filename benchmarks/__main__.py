"""The command line: ``python -m benchmarks {run,compare,list,instructions}``; without a command, run."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import compare, registry, report, session, show
from .adapters import IMPLEMENTATIONS


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, run the command, return the exit status."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["run", *words]
    options = _parser().parse_args(words)
    try:
        return options.command(options)
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of pyzq beside its peers.")
    commands = parser.add_subparsers(required=True)

    run = commands.add_parser("run", help="run rows and write JSON, Markdown and pictures")
    run.add_argument("--rows", nargs="*", default=[], help="row ids or globs, such as 'pushpull-tcp-*' (default: all)")
    run.add_argument("--impl", nargs="*", default=[], help=f"implementations among {', '.join(IMPLEMENTATIONS)}")
    length = run.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_const", const="quick", dest="profile", help="some rows, a minute")
    length.add_argument("--full", action="store_const", const="full", dest="profile", help="three long passes, hours")
    run.add_argument("--seconds", type=float, help="seconds per run, instead of the profile's")
    run.add_argument("--rounds", type=int, help="rounds per row, instead of the profile's")
    run.add_argument("--runs", type=int, help="passes over all rows, instead of the profile's")
    run.add_argument("--seed", type=int, help="seed of the order within the rounds")
    run.add_argument("--name", default=time.strftime("%Y%m%d-%H%M%S"), help="name of the result files")
    run.add_argument("--out", type=Path, help="directory of the result files")
    run.add_argument("--publish", action="store_true", help="write to benchmarks/results, to be checked in")
    run.set_defaults(command=_run, profile="default")

    comparison = commands.add_parser("compare", help="which rows moved between two results")
    comparison.add_argument("old", type=Path)
    comparison.add_argument("new", type=Path, nargs="?", help="default: the newest local result")
    comparison.add_argument("--impl", default="pyzq")
    comparison.add_argument("--all", action="store_true", help="show what did not move, too")
    comparison.add_argument("--strict", action="store_true", help="exit status 1 when something got worse")
    comparison.set_defaults(command=_compare)

    listing = commands.add_parser("list", help="show the rows")
    listing.add_argument("--rows", nargs="*", default=[])
    listing.set_defaults(command=_list)

    instructions = commands.add_parser("instructions", help="instructions per call of the hot functions (valgrind)")
    instructions.add_argument("--cases", nargs="*", default=[], help="globs of cases (default: all)")
    instructions.add_argument("--impl", nargs="*", default=["pyzq", "pyzmq"])
    instructions.add_argument("--out", type=Path, help="also write the counts to this JSON file")
    instructions.add_argument("--against", type=Path, help="compare with the counts in this JSON file")
    instructions.set_defaults(command=_instructions)
    return parser


def _words(items: list[str]) -> list[str]:
    """Items given apart or joined by commas or blanks, as make variables come."""
    return [word for item in items for word in item.replace(",", " ").split()]


def _run(options: argparse.Namespace) -> int:
    profile = session.shortened(session.PROFILES[options.profile], options.seconds, options.rounds, options.runs)
    globs = _words(options.rows)
    rows = registry.select(globs, None if globs or profile.name != "quick" else "quick")
    impls = _words(options.impl) or list(IMPLEMENTATIONS)
    unknown = set(impls) - set(IMPLEMENTATIONS)
    if unknown:
        raise LookupError(f"no adapter for {', '.join(sorted(unknown))}; there are {', '.join(IMPLEMENTATIONS)}")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is done is written, as after Ctrl-C
    try:
        with show.progress("benchmarks") as progress:
            record = session.run(rows, impls, profile, progress, options.seed)
    finally:
        signal.signal(signal.SIGTERM, before)
    directory = options.out or (report.RESULTS if options.publish else report.LOCAL)
    pictures = _draw(record, directory, options.name)
    paths = report.write(record, directory, options.name, [p.name for p in pictures if p.suffix == ".svg"])
    show.table(*report.terminal(record))
    for impl, reason in record["missing"].items():
        print(f"{impl} did not take part: {reason}")
    print("\n".join(str(path) for path in [*paths, *pictures]))
    return 130 if record["interrupted"] else 0


def _draw(record: dict[str, Any], directory: Path, name: str) -> list[Path]:
    try:
        from . import plots
    except ImportError as error:
        print(f"No pictures: {error}. The bench dependencies bring matplotlib.", file=sys.stderr)
        return []
    directory.mkdir(parents=True, exist_ok=True)
    return plots.draw(record, directory, name)


def _compare(options: argparse.Namespace) -> int:
    new = options.new or _newest(options.old)
    found = compare.compare(report.load(options.old), report.load(new), options.impl)
    print(f"{options.impl}: {options.old} -> {new}; {len(found.changes)} figures in both")
    groups = {"Worse": found.worse, "Better": found.better}
    if options.all:
        groups["Within the spread"] = [c for c in found.changes if not c.moved]
    for title, group in groups.items():
        if group:
            heads = ["row", "figure", "by", "old", "new", "change"]
            body = [
                [c.row, c.figure, c.by, report.spread_text(c.old), report.spread_text(c.new), f"{c.factor - 1:+.1%}"]
                for c in group
            ]
            show.table(heads, body, title)
    if not found.worse and not found.better:
        print("Nothing moved beyond the spread.")
    for title, names in (("Only in the old result", found.only_old), ("Only in the new result", found.only_new)):
        if names:
            print(f"\n{title}: {', '.join(names)}")
    return 1 if options.strict and found.worse else 0


def _newest(old: Path) -> Path:
    candidates = [p for p in report.LOCAL.glob("*.json") if p.resolve() != old.resolve()]
    if not candidates:
        raise LookupError(f"no result in {report.LOCAL} to compare with: run `make bench` first")
    return max(candidates, key=lambda p: p.stat().st_mtime)


def _list(options: argparse.Namespace) -> int:
    for row in registry.select(_words(options.rows)):
        goals = "; ".join(f"{m.name} {m.goal_text()}" for m in row.metrics if m.goal is not None)
        print(f"{row.id:36} {row.title}" + (f"  [{goals}]" if goals else ""))
    return 0


def _instructions(options: argparse.Namespace) -> int:
    from . import instructions

    return instructions.command(_words(options.cases), _words(options.impl), options.out, options.against)


if __name__ == "__main__":
    sys.exit(main())
