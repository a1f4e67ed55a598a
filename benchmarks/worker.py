"""A worker process: ``python -m benchmarks.worker``. Reads a job from stdin, runs its role or roles, reports, ends.

Not meant to be started by hand: the conductor does.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import socket
import sys
import threading
import traceback
from typing import Any

from . import adapters, machine
from .link import Bus, Link


def main() -> None:
    """Run what the first line on stdin asks for: a probe of an implementation's version, or the roles of a job."""
    machine.die_with_parent()
    outgoing = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with our lines
    request = json.loads(sys.stdin.readline())
    if "probe" in request:
        _probe(request["probe"], outgoing)
    else:
        _run(request["job"], request["roles"], request["aux"], outgoing)
    outgoing.flush()
    os._exit(0)  # sockets are left to the kernel: shutting down is measured by no row and must not delay the next one


def _probe(impl: str, outgoing: Any) -> None:
    try:
        answer = {"version": adapters.adapter(impl).version(impl), "lacks": adapters.adapter(impl).lacks(impl)}
    except Exception as error:
        answer = {"missing": f"{type(error).__name__}: {error}"}
    outgoing.write(json.dumps(answer) + "\n")


def _run(job: dict[str, Any], roles: list[str], aux: dict[str, int], outgoing: Any) -> None:
    faulthandler.dump_traceback_later(job["limit_s"], exit=True)
    machine.raise_descriptor_limit()
    bus = Bus(sys.stdin, outgoing, threaded=len(roles) > 1)
    bus.listen()
    placements = list(job["cpus"].values())
    if placements and all(cpus == placements[0] for cpus in placements):
        machine.pin(placements[0])  # before anything can start a thread
    scenario = importlib.import_module(f"benchmarks.scenarios.{job['kind']}")
    functions = dict(scenario.roles(job["pattern"]))
    if len(roles) == 1:
        links = [Link(roles[0], job, bus, aux.get(roles[0]), True)]
        _one(functions[roles[0]], links[0], None)
    else:
        links = _several(functions, roles, job, bus)
    bus.stopped()
    del links


def _several(functions: dict[str, Any], roles: list[str], job: dict[str, Any], bus: Bus) -> list[Link]:
    first, last = socket.socketpair()
    channel = {roles[0]: first.fileno(), roles[-1]: last.fileno()}
    links = [Link(role, job, bus, channel.get(role), index == 0) for index, role in enumerate(roles)]
    shared = adapters.adapter(job["impl"]).context(job["impl"])
    threads = [threading.Thread(target=_one, args=(functions[k.role], k, shared), name=k.role) for k in links[1:]]
    for thread in threads:
        thread.start()
    _one(functions[roles[0]], links[0], shared)
    for thread in threads:
        thread.join()
    first.close()
    last.close()
    return links


def _one(function: Any, link: Link, shared: Any) -> None:
    try:
        cpus = link.job["cpus"].get(link.role)
        if cpus:
            machine.pin(cpus)
        impl = link.job["impl"]
        context = shared if shared is not None else adapters.adapter(impl).context(impl)
        link.kept.append(context)
        result = function(link, context)
        link.bus.say({"result": result | link.usage, "role": link.role})
    except BaseException as error:
        link.bus.say({"error": f"{type(error).__name__}: {error}", "role": link.role})
        traceback.print_exc()


if __name__ == "__main__":
    main()
