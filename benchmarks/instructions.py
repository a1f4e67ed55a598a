"""Instructions per call, counted by valgrind's callgrind: the same on a busy machine as on an idle one.

Each case runs twice, with few and with many operations; the difference divided by the number of further operations
leaves out start-up and shutdown. The same difference per function says where the instructions go.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import embedded, show
from .conductor import ROOT, environment, probe
from .instruction_cases import CASES

FEW, MANY = 1_000, 11_000
_SHOWN = 6  # functions named for each case
_MOVED = 0.03  # relative difference beyond which a count has changed
_LIMIT_S = 300

_NAME = re.compile(r"\((\d+)\)(?: (.*))?")


class Unavailable(Exception):
    """Counting is not possible here: the reason, as one sentence."""


@dataclass
class Count:
    """Instructions of one case."""

    per_operation: float
    functions: list[tuple[str, float]]  # (function, its own instructions per operation), the largest first


def valgrind() -> str:
    """The path of valgrind; Unavailable without one."""
    path = shutil.which("valgrind")
    if path is None:
        raise Unavailable(
            "Instruction counts need valgrind, which is not installed (Debian and Ubuntu: apt install valgrind; "
            "not available for macOS on Apple silicon)."
        )
    return path


def count(impl: str, case: str) -> Count:
    """Count one case of one implementation; Unavailable when it does not run under valgrind."""
    few_total, few = _profile(impl, case, FEW)
    many_total, many = _profile(impl, case, MANY)
    operations = MANY - FEW
    shares = {name: (cost - few.get(name, 0)) / operations for name, cost in many.items()}
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    return Count((many_total - few_total) / operations, [(n, c) for n, c in ranked if c >= 1][:_SHOWN])


def _profile(impl: str, case: str, operations: int) -> tuple[int, dict[str, int]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        output = Path(directory) / "counts"
        done = subprocess.run(
            [
                valgrind(),
                "--tool=callgrind",
                f"--callgrind-out-file={output}",
                sys.executable,
                "-m",
                "benchmarks.instruction_cases",
                impl,
                case,
                str(operations),
            ],
            capture_output=True,
            text=True,
            env=environment({"PYTHONHASHSEED": "0"}),
            cwd=ROOT,
            timeout=_LIMIT_S,
        )
        if done.returncode != 0 or not output.exists():
            lines = [x for x in done.stderr.strip().splitlines() if not x.startswith("==")] or ["no reason given"]
            raise Unavailable(f"{impl} {case}: {lines[-1]}")
        return parse(output.read_text())


def parse(text: str) -> tuple[int, dict[str, int]]:
    """(all instructions, {function: its own}) from a callgrind file.

    Names are given once as "(7) name" and by number afterwards. The line after "calls=" holds the cost of the called
    function, which is not the caller's own.
    """
    names: dict[str, str] = {}
    own: dict[str, int] = defaultdict(int)
    total, current, skip = 0, "", False
    for line in text.splitlines():
        if line.startswith(("fn=", "cfn=")):
            key, name = _NAME.match(line.split("=", 1)[1]).groups()
            if name:
                names[key] = name
            if line.startswith("fn="):
                current = names[key]
        elif line.startswith("calls="):
            skip = True
        elif line.startswith("summary:"):
            total = int(line.split()[1])
        elif line[:1] in "+-*" or line[:1].isdigit():
            if skip:
                skip = False
            elif len(parts := line.split()) > 1:
                own[current] += int(parts[1])
    return total or sum(own.values()), dict(own)


def command(globs: list[str], impls: list[str], out: Path | None, against: Path | None) -> int:
    """Count, print, write and compare; returns the exit status."""
    chosen = [case for case in CASES if not globs or any(fnmatchcase(case, glob) for glob in globs)]
    if not chosen:
        raise LookupError(f"no case is called {' or '.join(globs)}; there are {', '.join(CASES)}")
    try:
        valgrind()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    present = []
    for impl in impls:
        reason = probe(impl).missing
        if reason:
            print(f"{impl} is not counted: {reason}")
        else:
            present.append(impl)
    if "pyzq" in present:
        try:
            embedded.build()  # before anything is counted
        except embedded.CannotBuild as error:
            print(error)
    counts = _count_all(chosen, present)
    _print(counts, present)
    if out:
        out.write_text(json.dumps(counts, indent=1) + "\n")
    return _compare(counts, json.loads(against.read_text())) if against else 0


def _count_all(cases: list[str], impls: list[str]) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[str, Any]] = {}
    with show.progress("counting instructions") as progress:
        for number, (case, impl) in enumerate([(c, i) for c in cases for i in impls]):
            progress(number, len(cases) * len(impls), f"{case} {impl}")
            try:
                found = count(impl, case)
                result: dict[str, Any] = {"instructions": round(found.per_operation, 1), "functions": found.functions}
            except (Unavailable, subprocess.TimeoutExpired) as error:
                result = {"error": str(error)}
            counts.setdefault(case, {})[impl] = result
    return counts


def _print(counts: dict[str, dict[str, Any]], impls: list[str]) -> None:
    body = []
    for case, results in counts.items():
        cells = [f"{r['instructions']:,.0f}" if "instructions" in r else "not possible" for r in results.values()]
        body.append([case, CASES[case][0], *cells])
    show.table(["case", "one operation", *impls], body, "Instructions per operation")
    for case, results in counts.items():
        for impl, result in results.items():
            if "error" in result:
                print(f"{case} {impl}: {result['error']}")
            else:
                where = ", ".join(f"{name} {cost:.0f}" for name, cost in result["functions"])
                print(f"{case} {impl}: {where}")


def _compare(new: dict[str, dict[str, Any]], old: dict[str, dict[str, Any]]) -> int:
    """Print the counts that changed; status 1 when one grew."""
    grew = False
    for case, results in new.items():
        for impl, result in results.items():
            before = old.get(case, {}).get(impl, {}).get("instructions")
            now = result.get("instructions")
            if before and now and abs(now / before - 1) > _MOVED:
                grew |= now > before
                print(f"{case} {impl}: {before:,.0f} -> {now:,.0f} ({now / before - 1:+.1%})")
    return int(grew)
