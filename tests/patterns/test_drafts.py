"""What libzmq calls draft: CLIENT, SERVER, RADIO, DISH, SCATTER, GATHER, PEER, CHANNEL, and the
messages a socket makes by itself (RFC 41, 48, 49, 51, 52)."""

import pytest
from support.impl import TRANSPORTS, needs_draft, zmq
from support.rawpeer import RawListener, RawPeer, command
from support.waiting import Task, drain, fill, nothing, wait_blocked, wait_for

pytestmark = needs_draft

SINGLE = ("CLIENT", "SERVER", "RADIO", "SCATTER", "PEER", "CHANNEL")


@pytest.mark.parametrize("kind", SINGLE)
def test_single_part_types_refuse_more(world, kind):
    made = world.socket(getattr(zmq, kind))
    with pytest.raises((zmq.ZMQError, TypeError)) as caught:
        made.send(b"x", int(zmq.SNDMORE))
    assert getattr(caught.value, "errno", int(zmq.EINVAL)) == int(zmq.EINVAL)


@pytest.mark.parametrize("kind", ["CLIENT", "SERVER", "RADIO", "DISH", "SCATTER", "GATHER", "PEER", "CHANNEL"])
def test_thread_safe_flag(world, kind):
    assert world.socket(getattr(zmq, kind)).get(int(zmq.THREAD_SAFE)) == 1
    assert world.socket(zmq.DEALER).get(int(zmq.THREAD_SAFE)) == 0


# -- CLIENT and SERVER


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_server_answers_by_number(world, transport):
    server = world.socket(zmq.SERVER)
    endpoint = world.bind(server, transport)
    clients = [world.socket(zmq.CLIENT) for _ in range(4)]
    numbers = set()
    for index, client in enumerate(clients):
        client.connect(endpoint)
        client.send(b"%d" % index)
        frame = server.recv(copy=False)
        assert frame.bytes == b"%d" % index
        assert frame.routing_id
        numbers.add(frame.routing_id)
        server.send(b"unasked", routing_id=frame.routing_id)
        server.send(b"answer", routing_id=frame.routing_id)
        assert client.recv() == b"unasked"
        assert client.recv() == b"answer"
    assert len(numbers) == 4


def test_server_does_not_know_everybody(world):
    server, client = world.pair(zmq.SERVER, zmq.CLIENT)
    with pytest.raises(zmq.ZMQError) as caught:
        server.send(b"x", routing_id=77)
    assert caught.value.errno == int(zmq.EHOSTUNREACH)
    client.send(b"hello")
    number = server.recv(copy=False).routing_id
    client.close()

    def forgotten():
        try:
            server.send(b"x", int(zmq.DONTWAIT), routing_id=number)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            return error.errno == int(zmq.EHOSTUNREACH)

    wait_for(forgotten, "the client being forgotten")


def test_client_blocks_without_server(world):
    client = world.socket(zmq.CLIENT)
    with pytest.raises(zmq.Again):
        client.send(b"x", int(zmq.DONTWAIT))


def test_clients_round_robin(world):
    client = world.socket(zmq.CLIENT)
    servers = [world.socket(zmq.SERVER) for _ in range(3)]
    for server in servers:
        client.connect(world.bind(server, "inproc"))
    for number in range(9):
        client.send(b"%d" % number)
    assert [len(drain(server)) for server in servers] == [3, 3, 3]


# -- RADIO and DISH


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_groups_are_exact(world, transport):
    """No prefix matching: a message goes to who joined that very group."""
    radio, dish = world.socket(zmq.RADIO), world.socket(zmq.DISH)
    dish.join("movies")
    dish.join("tv")
    world.link(radio, dish, transport)
    joined(radio, dish, "movies")
    for group in ("movie", "movies", "movies2", "tv", "", "TV"):
        radio.send(b"x", group=group)
    radio.send(b"end", group="tv")
    got = []
    while not got or got[-1][1] != b"end":
        frame = dish.recv(copy=False)
        got.append((frame.group, frame.bytes))
    assert got == [("movies", b"x"), ("tv", b"x"), ("tv", b"end")]


def joined(radio, dish, group):
    wait_for(lambda: radio.send(b"mark", group=group) or dish.poll(2), "the group being joined")
    radio.send(b"last mark", group=group)
    while dish.recv() != b"last mark":
        pass


def test_joining_and_leaving(world):
    radio, dish = world.pair(zmq.RADIO, zmq.DISH)
    dish.join("a")
    with pytest.raises(zmq.ZMQError) as caught:
        dish.join("a")
    assert caught.value.errno == int(zmq.EINVAL)
    joined(radio, dish, "a")
    dish.join("b")
    dish.leave("a")
    with pytest.raises(zmq.ZMQError) as caught:
        dish.leave("a")
    assert caught.value.errno == int(zmq.EINVAL)
    joined(radio, dish, "b")
    radio.send(b"no", group="a")
    radio.send(b"yes", group="b")
    assert dish.recv() == b"yes"


def test_radio_and_dish_bytes_on_the_wire(world):
    radio = world.socket(zmq.RADIO)
    endpoint = world.bind(radio, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.handshake(b"DISH")
        raw.send(command(b"JOIN", b"grp"))
        wait_for(lambda: radio.send(b"body", group="grp") or readable(raw), "the group being joined")
        assert raw.recv_message() == [b"grp", b"body"]
    with RawListener() as listener:
        dish = world.socket(zmq.DISH)
        dish.join("grp")
        dish.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"RADIO")
        assert raw.recv_command() == (b"JOIN", b"grp")
        raw.send_message(b"grp", b"body")
        frame = dish.recv(copy=False)
        assert (frame.group, frame.bytes) == ("grp", b"body")
        dish.leave("grp")
        assert raw.recv_command() == (b"LEAVE", b"grp")


def readable(raw):
    import select

    return bool(select.select([raw.stream], [], [], 0.002)[0])


def test_long_group_names(world):
    dish, radio = world.socket(zmq.DISH), world.socket(zmq.RADIO)
    dish.join("g" * 255)
    world.link(radio, dish, "tcp")
    joined(radio, dish, "g" * 255)
    with pytest.raises((zmq.ZMQError, ValueError)):
        dish.join("g" * 256)


# -- SCATTER and GATHER


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_scatter_is_round_robin_and_gather_fair(world, transport):
    scatter = world.socket(zmq.SCATTER)
    gathers = [world.socket(zmq.GATHER) for _ in range(3)]
    for gather in gathers:
        endpoint = world.bind(gather, transport)
        scatter.connect(endpoint)
    for number in range(90):
        scatter.send(b"%d" % number)
    got = []
    wait_for(lambda: got.extend(int(parts[0]) for g in gathers for parts in drain(g)) or len(got) == 90, "all messages")
    assert sorted(got) == list(range(90))
    with pytest.raises(zmq.ZMQError):
        gathers[0].send(b"x")


# -- PEER and CHANNEL


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_peer(world, transport):
    a, b = world.socket(zmq.PEER), world.socket(zmq.PEER)
    number = b.connect_peer(world.bind(a, transport))
    assert isinstance(number, int)
    assert number
    b.send(b"hello", routing_id=number)
    frame = a.recv(copy=False)
    assert frame.bytes == b"hello"
    a.send(b"world", routing_id=frame.routing_id)
    answer = b.recv(copy=False)
    assert answer.bytes == b"world"
    assert answer.routing_id == number


def test_peer_chooses_among_its_peers(world):
    hub = world.socket(zmq.PEER)
    others = [world.socket(zmq.PEER) for _ in range(3)]
    numbers = [hub.connect_peer(world.bind(other, "tcp")) for other in others]
    assert len(set(numbers)) == 3
    for index, number in enumerate(numbers):
        hub.send(b"%d" % index, routing_id=number)
    for index, other in enumerate(others):
        assert other.recv() == b"%d" % index
    with pytest.raises(zmq.ZMQError) as caught:
        hub.send(b"x", routing_id=max(numbers) + 1000)
    assert caught.value.errno == int(zmq.EHOSTUNREACH)


def test_disconnect_peer(world):
    server, hub = world.socket(zmq.SERVER), world.socket(zmq.SERVER)
    world.bind(hub, "tcp")
    client = world.socket(zmq.CLIENT, RECONNECT_IVL=-1)
    client.connect(hub.last_endpoint.decode())
    client.send(b"hello")
    number = hub.recv(copy=False).routing_id
    hub.disconnect_peer(number)

    def gone():
        try:
            hub.send(b"x", int(zmq.DONTWAIT), routing_id=number)
        except zmq.ZMQError as error:
            return error.errno == int(zmq.EHOSTUNREACH)

    wait_for(gone, "the peer being put off")
    with pytest.raises(zmq.ZMQError):
        server.disconnect_peer(12345)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_channel_is_an_exclusive_pair(world, transport):
    a, b = world.pair(zmq.CHANNEL, zmq.CHANNEL, transport)
    a.send(b"one")
    assert b.recv() == b"one"
    b.send(b"two")
    assert a.recv() == b"two"
    third = world.socket(zmq.CHANNEL)
    third.connect(a.last_endpoint.decode())
    b.send(b"still")
    assert a.recv() == b"still"


def test_thread_safe_types_from_many_threads(world):
    server, client = world.pair(zmq.SERVER, zmq.CLIENT)

    def ask(name):
        for _ in range(100):
            client.send(name)

    tasks = [Task(ask, b"%d" % number) for number in range(4)]
    counts = {}
    for _ in range(400):
        body = server.recv()
        counts[body] = counts.get(body, 0) + 1
    assert counts == {b"%d" % number: 100 for number in range(4)}
    for task in tasks:
        task.result()


def test_scatter_blocks_when_full(world):
    scatter, gather = world.pair(zmq.SCATTER, zmq.GATHER, "inproc", options_a={"SNDHWM": 2}, options_b={"RCVHWM": 2})
    assert fill(scatter) == 4
    task = Task(scatter.send, b"last")
    wait_blocked(task)
    got = [gather.recv() for _ in range(4)]
    task.result()
    assert [*got, gather.recv()] == [b"x"] * 4 + [b"last"]


# -- messages a socket makes by itself


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("kind", "other"), [("ROUTER", "DEALER"), ("DEALER", "DEALER"), ("SERVER", "CLIENT"), ("CLIENT", "SERVER")]
)
def test_hello_message(world, transport, kind, other):
    greeter = world.socket(getattr(zmq, kind), HELLO_MSG=b"welcome")
    endpoint = world.bind(greeter, transport)
    for _ in range(2):
        guest = world.socket(getattr(zmq, other))
        guest.connect(endpoint)
        assert guest.recv() == b"welcome"
        if kind == "ROUTER":
            guest.send(b"x")
            assert greeter.recv_multipart()[1:] == [b"x"]
        if kind in ("DEALER", "CLIENT"):
            break


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("kind", "other"), [("ROUTER", "DEALER"), ("SERVER", "CLIENT")])
def test_disconnect_message(world, transport, kind, other):
    server = world.socket(getattr(zmq, kind), DISCONNECT_MSG=b"gone")
    endpoint = world.bind(server, transport)
    guest = world.socket(getattr(zmq, other))
    guest.connect(endpoint)
    guest.send(b"hello")
    first = server.recv_multipart(copy=False)
    assert first[-1].bytes == b"hello"
    guest.close()
    last = server.recv_multipart(copy=False)
    assert last[-1].bytes == b"gone"
    if kind == "ROUTER":
        assert last[0].bytes == first[0].bytes
    else:
        assert last[0].routing_id == first[0].routing_id


@pytest.mark.parametrize(("kind", "server_kind"), [("DEALER", b"DEALER"), ("CLIENT", b"SERVER")])
def test_hiccup_message(world, kind, server_kind):
    """The connecting side is told of a connection that broke."""
    with RawListener() as listener:
        client = world.socket(getattr(zmq, kind), HICCUP_MSG=b"hiccup", RECONNECT_IVL=10)
        client.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(server_kind)
        raw.send_message(b"hello")
        assert client.recv() == b"hello"
        raw.close()
        assert client.recv() == b"hiccup"
        raw = listener.accept()
        raw.handshake(server_kind)
        raw.send_message(b"again")
        assert client.recv() == b"again"
        nothing(client)
