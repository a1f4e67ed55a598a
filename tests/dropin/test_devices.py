"""Devices: proxies described first and run in a thread or process of their own."""

import importlib
import os
import struct

import pytest
from support.impl import DEADLINE, IMPL, OURS, zmq
from support.waiting import Task, wait_for

devices = importlib.import_module(f"{IMPL}.devices")


@pytest.fixture
def in_thread(world):
    """Starts a device of a context of its own, and ends it with the test."""
    started = []

    def start(device, context=None):
        context = context or world.new_context()
        device.context_factory = lambda: context
        device.start()
        started.append((device, context))
        return context

    yield start
    for device, context in started:
        Task(context.term).result()
        device.join(DEADLINE)
        assert device.done


def test_a_queue_in_a_thread(world, in_thread):
    device = devices.ThreadDevice(zmq.QUEUE, zmq.ROUTER, zmq.DEALER)
    front, back = (
        f"tcp://127.0.0.1:{bind('tcp://127.0.0.1')}"
        for bind in (device.bind_in_to_random_port, device.bind_out_to_random_port)
    )
    device.setsockopt_in(int(zmq.LINGER), 0)
    device.setsockopt_out(int(zmq.LINGER), 0)
    in_thread(device)
    req, rep = world.socket(zmq.REQ), world.socket(zmq.REP)
    req.connect(front)
    rep.connect(back)
    req.send(b"question")
    assert rep.recv() == b"question"
    rep.send(b"answer")
    assert req.recv() == b"answer"
    assert not device.done


def test_a_reflector(world, in_thread):
    """A negative second type: the first socket at both ends."""
    device = devices.ThreadDevice(zmq.QUEUE, zmq.REP, -1)
    device.bind_in("inproc://reflector")
    context = in_thread(device)
    req = world.socket(zmq.REQ, context=context)
    req.connect("inproc://reflector")
    for number in range(3):
        req.send(b"%d" % number)
        assert req.recv() == b"%d" % number
    req.close()


def test_a_proxy_with_a_monitor(world, in_thread):
    device = devices.ThreadProxy(zmq.PULL, zmq.PUSH, zmq.PUSH)
    device.bind_in("inproc://in")
    device.connect_out("inproc://out")
    device.connect_mon("inproc://mon")
    device.setsockopt_mon(int(zmq.SNDHWM), 7)
    context = world.new_context()
    out, mon = world.socket(zmq.PULL, context=context), world.socket(zmq.PULL, context=context)
    out.bind("inproc://out")
    mon.bind("inproc://mon")
    in_thread(device, context)
    push = world.socket(zmq.PUSH, context=context)
    push.connect("inproc://in")
    push.send_multipart([b"a", b"b"])
    assert out.recv_multipart() == mon.recv_multipart() == [b"a", b"b"]
    assert device._sockets[2].get(int(zmq.SNDHWM)) == 7
    for one in (push, out, mon):
        one.close()


def test_a_monitored_queue(world, in_thread):
    device = devices.ThreadMonitoredQueue(zmq.PULL, zmq.PUSH, zmq.PUSH, b"<", b">")
    device.bind_in("inproc://in")
    device.bind_out("inproc://out")
    device.bind_mon("inproc://mon")
    context = in_thread(device)
    push, pull, mon = (world.socket(kind, context=context) for kind in (zmq.PUSH, zmq.PULL, zmq.PULL))
    push.connect("inproc://in")
    pull.connect("inproc://out")
    mon.connect("inproc://mon")
    push.send(b"x")
    assert pull.recv() == b"x"
    assert mon.recv_multipart() == [b"<", b"x"]
    for one in (push, pull, mon):
        one.close()


@pytest.mark.skipif(not OURS, reason="pyzmq's may come without steerable proxies")
@pytest.mark.parametrize("kind", [None, zmq.REP])
def test_a_steerable_proxy_ends_when_told(world, kind):
    device = devices.ThreadProxySteerable(zmq.PULL, zmq.PUSH, zmq.PUB, kind)
    context = world.new_context()
    device.context_factory = lambda: context
    device.bind_in("inproc://in")
    device.bind_out("inproc://out")
    device.bind_ctrl("inproc://ctrl")
    device.setsockopt_ctrl(int(zmq.LINGER), 0)
    device.start()
    push, pull = world.socket(zmq.PUSH, context=context), world.socket(zmq.PULL, context=context)
    control = world.socket(zmq.PAIR if kind is None else zmq.REQ, context=context)
    push.connect("inproc://in")
    pull.connect("inproc://out")
    control.connect("inproc://ctrl")
    push.send(b"12345")
    assert pull.recv() == b"12345"
    control.send(b"STATISTICS")
    assert struct.unpack("=Q", control.recv_multipart()[1]) == (5,)
    control.send(b"TERMINATE")
    device.join(DEADLINE)
    assert device.done


def test_in_the_foreground(world):
    """`start` returns when the context is terminated, and other threads can wait for that."""
    device = devices.Proxy(zmq.PULL, zmq.PUSH)
    context = world.new_context()
    device.context_factory = lambda: context
    device.bind_in("inproc://in")
    device.bind_out("inproc://out")
    task = Task(device.start)
    pull = world.socket(zmq.PULL, context=context)
    pull.connect("inproc://out")
    push = world.socket(zmq.PUSH, context=context)
    push.connect("inproc://in")
    push.send(b"x")
    assert pull.recv() == b"x"
    device.join(0.001)
    assert not device.done
    push.close()
    pull.close()
    Task(context.term).result()
    device.join(DEADLINE)
    task.result()
    assert device.done


def test_in_a_process(world):
    device = devices.ProcessProxy(zmq.PULL, zmq.PUSH, zmq.PUSH)
    port = device.bind_in_to_random_port("tcp://127.0.0.1")
    out, mon = world.socket(zmq.PULL), world.socket(zmq.PULL)
    device.connect_out(world.bind(out))
    device.connect_mon(world.bind(mon))
    device.setsockopt_in(int(zmq.LINGER), 0)
    device.start()
    try:
        push = world.socket(zmq.PUSH)
        push.connect(f"tcp://127.0.0.1:{port}")
        push.send(b"x")
        assert out.recv() == mon.recv() == b"x"
        assert device.launcher.pid != os.getpid()
        assert device.launcher.daemon
    finally:
        device.launcher.terminate()
        device.join(DEADLINE)
        assert not device.launcher.is_alive()
        device.launcher.close()


def test_random_ports_differ():
    device = devices.ThreadProxy(zmq.PULL, zmq.PUSH)
    ports = [device.bind_in_to_random_port("tcp://127.0.0.1") for _ in range(20)]
    ports += [device.bind_out_to_random_port("tcp://127.0.0.1", 50000, 50100) for _ in range(20)]
    ports.append(device.bind_mon_to_random_port("tcp://127.0.0.1"))
    assert len(set(ports)) == len(ports)
    assert all(50000 <= port < 50100 for port in ports[20:40])


def test_bad_arguments(world):
    with pytest.raises(TypeError):
        devices.Device(zmq.QUEUE)
    with pytest.raises(TypeError):
        devices.Device(zmq.QUEUE, zmq.PULL)
    device = devices.Device(zmq.QUEUE, zmq.PULL, zmq.PUSH)
    context = world.new_context()
    device.context_factory = lambda: context
    device.bind_in("nonsense")
    with pytest.raises(zmq.ZMQError):
        device.start()
    assert device.done
    Task(context.term).result()  # nothing was left open


@pytest.mark.skipif(not OURS, reason="pyzmq asserts instead")
def test_join_before_start():
    with pytest.raises(RuntimeError):
        devices.ThreadDevice(zmq.QUEUE, zmq.PULL, zmq.PUSH).join()


def test_names():
    for kind in ("Device", "Proxy", "MonitoredQueue", "ProxySteerable"):
        for prefix in ("", "Thread", "Process"):
            cls = getattr(devices, prefix + kind)
            assert issubclass(cls, devices.Device)
            assert cls.__name__ in devices.__all__
    for name in ("basedevice", "proxydevice", "monitoredqueue", "monitoredqueuedevice", "proxysteerabledevice"):
        importlib.import_module(f"{IMPL}.devices.{name}")
    assert callable(devices.monitored_queue)


@pytest.mark.keeps_open  # gevent's loop
def test_green_device():
    """Both directions of a queue, other greenlets running meanwhile."""
    gevent = pytest.importorskip("gevent")
    green = importlib.import_module(f"{IMPL}.green")
    with green.Context() as context:
        front, back = context.socket(green.ROUTER), context.socket(green.DEALER)
        req, rep = context.socket(green.REQ), context.socket(green.REP)
        for one in (front, back, req, rep):
            one.linger = 0
        front.bind("inproc://front")
        back.bind("inproc://back")
        job = gevent.spawn(green.device, green.QUEUE, front, back)
        req.connect("inproc://front")
        rep.connect("inproc://back")
        req.send(b"q")
        with gevent.Timeout(DEADLINE):
            assert rep.recv() == b"q"
            rep.send(b"a")
            assert req.recv() == b"a"
        job.kill()
        for one in (front, back, req, rep):
            one.close()
    wait_for(job.ready, "the end of the greenlet")
