"""What the machine says about itself and about a process: CPU seconds, run-queue delay, memory, placement.

Linux tells everything; elsewhere a figure that is not available is None and the report says so.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_SIGKILL = 9
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds() -> float:
    """User and system CPU time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_delay_seconds(thread_id: int) -> float | None:
    """How long one thread of this process has waited runnable for a CPU so far; None when unknown."""
    try:
        return int(Path(f"/proc/self/task/{thread_id}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def system_cpu_seconds() -> tuple[float, float] | None:
    """(CPU seconds the whole machine has spent busy, seconds stolen by the hypervisor); None when unknown."""
    try:
        with open("/proc/stat") as stat:
            fields = [int(word) for word in stat.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / _TICKS, steal / _TICKS


def process_cpu_seconds(pid: int) -> float:
    """CPU seconds another process has spent; 0 when unknown."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / _TICKS
    except (OSError, IndexError, ValueError):
        return 0.0


def resident_bytes() -> int | None:
    """Resident memory of this process now; None when unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def usable_cpus() -> list[int]:
    """The CPUs this process may run on; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(cpus: list[int]) -> None:
    """Bind the calling thread, and the threads it starts from now on, to these CPUs."""
    os.sched_setaffinity(0, cpus)


def can_pin() -> bool:
    """Whether threads can be bound to CPUs here."""
    return hasattr(os, "sched_setaffinity")


def exact_sleep() -> None:
    """Ask for sleeps as exact as the kernel can (timer slack 1 ns); without effect outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends; without effect outside Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open descriptors to the hard one; returns the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard
        except (ValueError, OSError):
            return soft
    return soft


def facts() -> dict[str, Any]:
    """What a reader needs to judge the figures: CPU, kernel, Python. No names of host or user."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "tcp_congestion": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_at_start": [round(x, 2) for x in os.getloadavg()],
    }


def _cpu_model() -> str:
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _first_line(path: str) -> str:
    return ((_text(path) or "").splitlines() or [""])[0]


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None
