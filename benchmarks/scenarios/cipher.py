"""What CURVE costs at least: libsodium sealing and opening messages, on one CPU, with nothing around it.

A message under CURVE is sealed on one side and opened on the other, so two CPUs cannot carry more than twice as many.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import embedded
from ..link import Link
from .payload import ContentError, Payload

_SOURCE = Path(embedded.__file__).with_name("cipher.pyx")


def cipher(link: Link, context: Any) -> dict[str, Any]:
    """Boxes made and opened in the time of a run."""
    from zcore.sodium import load

    load()
    boxes, body = embedded.extension(_SOURCE).boxes, Payload(link.job["size"]).body
    boxes(body, int(link.job["warm_s"] * 1e9))
    link.ready()
    with link.measured():
        count, ns, right = boxes(body, int(link.job["run_s"] * 1e9))
    if not right:
        raise ContentError("a box did not open to what was sealed")
    return {"count": count, "ns": ns}


def roles(pattern: str) -> tuple[tuple[str, Any], ...]:
    """One process."""
    return (("cipher", cipher),)


def summarise(job: dict[str, Any], results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Messages sealed and opened per second of one CPU."""
    count, ns = results["cipher"]["count"], results["cipher"]["ns"]
    return {"rate": count / ns * 1e9, "operations": count}
