"""Names to addresses: on the calling thread, and on the resolver's threads with the answer on the reactor's."""

import errno
import os
import socket
import threading

import pytest

from zcore import selftest_reactor as sr

from .driver import in_child, no_tsan, thread_names

INET, INET6 = int(socket.AF_INET), int(socket.AF_INET6)
UNKNOWN = {-errno.EHOSTUNREACH, -errno.EAGAIN}  # no such name; or no name server to say so


def numbers(addresses):
    """[(family, sockaddr bytes)] as [(family, host, port)]."""
    found = []
    for family, raw in addresses:
        port = int.from_bytes(raw[2:4], "big")
        host = raw[4:8] if family == INET else raw[8:24]
        found.append((family, socket.inet_ntop(family, host), port))
    return found


@pytest.fixture
def r():
    probe = sr.ReactorProbe()
    probe.start()
    yield probe
    probe.stop()
    probe.free()


@pytest.fixture
def gate():
    """Names beginning with "gate." wait until the gate is opened."""
    reading, writing = os.pipe()
    wait_no_threads()
    sr.set_gate(reading)
    opened = []

    def open_gate():
        opened.append(1)
        os.write(writing, b"x")

    yield open_gate
    if not opened:
        open_gate()
    wait_no_threads()
    sr.set_gate(None)
    os.close(reading)
    os.close(writing)


def wait_until(condition):
    done = threading.Event()
    for _ in range(30_000):
        if condition():
            return
        done.wait(0.001)
    raise TimeoutError


def wait_no_threads():
    wait_until(lambda: sr.threads() == 0)


def ask(r, host, *arguments):
    """Asks and waits for the answer."""
    name = r.name(host, *arguments)
    before = len(r.log())
    assert r.run((sr.RESOLVE, name)) == [0]
    r.wait_log(before + 1)
    return r.answer(name)


# ---- on the calling thread ----


def test_numeric():
    assert sr.resolve("127.0.0.1", 5555)[0] == 0
    assert numbers(sr.resolve("127.0.0.1", 5555)[2]) == [(INET, "127.0.0.1", 5555)]
    assert numbers(sr.resolve("::1", 65535)[2]) == [(INET6, "::1", 65535)]


def test_localhost():
    error, code, addresses = sr.resolve("localhost", 1234, INET)
    assert (error, code) == (0, 0)
    assert (INET, "127.0.0.1", 1234) in numbers(addresses)


def test_no_name():
    assert numbers(sr.resolve("", 80, INET)[2]) == [(INET, "127.0.0.1", 80)]
    assert numbers(sr.resolve("", 80, INET, sr.PASSIVE)[2]) == [(INET, "0.0.0.0", 80)]
    assert numbers(sr.resolve("", 80, INET6, sr.PASSIVE)[2]) == [(INET6, "::", 80)]


def test_v4_mapped():
    assert numbers(sr.resolve("127.0.0.1", 80, INET6, sr.V4MAPPED)[2]) == [(INET6, "::ffff:127.0.0.1", 80)]
    assert sr.resolve("127.0.0.1", 80, INET6)[0] == -errno.EHOSTUNREACH


def test_numeric_only():
    error, code, addresses = sr.resolve("localhost", 80, INET, sr.NUMERIC)
    assert error == -errno.EHOSTUNREACH
    assert code == socket.EAI_NONAME
    assert addresses == []


def test_unknown_name():
    error, code, addresses = sr.resolve("no-such-host.invalid", 80)
    assert error in UNKNOWN
    assert code != 0
    assert addresses == []


@pytest.mark.parametrize(
    ("host", "port", "family", "flags", "error"),
    [
        ("localhost", -1, 0, 0, errno.EINVAL),
        ("localhost", 65536, 0, 0, errno.EINVAL),
        ("localhost", 80, 12345, 0, errno.EINVAL),
        ("localhost", 80, 0, 1024, errno.EINVAL),
        ("x" * 1025, 80, 0, 0, errno.ENAMETOOLONG),
    ],
)
def test_refused(host, port, family, flags, error):
    assert sr.resolve(host, port, family, flags) == (-error, 0, [])


# ---- through the reactor ----


def test_answer_comes_to_the_reactor(r):
    error, _, addresses = ask(r, "localhost", 4321, INET)
    assert error == 0
    assert (INET, "127.0.0.1", 4321) in numbers(addresses)


def test_numeric_needs_no_thread(r, gate):
    """Also while every resolver thread is held up."""
    held = [r.name(f"gate.{i}") for i in range(6)]
    assert r.run(*[(sr.RESOLVE, name) for name in held]) == [0] * 6
    assert numbers(ask(r, "127.0.0.1", 1)[2]) == [(INET, "127.0.0.1", 1)]
    assert numbers(ask(r, "::1", 2)[2]) == [(INET6, "::1", 2)]
    assert ask(r, "", 3, INET, sr.PASSIVE)[0] == 0
    assert ask(r, "localhost", 4, 0, sr.NUMERIC)[0] == -errno.EHOSTUNREACH
    gate()
    assert {record[1] for record in r.wait_log(10)} >= set(held)


def test_answer_is_never_given_within_the_call(r):
    """The answer of a numeric name is a task too: it comes after what was running."""
    name, k = r.name("127.0.0.1"), r.task([(sr.NOTE,)])
    r.run((sr.RESOLVE, name), (sr.POST, k))
    assert [record[:2] for record in r.wait_log(2)] == [("name", name), ("task", k)]
    # a script that follows in the same task sees the request as not answered yet: it can be cancelled
    assert r.run((sr.RESOLVE, name), (sr.RESOLVE_CANCEL, name)) == [0, 0]
    r.run()
    assert len(r.log()) == 2


def test_failing_name(r):
    error, code, addresses = ask(r, "no-such-host.invalid", 1)
    assert error in UNKNOWN
    assert code != 0
    assert addresses == []


def test_refused_at_once(r):
    name = r.name("localhost", 65536)
    assert r.run((sr.RESOLVE, name)) == [-errno.EINVAL]
    r.run()
    assert r.log() == []


def test_the_reactor_works_while_a_name_is_looked_up(r, gate):
    name, t = r.name("gate.slow", 7), r.timer()
    assert r.run((sr.RESOLVE, name)) == [0]
    wait_until(lambda: sr.entered() == 1)
    r.run((sr.TIMER, t, 0))
    assert [record[:2] for record in r.wait_log(1)] == [("timer", t)]
    gate()
    assert [record[:2] for record in r.wait_log(2)][1:] == [("name", name)]
    assert numbers(r.answer(name)[2]) == [(INET, "127.0.0.1", 7)]


def test_one_slow_name_does_not_hold_up_another(r, gate):
    slow = r.name("gate.slow")
    r.run((sr.RESOLVE, slow))
    wait_until(lambda: sr.entered() == 1)
    assert ask(r, "localhost")[0] == 0
    gate()
    r.wait_log(2)


def test_number_of_threads_is_bounded(r, gate):
    names = [r.name(f"gate.{i}") for i in range(12)]
    for name in names:
        r.run((sr.RESOLVE, name))
    wait_until(lambda: sr.entered() == 4)
    assert sr.threads() == 4
    gate()
    assert {record[1] for record in r.wait_log(12)} == set(names)


def test_threads_end_when_no_name_is_left(r):
    ask(r, "localhost")
    wait_no_threads()
    # the thread has said so before its very last instructions
    wait_until(lambda: "pyzq-resolver" not in thread_names())


# ---- cancelled ----


def test_cancelled_while_it_is_looked_up(r, gate):
    name = r.name("gate.slow")
    r.run((sr.RESOLVE, name))
    wait_until(lambda: sr.entered() == 1)
    assert r.run((sr.FREE, name)) == [0]
    gate()
    wait_no_threads()
    r.run()
    r.run()
    assert r.log() == []


def test_cancelled_in_the_queue_is_not_looked_up(r, gate):
    held = [r.name(f"gate.{i}") for i in range(4)]
    r.run(*[(sr.RESOLVE, name) for name in held])
    wait_until(lambda: sr.entered() == 4)
    waiting = [r.name(f"gate.waiting.{i}") for i in range(5)]
    r.run(*[(sr.RESOLVE, name) for name in waiting])
    r.run(*[(sr.FREE, name) for name in waiting])
    gate()
    wait_no_threads()
    assert {record[1] for record in r.wait_log(4)} == set(held)
    assert sr.entered() == 4


def test_cancelled_after_the_answer_was_posted(r, gate):
    """The answer is in the reactor's queue when the request is cancelled: it is not told."""
    reading, writing = os.pipe()
    name = r.name("gate.slow")
    r.run((sr.RESOLVE, name))
    wait_until(lambda: sr.entered() == 1)
    canceller = r.task([(sr.WAIT, reading), (sr.FREE, name)])
    r.post(canceller)
    r.wait_log(1)
    gate()
    wait_no_threads()  # a thread ends after it has posted its answer
    os.write(writing, b"x")
    r.run()
    r.run()
    assert [record[:2] for record in r.log()] == [("task", canceller)]
    os.close(reading)
    os.close(writing)


def test_cancelled_from_the_answer_of_another(r):
    first, second = r.name("127.0.0.1"), r.name("127.0.0.2")
    r.script(first, [(sr.FREE, second)])
    r.run((sr.RESOLVE, first), (sr.RESOLVE, second))
    r.wait_log(1)
    r.run()
    assert [record[:2] for record in r.log()] == [("name", first)]


def test_asked_again_from_the_answer(r):
    name = r.name("localhost")
    r.script(name, [(sr.RESOLVE, name)])
    r.run((sr.RESOLVE, name))
    r.wait_log(10)
    r.run((sr.FREE, name))
    n = len(r.log())
    wait_no_threads()
    r.run()
    assert len(r.log()) == n


def test_many_at_once(r):
    names = [r.name("localhost" if i % 3 else "127.0.0.1", i) for i in range(200)]
    for name in names:
        r.run((sr.RESOLVE, name))
    assert sorted(record[1] for record in r.wait_log(200)) == names
    assert all(r.answer(name)[0] == 0 for name in names)


# ---- the end ----


def test_reactor_ends_while_a_name_is_looked_up(gate):
    """Nobody waits for the lookup; its answer is thrown away, though the reactor's memory is given back before."""
    r = sr.ReactorProbe()
    r.start()
    name = r.name("gate.slow")
    r.run((sr.RESOLVE, name))
    wait_until(lambda: sr.entered() == 1)
    r.run((sr.FREE, name))
    r.stop()
    r.free()
    assert sr.threads() == 1
    gate()
    wait_no_threads()


def test_reactor_ends_with_a_request_not_cancelled(gate):
    r = sr.ReactorProbe()
    r.start()
    names = [r.name("gate.slow"), r.name("gate.other")]
    r.run(*[(sr.RESOLVE, name) for name in names])
    wait_until(lambda: sr.entered() == 2)
    r.stop()
    r.free()
    gate()
    wait_no_threads()
    assert r.log() == []


def test_descriptors_are_released(gate):
    before = len(os.listdir("/dev/fd"))
    r = sr.ReactorProbe()
    r.start()
    r.run((sr.RESOLVE, r.name("gate.slow")))
    wait_until(lambda: sr.entered() == 1)
    r.stop()
    r.free()
    del r
    gate()
    wait_until(lambda: len(os.listdir("/dev/fd")) == before)


@no_tsan
def test_fork_while_a_name_is_looked_up(r, gate):
    """The child has no resolver thread and a lock of its own: it resolves with a reactor of its own."""
    r.run((sr.RESOLVE, r.name("gate.slow")), (sr.RESOLVE, r.name("gate.other")))
    wait_until(lambda: sr.entered() == 2)

    def check():
        empty = sr.threads() == 0
        r.forked()
        own = sr.ReactorProbe()
        own.start()
        error, _, addresses = ask(own, "localhost", 9, INET)
        own.stop()
        own.free()
        return empty and error == 0 and (INET, "127.0.0.1", 9) in numbers(addresses)

    assert in_child(check)
    gate()
    assert len(r.wait_log(2)) == 2
