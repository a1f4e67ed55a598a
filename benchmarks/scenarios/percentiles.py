"""Percentiles of latencies in ns, given in microseconds."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(ordered: Sequence[int], share: float) -> float:
    """The value below which `share` (0..1) of an ordered sequence lies, by nearest rank."""
    return float(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def summary(values: Sequence[int], prefix: str = "") -> dict[str, float]:
    """p50, p99, p99.9 and mean of latencies in ns, in us."""
    ordered = sorted(values)
    return {
        f"{prefix}p50_us": percentile(ordered, 0.50) / 1e3,
        f"{prefix}p99_us": percentile(ordered, 0.99) / 1e3,
        f"{prefix}p999_us": percentile(ordered, 0.999) / 1e3,
        f"{prefix}mean_us": sum(ordered) / len(ordered) / 1e3,
    }
