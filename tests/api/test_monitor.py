"""Monitor events: which, in what order, with what values."""

import concurrent.futures
import importlib
import threading

import pytest
from support.impl import OURS, ours_only, sides, zmq
from support.rawpeer import RawListener
from support.remote import run_script
from support.waiting import Task, Watch, wait_for
from support.world import free_port


@pytest.mark.parametrize("pair", sides())
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_life_of_a_connection(world, transport, pair):
    bound, connected = world.socket(zmq.DEALER, pair[0]), world.socket(zmq.DEALER, pair[1])
    with Watch(bound) as server, Watch(connected) as client:
        endpoint = world.link(bound, connected, transport)
        server.wait(zmq.EVENT_LISTENING)
        accepted = server.wait(zmq.EVENT_ACCEPTED)
        server.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        made = client.wait(zmq.EVENT_CONNECTED)
        client.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        assert accepted["endpoint"].decode() == endpoint
        assert made["endpoint"].decode() == endpoint
        assert int(accepted["value"]) > 2 < int(made["value"])
        connected.close()
        gone = server.wait(zmq.EVENT_DISCONNECTED)
        assert int(gone["value"]) == int(accepted["value"])
        bound.unbind(endpoint)
        server.wait(zmq.EVENT_CLOSED)


def test_order_of_events(world):
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, RECONNECT_IVL=10)
        monitor = dealer.get_monitor_socket()
        monitor.rcvtimeo = 10_000
        dealer.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"DEALER")
        raw.close()
        listener.accept()
        parse = importlib.import_module(f"{zmq.__name__}.utils.monitor").recv_monitor_message
        seen = []
        while len(seen) < 5:
            event = int(parse(monitor)["event"])
            if event != int(zmq.EVENT_CONNECT_DELAYED):
                seen.append(event)
        expected = ["CONNECTED", "HANDSHAKE_SUCCEEDED", "DISCONNECTED", "CONNECT_RETRIED", "CONNECTED"]
        assert seen == [int(getattr(zmq, f"EVENT_{name}")) for name in expected]
        dealer.disable_monitor()
        monitor.close(0)


def test_only_what_was_asked(world):
    bound, connected = world.socket(zmq.DEALER), world.socket(zmq.DEALER)
    with Watch(bound, int(zmq.EVENT_HANDSHAKE_SUCCEEDED)) as watch:
        world.link(bound, connected, "tcp")
        connected.send(b"x")
        bound.recv()
        watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        assert watch.seen == []


def test_stopping(world):
    dealer = world.socket(zmq.DEALER)
    monitor = dealer.get_monitor_socket()
    assert dealer.get_monitor_socket() is monitor
    dealer.disable_monitor()
    dealer.disable_monitor()
    again = wait_for(lambda: monitor_again(dealer), "the monitor's address being free")
    world.bind(dealer, "tcp")
    assert again.poll(5000)
    dealer.disable_monitor()


def monitor_again(made):
    try:
        return made.get_monitor_socket()
    except zmq.ZMQError as error:
        assert error.errno == int(zmq.EADDRINUSE)


def test_monitor_stopped_event_and_close(world):
    dealer = world.socket(zmq.DEALER)
    dealer.monitor("inproc://watch", int(zmq.EVENT_ALL))
    pair = world.socket(zmq.PAIR)
    pair.connect("inproc://watch")
    dealer.close()
    parse = importlib.import_module(f"{zmq.__name__}.utils.monitor").recv_monitor_message
    wait_for(lambda: int(parse(pair)["event"]) == int(zmq.EVENT_MONITOR_STOPPED), "the last event")


def test_message_form(world):
    """Two frames: uint16 event and uint32 value in native order, then the endpoint."""
    dealer = world.socket(zmq.DEALER)
    dealer.monitor("inproc://raw", int(zmq.EVENT_LISTENING))
    pair = world.socket(zmq.PAIR)
    pair.connect("inproc://raw")
    endpoint = world.bind(dealer, "tcp")
    numbers, where = pair.recv_multipart()
    assert len(numbers) == 6
    assert int.from_bytes(numbers[:2], "little" if numbers[0] else "big") == int(zmq.EVENT_LISTENING)
    assert where.decode() == endpoint
    dealer.monitor(None, 0)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "nonsense"])
def test_bad_monitor_addresses(world, address):
    with pytest.raises(zmq.ZMQError):
        world.socket(zmq.DEALER).monitor(address, int(zmq.EVENT_ALL))


WITHOUT_DESCRIPTORS = """
import errno, os, resource, socket, sys
from support.waiting import Watch
context = zmq.Context()
pull = context.socket(zmq.PULL)
pull.linger = 0
pull.rcvtimeo = 10_000
pull.bind("tcp://127.0.0.1:*")
endpoint = pull.LAST_ENDPOINT.rstrip(b"\\0").decode()
watch = Watch(pull)
with socket.create_connection(("127.0.0.1", int(endpoint.rpartition(":")[2]))):
    watch.wait(zmq.EVENT_ACCEPTED)
# as many as there are now and one more, for the client's side of the connection
spare = os.dup(0)
os.close(spare)
resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
client = socket.socket()
client.connect(("127.0.0.1", int(endpoint.rpartition(":")[2])))
failed = watch.wait(zmq.EVENT_ACCEPT_FAILED)
print(failed["value"] == errno.EMFILE, failed["endpoint"].decode() == endpoint)
resource.setrlimit(resource.RLIMIT_NOFILE, (spare + 64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
print(bool(watch.wait(zmq.EVENT_ACCEPTED)))  # the connection had to wait, and is served now
client.close()
watch.close()
pull.close()
context.term()
"""


def test_no_descriptors_left_to_accept_with():
    """ACCEPT_FAILED says why; the listener goes on when there are descriptors again."""
    assert run_script(WITHOUT_DESCRIPTORS).split() == ["True"] * 3


@pytest.mark.skipif(not OURS, reason="libzmq's I/O thread blocks at a full monitor")
def test_a_monitor_nobody_reads_stops_nothing(world):
    """Thousands of events unread: the socket and its context go on."""
    pull = world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    watched = world.socket(zmq.PUSH, RECONNECT_IVL=1)
    monitor = watched.get_monitor_socket()
    monitor.rcvhwm = 10
    dead = f"tcp://127.0.0.1:{free_port()}"
    for _ in range(20):
        watched.connect(dead)
    watched.connect(endpoint)
    wait_for(lambda: not monitor.poll(0) or monitor.poll(50), "events")
    for number in range(100):
        push = world.socket(zmq.PUSH)
        push.connect(endpoint)
        push.send(b"%d" % number)
        assert pull.recv() == b"%d" % number
        push.close()


@pytest.mark.skipif(not OURS, reason="libzmq's I/O thread blocks at the next event")
def test_monitor_closed_without_being_disabled(world):
    """Closing the PAIR alone must not block what reports to it."""
    dealer = world.socket(zmq.DEALER)
    dealer.monitor("inproc://left", int(zmq.EVENT_ALL))
    pair = world.socket(zmq.PAIR)
    pair.connect("inproc://left")
    pair.close()
    other = world.socket(zmq.DEALER)
    world.link(dealer, other, "tcp")
    other.send(b"x")
    assert dealer.recv() == b"x"


def test_from_another_thread(world):
    dealer = world.socket(zmq.DEALER)
    monitor = dealer.get_monitor_socket()
    parse = importlib.import_module(f"{zmq.__name__}.utils.monitor").recv_monitor_message

    def collect():
        seen = []
        while True:
            event = int(parse(monitor)["event"])
            seen.append(event)
            if event == int(zmq.EVENT_MONITOR_STOPPED):
                monitor.close(0)
                return seen

    task = Task(collect)
    world.bind(dealer, "tcp")
    dealer.disable_monitor()
    assert task.result() == [int(zmq.EVENT_LISTENING), int(zmq.EVENT_MONITOR_STOPPED)]


@ours_only
def test_one_monitor_socket_for_threads_that_ask_at_once(world):
    for _ in range(20):
        watched = world.socket(zmq.PULL)
        start = threading.Barrier(4)

        def ask(watched=watched, start=start):
            start.wait(10)
            return watched.get_monitor_socket()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            made = {id(task.result(10)): task.result() for task in [pool.submit(ask) for _ in range(4)]}
        (monitor,) = made.values()
        monitor.rcvtimeo = 10_000
        watched.bind("tcp://127.0.0.1:*")
        assert int.from_bytes(monitor.recv_multipart()[0][:2], "little") == zmq.EVENT_LISTENING
        watched.disable_monitor()
        monitor.close()
        watched.close()
