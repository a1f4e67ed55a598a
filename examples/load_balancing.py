"""Load balancing with ROUTER and DEALER: each job goes to the worker that has been idle longest.

A ROUTER puts the sender's identity in front of what it receives and takes the identity of the receiver from the front
of what it sends.  That is all a broker needs: workers say when they are ready, and the broker addresses each job.
Round robin would keep giving jobs to a slow worker; here it gets as many as it can do.
"""

import collections
import threading

import pyzq as zmq

WORKERS = 4
CLIENTS = 6
JOBS = 100
READY = b"READY"
DONE = b"DONE"


def broker(frontend: zmq.Socket, backend: zmq.Socket) -> None:
    """Pass jobs to idle workers and answers to the clients they belong to, until the context is terminated."""
    with frontend, backend:
        idle: collections.deque[bytes] = collections.deque()
        workers, both = zmq.Poller(), zmq.Poller()
        workers.register(backend, zmq.POLLIN)
        both.register(backend, zmq.POLLIN)
        both.register(frontend, zmq.POLLIN)
        try:
            while True:
                # While no worker is idle the jobs stay where they are, and the high-water mark slows the clients down.
                ready = dict((both if idle else workers).poll())
                if backend in ready:
                    worker, *answer = backend.recv_multipart()
                    idle.append(worker)
                    if answer != [READY]:
                        frontend.send_multipart(answer)
                if frontend in ready:
                    job = frontend.recv_multipart()
                    backend.send_multipart([idle.popleft(), *job])
        except zmq.ContextTerminated:
            pass


def work(context: zmq.Context, endpoint: str, name: bytes, done: dict[bytes, int]) -> None:
    """Say that we are ready, then answer jobs; every answer says it again."""
    with context.socket(zmq.DEALER) as socket:
        socket.routing_id = name
        socket.connect(endpoint)
        socket.send(READY)
        done[name] = 0
        while True:
            client, job = socket.recv_multipart()
            if job == DONE:
                break
            socket.send_multipart([client, job[::-1]])
            done[name] += 1


def request(context: zmq.Context, endpoint: str, name: bytes) -> None:
    """Send all jobs at once and collect the answers as they come."""
    with context.socket(zmq.DEALER) as socket:
        socket.routing_id = name
        socket.connect(endpoint)
        jobs = {b"%s, job %d" % (name, n) for n in range(JOBS)}
        for job in jobs:
            socket.send(job)
        answers = {socket.recv()[::-1] for _ in jobs}
        assert answers == jobs, answers ^ jobs


def main() -> None:
    context = zmq.Context()
    frontend, backend = context.socket(zmq.ROUTER), context.socket(zmq.ROUTER)
    frontend.bind("tcp://127.0.0.1:0")
    backend.bind("inproc://workers")
    endpoint = frontend.get_string(zmq.LAST_ENDPOINT)

    done: dict[bytes, int] = {}
    brokering = threading.Thread(target=broker, args=(frontend, backend))
    workers = [
        threading.Thread(target=work, args=(context, "inproc://workers", b"worker %d" % n, done))
        for n in range(WORKERS)
    ]
    clients = [threading.Thread(target=request, args=(context, endpoint, b"client %d" % n)) for n in range(CLIENTS)]
    for thread in [brokering, *workers, *clients]:
        thread.start()
    for client in clients:
        client.join()

    # Every worker is idle now, so each of these goes to another one.
    with context.socket(zmq.DEALER) as leaving:
        leaving.connect(endpoint)
        for _ in workers:
            leaving.send(DONE)
        for worker in workers:
            worker.join()
    context.term()
    brokering.join()
    assert sum(done.values()) == CLIENTS * JOBS, done
    print(", ".join(f"{name.decode()}: {count} jobs" for name, count in sorted(done.items())))


if __name__ == "__main__":
    main()
