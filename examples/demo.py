"""What `make demo` runs: processes talk over the patterns, then a table of speeds with pyzmq's beside them.

Three scenes, each with its own processes, and every message checked by the one who receives it:

- request-reply: clients ask, one server answers;
- pipeline: a source hands out tasks, workers share them, a sink collects the results;
- publish-subscribe: publishers and subscribers that know only the proxy between them.

A process that serves until the end subscribes to `stop` once it is ready; one that has a fixed amount to do tells
`reports` how far it is.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import multiprocessing
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import pyzq as zmq

CLIENTS, REQUESTS = 3, 10_000
WORKERS, TASKS = 3, 200_000
TOPICS, PUBLISHERS, REPORTS = (b"sport", b"traffic", b"weather"), 2, 40_000

# A scene that makes no progress for this long has failed.
PATIENCE = 30.0

SPAWN = multiprocessing.get_context("spawn")


# ---- what every process has -----------------------------------------------------------------------


class Place:
    """A process's context, its sockets by name, and its two lines to the stage: `stop` and `reports`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.context = zmq.Context()
        self.reports: zmq.Socket | None = None

    def bind(self, kind: int, name: str) -> zmq.Socket:
        return self._socket(kind, name, zmq.Socket.bind)

    def connect(self, kind: int, name: str) -> zmq.Socket:
        return self._socket(kind, name, zmq.Socket.connect)

    def _socket(self, kind: int, name: str, attach: Callable) -> zmq.Socket:
        socket = self.context.socket(kind)
        # Complete delivery is what is checked here, so nothing may be dropped for want of room.
        socket.hwm = 0 if kind in (zmq.PUB, zmq.SUB, zmq.XPUB, zmq.XSUB) else 1000
        attach(socket, f"ipc://{self.folder}/{name}")
        return socket

    def report(self, count: int) -> None:
        """Tell the stage that so many more messages were received and found right."""
        if self.reports is None:
            self.reports = self.connect(zmq.PUSH, "reports")
        self.reports.send(b"%d" % count)

    def until_stopped(self, socket: zmq.Socket | None = None) -> Iterator[zmq.Socket]:
        """Say that we are ready, then yield the socket each time it has a message, until the scene is over."""
        stop = self.connect(zmq.SUB, "stop")
        stop.subscribe(b"")
        poller = zmq.Poller()
        poller.register(stop, zmq.POLLIN)
        if socket is not None:
            poller.register(socket, zmq.POLLIN)
        while stop not in dict(poller.poll()):
            yield socket


@contextlib.contextmanager
def place(folder: str) -> Iterator[Place]:
    here = Place(folder)
    yield here
    here.context.destroy(linger=10_000)


# ---- request-reply --------------------------------------------------------------------------------


def serve(folder: str) -> None:
    with place(folder) as here:
        server = here.bind(zmq.REP, "service")
        for _ in here.until_stopped(server):
            with contextlib.suppress(zmq.Again):
                while True:
                    server.send(server.recv(zmq.DONTWAIT)[::-1])


def ask(folder: str, name: int) -> None:
    with place(folder) as here:
        client = here.connect(zmq.REQ, "service")
        for number in range(REQUESTS):
            request = b"client %d, request %d" % (name, number)
            client.send(request)
            reply = client.recv()
            if reply != request[::-1]:
                sys.exit(f"{request!r} was answered with {reply!r}")
            if number % 100 == 99:
                here.report(100)


# ---- pipeline -------------------------------------------------------------------------------------


def hand_out(folder: str) -> None:
    with place(folder) as here:
        tasks = here.bind(zmq.PUSH, "tasks")
        for number in range(TASKS):
            tasks.send(b"%d" % number)
        # PUSH delivers what it accepted only as long as its process is there to deliver it.
        for _ in here.until_stopped():
            pass


def work(folder: str) -> None:
    with place(folder) as here:
        tasks = here.connect(zmq.PULL, "tasks")
        results = here.connect(zmq.PUSH, "results")
        for _ in here.until_stopped(tasks):
            with contextlib.suppress(zmq.Again):
                while True:
                    task = tasks.recv(zmq.DONTWAIT)
                    results.send_multipart([task, b"%d" % zlib.crc32(task)])


def collect(folder: str) -> None:
    with place(folder) as here:
        results = here.bind(zmq.PULL, "results")
        missing = bytearray(b"\x01") * TASKS
        for count in range(1, TASKS + 1):
            task, checksum = results.recv_multipart()
            if int(checksum) != zlib.crc32(task) or not missing[int(task)]:
                sys.exit(f"task {task!r} came twice or with the wrong result")
            missing[int(task)] = 0
            if count % 1000 == 0:
                here.report(1000)


# ---- publish-subscribe ----------------------------------------------------------------------------


def relay(folder: str) -> None:
    # The proxy has a context of its own, so that ending the context is what ends the proxy.
    inside = Place(folder)
    frontend, backend = inside.bind(zmq.XSUB, "publishers"), inside.bind(zmq.XPUB, "subscribers")

    def run() -> None:
        with frontend, backend, contextlib.suppress(zmq.ContextTerminated):
            zmq.proxy(frontend, backend)

    proxy = threading.Thread(target=run)
    proxy.start()
    with place(folder) as here:
        for _ in here.until_stopped():
            pass
    inside.context.term()
    proxy.join()


def publish(folder: str, name: int) -> None:
    with place(folder) as here:
        publisher = here.connect(zmq.XPUB, "publishers")
        wanted: set[bytes] = set()
        while wanted != set(TOPICS):
            wanted.add(publisher.recv()[1:])
        for number in range(REPORTS):
            for topic in TOPICS:
                publisher.send_multipart([topic, b"%d" % name, b"%d" % number])


def subscribe(folder: str, topic: bytes) -> None:
    with place(folder) as here:
        subscriber = here.connect(zmq.SUB, "subscribers")
        subscriber.subscribe(topic)
        following = dict.fromkeys((b"%d" % name for name in range(PUBLISHERS)), 0)
        for count in range(1, PUBLISHERS * REPORTS + 1):
            what, name, number = subscriber.recv_multipart()
            if what != topic or int(number) != following[name]:
                sys.exit(f"{topic!r}: report {number!r} of publisher {name!r} instead of {following[name]}")
            following[name] += 1
            if count % 1000 == 0:
                here.report(1000)


# ---- the stage ------------------------------------------------------------------------------------

# scene -> (messages to be checked, who serves until the end, who has a fixed amount to do)
SCENES = {
    "request-reply": (
        CLIENTS * REQUESTS,
        [(serve, ())],
        [(ask, (name,)) for name in range(CLIENTS)],
    ),
    "pipeline": (
        TASKS,
        [(work, ())] * WORKERS,
        [(collect, ()), (hand_out, ())],
    ),
    "publish-subscribe": (
        len(TOPICS) * PUBLISHERS * REPORTS,
        [(relay, ())],
        [(subscribe, (topic,)) for topic in TOPICS] + [(publish, (name,)) for name in range(PUBLISHERS)],
    ),
}


def perform(name: str, progress: Progress) -> None:
    """Run one scene in processes of its own; exit with a sentence if anything is wrong."""
    total, serving, doing = SCENES[name]
    bar = progress.add_task(f"{name}, {len(serving) + len(doing)} processes", total=total)
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        with context.socket(zmq.PULL) as reports, context.socket(zmq.XPUB) as stop:
            reports.bind(f"ipc://{folder}/reports")
            stop.xpub_verbose = True
            stop.bind(f"ipc://{folder}/stop")

            servers = [SPAWN.Process(target=role, args=(folder, *args), daemon=True) for role, args in serving]
            doers = [SPAWN.Process(target=role, args=(folder, *args), daemon=True) for role, args in doing]
            for process in servers:
                process.start()
            ready = done = 0
            while ready < len(servers):
                ready += wait_for(stop, servers, name) == b"\x01"
            for process in doers:
                process.start()
            while done < total:
                count = int(wait_for(reports, servers + doers, name))
                done += count
                progress.advance(bar, count)
            stop.send(b"")
            for process in doers + servers:
                process.join(PATIENCE)
                if process.exitcode != 0:
                    sys.exit(f"{name}: a process did not end as it should (exit code {process.exitcode}).")


def wait_for(socket: zmq.Socket, processes: list, name: str) -> bytes:
    """The next message, unless a process fails or nothing happens for too long."""
    deadline = time.monotonic() + PATIENCE
    while not socket.poll(200):
        failed = [process for process in processes if process.exitcode]
        if failed:
            sys.exit(f"{name}: a process failed with exit code {failed[0].exitcode}; its reason is above.")
        if time.monotonic() > deadline:
            sys.exit(f"{name}: no progress for {PATIENCE:.0f} seconds.")
    return socket.recv()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-table", action="store_true", help="only the scenes, not the measurements")
    arguments = parser.parse_args()

    console = Console()
    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    release = importlib.metadata.version("pyzq")
    console.print(f"pyzq {release}: every message below is checked by the process that receives it")
    with Progress(*columns, console=console) as progress:
        for name in SCENES:
            perform(name, progress)
    if not arguments.no_table:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        from benchmarks import quick

        quick.show(console)


if __name__ == "__main__":
    main()
