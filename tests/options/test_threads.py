"""The background threads: how many, what they are called, where and how they run, and which serves whom."""

import os
import resource

import psutil
import pytest
from support.impl import OURS, ours_only, zmq
from support.waiting import wait_for

on_linux = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are looked at in /proc")


def named(prefix):
    """{name: thread} of this process."""
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/comm") as comm:
                name = comm.read().strip()
        except FileNotFoundError:
            continue
        if name.startswith(prefix):
            found[name] = int(task)
    return found


def switches(thread):
    """How often a thread has slept and come back."""
    with open(f"/proc/self/task/{thread}/status") as status:
        return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)


def threads_of(world, prefix, **options):
    """The threads of a context whose sockets have met, and those sockets."""
    context = world.new_context()
    context.set(int(zmq.THREAD_NAME_PREFIX), prefix)
    for name, value in options.items():
        context.set(int(getattr(zmq, name)), value)
    pull, push = world.socket(zmq.PULL, context=context), world.socket(zmq.PUSH, context=context)
    world.link(pull, push, "tcp")
    push.send(b"x")
    assert pull.recv() == b"x"
    return wait_for(lambda: named(f"{prefix}/"), "threads of that name")


def test_io_threads_are_threads(world):
    before = psutil.Process().num_threads()
    context = world.new_context(3)
    assert context.get(int(zmq.IO_THREADS)) == 3
    pull = world.socket(zmq.PULL, context=context)
    world.bind(pull, "tcp")
    running = psutil.Process().num_threads() - before
    assert running >= (3 if not OURS else 0)
    assert running <= 5


@on_linux
def test_name_prefix_is_a_number(world):
    assert threads_of(world, 77)


@on_linux
@ours_only
@pytest.mark.parametrize(
    ("prefix", "shown"),
    [(b"w", "w/A"), ("work", "work/A"), (-2147483648, "-2147483648/A"), (b"x" * 16, "x" * 13 + "/A")],
)
def test_name_prefix_is_text(world, prefix, shown):
    """Linux shows 15 bytes: 13 of the prefix, a slash, and a letter for each thread."""
    context = world.new_context()
    context.set(int(zmq.THREAD_NAME_PREFIX), prefix)
    world.bind(world.socket(zmq.PULL, context=context), "tcp")
    assert wait_for(lambda: named(shown), "a thread of that name")
    with pytest.raises(zmq.ZMQError) as caught:
        world.new_context().set(int(zmq.THREAD_NAME_PREFIX), b"x" * 17)
    assert caught.value.errno == int(zmq.EINVAL)


@ours_only
@pytest.mark.parametrize(
    "name",
    [
        "IO_THREADS",
        "THREAD_NAME_PREFIX",
        "THREAD_PRIORITY",
        "THREAD_SCHED_POLICY",
        "THREAD_AFFINITY_CPU_ADD",
        "THREAD_AFFINITY_CPU_REMOVE",
    ],
)
def test_too_late_for_the_threads(world, name):
    """With the first socket it is settled what they are like; a setting that could do nothing is an error."""
    context = world.new_context()
    context.set(int(zmq.THREAD_AFFINITY_CPU_ADD), 0)
    context.set(int(getattr(zmq, name)), 0)
    world.socket(zmq.PULL, context=context)
    with pytest.raises(zmq.error.OptionTooLate) as caught:
        context.set(int(getattr(zmq, name)), 0)
    assert caught.value.errno == int(zmq.EINVAL)
    assert name in str(caught.value)


@on_linux
def test_affinity_chooses_the_thread(world):
    """Of two threads the one in the mask does the work: it is the one that wakes."""
    context = world.new_context(2)
    context.set(int(zmq.THREAD_NAME_PREFIX), 50 + OURS)
    prefix = f"{50 + OURS}/"
    both = [world.socket(zmq.PULL, context=context, AFFINITY=1 << bit) for bit in range(2)]
    endpoints = [world.bind(pull, "tcp") for pull in both]
    found = wait_for(lambda: len(named(prefix)) >= 2 and named(prefix), "threads")
    threads = [found[name] for name in sorted(found) if OURS or "IO" in name.upper()]
    assert len(threads) == 2

    def moved(endpoint, bit):
        """How often each of the two woke while connections came and went."""
        before = [switches(thread) for thread in threads]
        for number in range(40):
            push = world.socket(zmq.PUSH, context=context, AFFINITY=1 << bit)
            push.connect(endpoint)
            push.send(b"%d" % number)
            assert both[bit].recv() == b"%d" % number
            push.close()
        return [switches(thread) - at for thread, at in zip(threads, before, strict=True)]

    for bit, endpoint in enumerate(endpoints):
        work = moved(endpoint, bit)
        assert work[bit] > 3 * work[1 - bit], work  # how often a busy machine interrupts the other is not ours to say


def test_affinity_to_no_thread(world):
    context = world.new_context(2)
    lost = world.socket(zmq.PULL, context=context, AFFINITY=1 << 10)
    with pytest.raises(zmq.ZMQError) as caught:
        lost.bind("tcp://127.0.0.1:*")
    assert caught.value.errno == int(zmq.EMTHREAD)


@on_linux
def test_cpus(world):
    first = min(os.sched_getaffinity(0))
    for thread in threads_of(world, 60 + OURS, THREAD_AFFINITY_CPU_ADD=first).values():
        assert os.sched_getaffinity(thread) == {first}
    context = world.new_context()
    context.set(int(zmq.THREAD_AFFINITY_CPU_ADD), first)
    with pytest.raises(zmq.ZMQError) as caught:
        context.set(int(zmq.THREAD_AFFINITY_CPU_REMOVE), first + 1)
    assert caught.value.errno == int(zmq.EINVAL)
    context.set(int(zmq.THREAD_AFFINITY_CPU_REMOVE), first)


def may_be_real_time():
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] > 0


@on_linux
@pytest.mark.skipif(not may_be_real_time(), reason="real-time scheduling needs a privilege")
def test_priority_and_policy(world):
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError:
        pytest.skip("this machine grants no real-time scheduling")
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    found = threads_of(world, 70 + OURS, THREAD_SCHED_POLICY=os.SCHED_RR, THREAD_PRIORITY=7)
    for thread in found.values():
        assert os.sched_getscheduler(thread) == os.SCHED_RR
        assert os.sched_getparam(thread).sched_priority == 7


@on_linux
def test_policy_alone(world):
    """SCHED_BATCH needs no privilege."""
    for thread in threads_of(world, 80 + OURS, THREAD_SCHED_POLICY=os.SCHED_BATCH).values():
        assert os.sched_getscheduler(thread) == os.SCHED_BATCH


@on_linux
@ours_only
def test_what_the_system_refuses_breaks_nothing(world):
    for thread in threads_of(world, 90 + OURS, THREAD_SCHED_POLICY=os.SCHED_RR, THREAD_PRIORITY=1000).values():
        assert os.sched_getscheduler(thread) in (os.SCHED_OTHER, os.SCHED_BATCH)


VMCI = {"VMCI_BUFFER_SIZE": 65546, "VMCI_BUFFER_MIN_SIZE": 128, "VMCI_BUFFER_MAX_SIZE": 262144}


@ours_only
@pytest.mark.parametrize("name", VMCI)
def test_vmci_buffers_are_checked_and_kept(world, name):
    """By the table that sockets take their options from; a program can set them and not read them, as in libzmq."""
    from zcore.options import OptionSet

    number = int(getattr(zmq, name))
    for value, taken in ((1 << 33, True), (0, True), (-1, False)):
        made, options = world.socket(zmq.PUB), OptionSet(int(zmq.PUB))
        if taken:
            made.set(number, value)
            options.set(number, value)
        else:
            with pytest.raises(zmq.ZMQError) as caught:
                made.set(number, value)
            assert caught.value.errno == int(zmq.EINVAL)
            with pytest.raises(OSError, match="22"):
                options.set(number, value)
        with pytest.raises(zmq.ZMQError) as caught:
            made.get(number)
        assert caught.value.errno == int(zmq.EINVAL)
