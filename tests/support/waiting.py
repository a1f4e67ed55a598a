"""Waiting for events, never for time to pass."""

import os
import select
import threading
import time

import pytest

from support.impl import DEADLINE, Errors, zmq

TICK = 0.002  # seconds between two looks at something that cannot wake us


def wait_for(condition, what="the condition", timeout=DEADLINE):
    """Looks until ``condition()`` is true and returns its value; fails the test after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen within {timeout} s (last value {value!r})")
        time.sleep(TICK)


class Task(threading.Thread):
    """A daemon thread that keeps its result or its exception."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call = (function, args, kwargs)
        self.value = None
        self.error = None
        self.start()

    def run(self):
        function, args, kwargs = self._call
        try:
            self.value = function(*args, **kwargs)
        except BaseException as error:
            self.error = error
        finally:
            self._call = None

    def result(self, timeout=DEADLINE):
        self.join(timeout)
        if self.is_alive():
            pytest.fail(f"a thread is still running after {timeout} s")
        if self.error is not None:
            raise self.error
        return self.value


def wait_blocked(task, samples=15):
    """Waits until the task's thread sleeps for ``samples`` looks in a row: it is inside its blocking call."""
    path = f"/proc/self/task/{wait_for(lambda: task.native_id, 'the thread id')}/stat"
    asleep = 0

    def look():
        nonlocal asleep
        if not task.is_alive():
            pytest.fail(f"the thread ended instead of blocking: {task.error!r}")
        if not os.path.exists(path):
            time.sleep(samples * TICK)
            return True
        with open(path) as stat:
            state = stat.read().rpartition(")")[2].split()[0]
        asleep = asleep + 1 if state == "S" else 0
        return asleep >= samples

    wait_for(look, "the thread blocking")


def drain(socket, flags=None):
    """Every message already there, as lists of parts."""
    found = []
    while True:
        try:
            found.append(socket.recv_multipart(int(zmq.DONTWAIT) if flags is None else flags))
        except Errors as error:
            assert error.errno == int(zmq.EAGAIN), error
            return found


def nothing(socket, ms=60):
    """Asserts that no message arrives within ``ms``: for absences that no later message can prove."""
    if socket.poll(ms, int(zmq.POLLIN)):
        pytest.fail(f"unexpected message {socket.recv_multipart(int(zmq.DONTWAIT))!r}")


def fill(socket, message=b"x", limit=100_000):
    """Sends without waiting until the socket refuses; returns how many it took."""
    for count in range(limit):
        try:
            socket.send(message, int(zmq.DONTWAIT))
        except Errors as error:
            assert error.errno == int(zmq.EAGAIN), error
            return count
    pytest.fail(f"no high-water mark within {limit} messages")


def fill_settled(socket, message=b"x", rounds=4, limit=100_000):
    """Like ``fill`` but goes on until the connection itself is full too: several refusals in a row after a poll."""
    total, refused = 0, 0
    while refused < rounds:
        taken = fill(socket, message, limit)
        total += taken
        refused = 0 if taken else refused + 1
        if socket.poll(30, int(zmq.POLLOUT)) and not taken:
            select.select([], [], [], 0.03)  # a publisher's POLLOUT says nothing of its queues
    return total


def sync(publisher, *subscribers, topic=b"", prefix=()):
    """Publishes numbered marks until every subscriber has got one, then empties them.

    The subscribers must be subscribed to ``topic``.  On return no mark is under way.
    """
    waiting = list(subscribers)
    end = time.monotonic() + DEADLINE
    number = 0
    while waiting:
        number += 1
        publisher.send_multipart([*prefix, topic + b"\xffmark%d" % number])
        waiting = [one for one in waiting if not one.poll(5, int(zmq.POLLIN))]
        if time.monotonic() > end:
            pytest.fail("no subscriber got a mark")
    last = topic + b"\xfflast"
    publisher.send_multipart([*prefix, last])
    for one in subscribers:
        while one.recv_multipart()[-1] != last:
            pass


class Watch:
    """A monitor on a socket, as a list of events that can be waited for."""

    def __init__(self, socket, events=None):
        self.module = zmq if isinstance(socket, zmq.Socket) else __import__("zmq")
        self.socket = socket
        self.monitor = socket.get_monitor_socket(self.module.Event.ALL if events is None else events)
        self.monitor.linger = 0
        self.seen = []

    def _read(self, ms):
        parse = __import__(self.module.__name__ + ".utils.monitor", fromlist=["x"]).recv_monitor_message
        if self.monitor.poll(ms):
            self.seen.append(parse(self.monitor))
            return True
        return False

    def wait(self, event, timeout=DEADLINE):
        """Returns the first not yet returned record of ``event`` (an int or a set of them)."""
        wanted = {int(event)} if isinstance(event, int) else {int(one) for one in event}
        end = time.monotonic() + timeout
        while True:
            for index, record in enumerate(self.seen):
                if int(record["event"]) in wanted:
                    return self.seen.pop(index)
            left = end - time.monotonic()
            if left <= 0 or (not self._read(int(left * 1000) + 1) and time.monotonic() > end):
                pytest.fail(f"no event {sorted(hex(one) for one in wanted)} within {timeout} s; saw {self.seen}")

    def happened(self, event):
        """Whether the event has been reported by now."""
        while self._read(0):
            pass
        return any(int(record["event"]) == int(event) for record in self.seen)

    def close(self):
        if not self.socket.closed:
            self.socket.disable_monitor()
        self.monitor.close(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
