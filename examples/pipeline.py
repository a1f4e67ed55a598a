"""Pipeline: a source hands out tasks, workers share them, a sink collects the results.

PUSH gives each message to one of its peers, in turn and only to those that have room; PULL takes from all of its peers
fairly.  Source, workers and sink are processes here and meet at two names in the file system (ipc).
"""

import hashlib
import multiprocessing
import tempfile

import pyzq as zmq

WORKERS = 3
TASKS = 2000


def digest(task: bytes) -> bytes:
    return hashlib.sha256(task).digest()


def work(folder: str) -> None:
    """Do tasks until the source says that there are no more."""
    context = zmq.Context()
    name = multiprocessing.current_process().name.encode()
    with context.socket(zmq.PULL) as tasks, context.socket(zmq.PUSH) as results, context.socket(zmq.SUB) as stop:
        # With a limit of one a busy worker holds back no tasks an idle one could do.
        tasks.rcvhwm = 1
        tasks.connect(f"ipc://{folder}/tasks")
        results.connect(f"ipc://{folder}/results")
        stop.connect(f"ipc://{folder}/stop")
        stop.subscribe(b"")
        poller = zmq.Poller()
        poller.register(tasks, zmq.POLLIN)
        poller.register(stop, zmq.POLLIN)
        while stop not in (ready := dict(poller.poll())):
            if tasks in ready:
                task = tasks.recv()
                results.send_multipart([name, task, digest(task)])
    # Leaving the block closed the sockets; term() waits until what was sent has gone out.
    context.term()


def main() -> None:
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        with context.socket(zmq.PUSH) as tasks, context.socket(zmq.PULL) as results, context.socket(zmq.XPUB) as stop:
            tasks.sndhwm = 1
            tasks.bind(f"ipc://{folder}/tasks")
            results.bind(f"ipc://{folder}/results")
            # XPUB tells of each subscription, VERBOSE of those it already has too: that is how we know all are here.
            stop.xpub_verbose = True
            stop.bind(f"ipc://{folder}/stop")
            workers = [spawn.Process(target=work, args=(folder,), name=f"worker {n}") for n in range(WORKERS)]
            for worker in workers:
                worker.start()
            for _ in workers:
                assert stop.recv() == b"\x01"

            shares: dict[bytes, int] = {}
            pending = {str(n).encode() for n in range(TASKS)}
            unsent = sorted(pending)
            while pending:
                # Sending would block while every worker has its hands full, so results are taken in between.
                while unsent and tasks.poll(0, zmq.POLLOUT):
                    tasks.send(unsent.pop())
                if results.poll(10):
                    name, task, answer = results.recv_multipart()
                    assert answer == digest(task), task
                    pending.remove(task)
                    shares[name] = shares.get(name, 0) + 1

            stop.send(b"")
            for worker in workers:
                worker.join()
                assert worker.exitcode == 0, worker
    print(", ".join(f"{name.decode()}: {count} tasks" for name, count in sorted(shares.items())))


if __name__ == "__main__":
    main()
