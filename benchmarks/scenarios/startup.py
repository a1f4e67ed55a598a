"""``import`` in a fresh interpreter: time and resident memory.

Every sample is a new process that imports nothing before but `time` and `os`. Parameter `samples`: processes per round.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from ..adapters import zmqlike
from ..link import Link

_MODULES = zmqlike.MODULES | {"pynng": "pynng", "plain": "socket"}
_CODE = """
import os, time
def resident():
    try:
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
before, began = resident(), time.perf_counter()
import {module}
print("[%.9f, %s, %s]" % (time.perf_counter() - began, before or "null", resident() or "null"))
"""


def importer(link: Link, context: Any) -> dict[str, Any]:
    """Starts the interpreters, one after the other; the first only warms the file cache."""
    command = [sys.executable, "-c", _CODE.format(module=_MODULES[link.job["impl"]])]
    link.ready()
    samples = []
    with link.measured():
        for _ in range(link.params["samples"] + 1):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            samples.append(json.loads(done.stdout.splitlines()[-1]))
    return {"samples": samples[1:]}


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """One process, which starts the others."""
    return (("importer", importer),)


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Medians over the samples."""
    samples = results["importer"]["samples"]
    values = {"import_ms": statistics.median(s[0] for s in samples) * 1e3, "operations": len(samples)}
    if samples[0][1] is not None and samples[0][2] is not None:
        values["memory_mb"] = statistics.median(s[2] - s[1] for s in samples) / 1e6
    return values
