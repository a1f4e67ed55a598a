"""STREAM: ZeroMQ's way to speak to anything that speaks TCP; and ROUTER_RAW, its older form."""

import socket

import pytest
from support.impl import DEADLINE, ours_only, zmq
from support.rawpeer import RawListener, greeting, message, ready
from support.waiting import Task, nothing, wait_for
from support.world import port_of


def connect(endpoint):
    stream = socket.create_connection(("127.0.0.1", port_of(endpoint)), DEADLINE)
    stream.settimeout(DEADLINE)
    return stream


def read_exact(stream, count):
    data = b""
    while len(data) < count:
        piece = stream.recv(65536)
        assert piece, f"ended after {len(data)} of {count} bytes"
        data += piece
    return data


def gather(stream, count, name):
    """``count`` bytes from one peer of a STREAM socket."""
    data = b""
    while len(data) < count:
        who, piece = stream.recv_multipart()
        assert who == name
        data += piece
    return data


def test_arrival_data_departure(world):
    server = world.socket(zmq.STREAM)
    endpoint = world.bind(server, "tcp")
    client = connect(endpoint)
    name, empty = server.recv_multipart()
    assert empty == b""
    assert len(name) == 5
    assert name[0] == 0
    client.sendall(b"GET /\r\n\r\n")
    assert gather(server, 9, name) == b"GET /\r\n\r\n"
    server.send_multipart([name, b"HTTP/1.0 200\r\n"])
    assert read_exact(client, 14) == b"HTTP/1.0 200\r\n"
    client.close()
    assert server.recv_multipart() == [name, b""]


def test_empty_message_closes_the_peer(world):
    server = world.socket(zmq.STREAM)
    client = connect(world.bind(server, "tcp"))
    name, _ = server.recv_multipart()
    server.send_multipart([name, b"bye"])
    server.send_multipart([name, b""])
    wait_for(lambda: server.poll(1) or True, "a turn")
    assert read_exact(client, 3) == b"bye"
    server.poll(50)
    assert client.recv(1) == b""
    client.close()


def test_notify_off(world):
    server = world.socket(zmq.STREAM, STREAM_NOTIFY=0)
    client = connect(world.bind(server, "tcp"))
    client.sendall(b"hello")
    name, first = server.recv_multipart()
    data = first if len(first) == 5 else first + gather(server, 5 - len(first), name)
    assert data == b"hello"
    client.close()
    nothing(server)


def test_unknown_peer(world):
    server = world.socket(zmq.STREAM)
    world.bind(server, "tcp")
    with pytest.raises(zmq.ZMQError) as caught:
        server.send_multipart([b"nobody", b"x"])
    assert caught.value.errno == int(zmq.EHOSTUNREACH)
    client = connect(server.last_endpoint.decode())
    name, _ = server.recv_multipart()
    server.send_multipart([name, b"fine"])
    assert read_exact(client, 4) == b"fine"
    client.close()


def test_outgoing_connection(world):
    """A STREAM that connects, under a name it chose."""
    with RawListener() as listener:
        stream = world.socket(zmq.STREAM)
        stream.set(int(zmq.CONNECT_ROUTING_ID), b"web")
        stream.connect(listener.endpoint)
        raw = listener.accept()
        assert stream.recv_multipart() == [b"web", b""]
        stream.send_multipart([b"web", b"question"])
        assert raw.recv_exact(8) == b"question"
        raw.send(b"answer")
        assert gather(stream, 6, b"web") == b"answer"


@pytest.mark.parametrize("size", [1, 65536, 3 << 20])
def test_bulk_both_ways(world, size):
    server = world.socket(zmq.STREAM)
    client = connect(world.bind(server, "tcp"))
    name, _ = server.recv_multipart()
    data = bytes(range(256)) * (size // 256 + 1)
    task = Task(client.sendall, data)
    assert gather(server, len(data), name) == data
    task.result()
    reader = Task(read_exact, client, len(data))
    server.send_multipart([name, data])
    server.poll(1)
    assert reader.result() == data
    client.close()


def test_maxmsgsize_does_not_judge_what_a_read_brings(world):
    server = world.socket(zmq.STREAM, MAXMSGSIZE=100)
    client = connect(world.bind(server, "tcp"))
    name, _ = server.recv_multipart()
    data = bytes(range(256)) * 40
    client.sendall(data)
    assert gather(server, len(data), name) == data
    server.send_multipart([name, data])
    assert read_exact(client, len(data)) == data


def test_many_peers(world):
    server = world.socket(zmq.STREAM)
    endpoint = world.bind(server, "tcp")
    clients = {}
    for number in range(10):
        client = connect(endpoint)
        name, _ = server.recv_multipart()
        clients[name] = client
        client.sendall(b"%d" % number)
        assert server.recv_multipart() == [name, b"%d" % number]
    assert len(clients) == 10
    for name in clients:
        server.send_multipart([name, name])
    for name, client in clients.items():
        assert read_exact(client, len(name)) == name
        client.close()


def test_speaking_zmtp_by_hand(world):
    """What STREAM sends is raw: it can play a ZMTP peer."""
    stream, pull = world.socket(zmq.STREAM), world.socket(zmq.PULL)
    endpoint = world.bind(pull, "tcp")
    stream.set(int(zmq.CONNECT_ROUTING_ID), b"p")
    stream.connect(endpoint)
    assert stream.recv_multipart() == [b"p", b""]
    stream.send_multipart([b"p", greeting()])
    assert gather(stream, 64 + 28, b"p")[-4:] == b"PULL"  # the greeting and READY
    stream.send_multipart([b"p", ready(b"PUSH")])
    stream.send_multipart([b"p", message(b"hand", b"made")])
    assert pull.recv_multipart() == [b"hand", b"made"]


@ours_only
def test_stream_is_for_tcp_only(world):
    stream = world.socket(zmq.STREAM)
    for address in (f"ipc://{world.directory}/s", "inproc://stream"):
        with pytest.raises(zmq.ZMQError):
            stream.bind(address)


def test_disconnect_of_an_outgoing_connection(world):
    with RawListener() as listener:
        stream = world.socket(zmq.STREAM)
        stream.set(int(zmq.CONNECT_ROUTING_ID), b"web")
        stream.connect(listener.endpoint)
        raw = listener.accept()
        assert stream.recv_multipart() == [b"web", b""]
        stream.disconnect(listener.endpoint)
        wait_for(lambda: stream.poll(1) or True, "a turn")
        assert raw.wait_closed() == b""


def test_router_raw(world):
    router = world.socket(zmq.ROUTER, ROUTER_RAW=1)
    client = connect(world.bind(router, "tcp"))
    client.sendall(b"raw bytes")
    name, data = router.recv_multipart()
    while len(data) < 9:
        data += router.recv_multipart()[1]
    assert data == b"raw bytes"
    router.send_multipart([name, b"raw back"])
    assert read_exact(client, 8) == b"raw back"
    client.close()
