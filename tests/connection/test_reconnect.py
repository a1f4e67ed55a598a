"""What survives the loss of a connection, and what ends with it."""

import threading
import time

import pytest
from support.adversary import Adversary
from support.impl import needs_draft, needs_stock, ours_only, zmq
from support.rawpeer import RawListener, RawPeer, greeting, message, ready
from support.waiting import Task, Watch, drain, nothing, sync, wait_for
from support.world import free_port

RESTARTS = ["stock", "own"]


def peer(remote, kind):
    if kind == "stock":
        pytest.importorskip("zmq")
    return remote(own=kind == "own")


@pytest.mark.parametrize("kind", RESTARTS)
def test_subscriptions_are_resumed_after_a_server_is_killed(world, remote, kind):
    port = free_port()
    publisher = (
        f"ctx = zmq.Context(); pub = ctx.socket(zmq.XPUB); pub.rcvtimeo = 10000; pub.bind('tcp://127.0.0.1:{port}')"
    )
    sub = world.socket(zmq.SUB, RECONNECT_IVL=10)
    topics = [b"one", b"two", b"x" * 300]
    for topic in topics:
        sub.set(int(zmq.SUBSCRIBE), topic)
    sub.connect(f"tcp://127.0.0.1:{port}")
    for life in range(2):
        server = peer(remote, kind)
        server.run(publisher)
        server.start("[pub.recv() for _ in range(3)]", "eval")
        wait_for(lambda: sub.poll(1) or server.pipe.poll(0.01), "the subscriptions arriving")
        assert sorted(server.finish()) == sorted(b"\x01" + topic for topic in topics)
        server.run(f"pub.send(b'one {life}'); pub.send(b'three'); pub.send(b'two')")
        assert sub.recv() == b"one %d" % life
        assert sub.recv() == b"two"
        server.kill()


@pytest.mark.parametrize("kind", RESTARTS)
def test_identity_is_resumed_after_a_server_is_killed(world, remote, kind):
    port = free_port()
    dealer = world.socket(zmq.DEALER, ROUTING_ID=b"the client", RECONNECT_IVL=10)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    for life in range(2):
        server = peer(remote, kind)
        server.run(
            "ctx = zmq.Context(); router = ctx.socket(zmq.ROUTER); router.rcvtimeo = 10000; "
            f"router.bind('tcp://127.0.0.1:{port}')"
        )
        dealer.send(b"life %d" % life)
        got = server.eval("router.recv_multipart()")
        while got[1] != b"life %d" % life:
            got = server.eval("router.recv_multipart()")
        assert got[0] == b"the client"
        server.run(f"router.send_multipart([b'the client', b'welcome {life}'])")
        assert dealer.recv() == b"welcome %d" % life
        server.kill()


@needs_stock
def test_req_survives_a_restart(world, remote):
    """The question asked while nobody is there is answered by the server that comes back."""
    port = free_port()
    req = world.socket(zmq.REQ, RECONNECT_IVL=10, REQ_RELAXED=1, REQ_CORRELATE=1)
    with Watch(req, int(zmq.EVENT_DISCONNECTED)) as watch:
        req.connect(f"tcp://127.0.0.1:{port}")
        for life in range(3):
            server = remote()
            req.send(b"question %d" % life)
            server.run(
                "ctx = zmq.Context(); rep = ctx.socket(zmq.REP); rep.rcvtimeo = 10000; "
                f"rep.bind('tcp://127.0.0.1:{port}'); rep.send(b'answer to ' + rep.recv())"
            )
            assert req.recv() == b"answer to question %d" % life
            server.kill()
            watch.wait(zmq.EVENT_DISCONNECTED)


def test_queue_survives_the_connection(world):
    """What was not yet handed to the kernel is sent over the next connection; nothing in it is torn or out of order."""
    pull = world.socket(zmq.PULL)
    with Adversary(world.bind(pull, "tcp")) as relay:
        push = world.socket(zmq.PUSH, RECONNECT_IVL=10, SNDHWM=0)
        push.connect(relay.endpoint)
        push.send(b"first")
        assert pull.recv() == b"first"
        relay.forward.held = True
        for number in range(2000):
            push.send_multipart([b"%d" % number, b"x" * 5000, b"%d" % number])
        relay.forward.held = False
        relay.cut()
        last = -1
        while last != 1999:
            a, body, b = pull.recv_multipart()
            assert a == b
            assert len(body) == 5000
            assert int(a) > last
            last = int(a)


@ours_only
def test_cut_inside_a_message_sends_it_whole_again(world):
    """A message leaves the queue when the kernel has taken its last byte, not before."""
    pull = world.socket(zmq.PULL)
    with Adversary(world.bind(pull, "tcp"), buffers=65536) as relay:
        push = world.socket(zmq.PUSH, RECONNECT_IVL=10, SNDBUF=65536)
        push.connect(relay.endpoint)
        push.send(b"first")
        assert pull.recv() == b"first"
        relay.forward.cut_after = relay.forward.passed + 3_000_000
        big = bytes(range(256)) * 40_000
        push.send_multipart([b"big", big])
        wait_for(lambda: relay.count == 2, "the new connection")
        relay.forward.cut_after = None
        assert pull.recv_multipart() == [b"big", big]
        push.send(b"after")
        assert pull.recv_multipart() == [b"after"]


def test_peer_dying_in_a_multipart_is_rolled_back(world):
    with RawListener() as listener:
        pull = world.socket(zmq.PULL, RECONNECT_IVL=10)
        pull.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUSH")
        raw.send_message(b"whole")
        raw.send(b"\x01\x01a\x01\x01b\x01\x05par")
        assert pull.recv_multipart() == [b"whole"]
        raw.abort()
        raw = listener.accept()
        raw.handshake(b"PUSH")
        raw.send_message(b"next", b"one")
        assert pull.recv_multipart() == [b"next", b"one"]


def test_storm_of_cuts(world):
    """A line that is cut again and again loses only what was on it, and never tears or reorders."""
    pull = world.socket(zmq.PULL, RCVHWM=5, RCVBUF=32768)
    with Adversary(world.bind(pull, "tcp"), buffers=32768) as relay:
        relay.forward.chunk = 1000
        push = world.socket(zmq.PUSH, RECONNECT_IVL=5, SNDHWM=5, SNDBUF=32768)
        push.connect(relay.endpoint)
        done = threading.Event()

        def send():
            for number in range(300):
                push.send_multipart([b"%d" % number, bytes([number & 255]) * 3000])
            done.set()
            for _ in range(100):
                push.send_multipart([b"end", b""])

        task = Task(send)
        last, cuts = -1, 0
        while True:
            number, body = pull.recv_multipart()
            if number == b"end":
                break
            assert int(number) > last
            assert body == bytes([int(number) & 255]) * 3000
            last = int(number)
            if relay.count > cuts and cuts < 4:
                relay.cut()
                cuts += 1
        assert done.wait(1)
        assert relay.count >= 4
        relay.forward.chunk = 65536
        drain(pull)
        wait_for(lambda: (drain(pull) and False) or not task.is_alive(), "the sender's end")
        task.result()


def test_reconnect_interval_off(world):
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, RECONNECT_IVL=-1)
        with Watch(dealer) as watch:
            dealer.connect(listener.endpoint)
            raw = listener.accept()
            raw.handshake(b"DEALER")
            watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            raw.close()
            watch.wait(zmq.EVENT_DISCONNECTED)
            with pytest.raises(TimeoutError):
                listener.accept(0.3)


def test_reconnects_without_being_called(world):
    """The application may be busy elsewhere: the connection comes back all the same."""
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, RECONNECT_IVL=10)
        dealer.connect(listener.endpoint)
        for _ in range(3):
            raw = listener.accept()
            raw.handshake(b"DEALER")
            raw.close()


def test_backoff_grows_to_its_cap(world):
    """RECONNECT_IVL_MAX: each attempt waits longer, up to the cap (as the announced intervals say)."""
    dealer = world.socket(zmq.DEALER, RECONNECT_IVL=4, RECONNECT_IVL_MAX=64)
    with Watch(dealer) as watch:
        dealer.connect(f"tcp://127.0.0.1:{free_port()}")
        waits = [watch.wait(zmq.EVENT_CONNECT_RETRIED)["value"] for _ in range(8)]
    assert waits[0] <= 2 * 4
    assert max(waits) <= 64
    assert max(waits) > max(waits[:2])


def test_events_of_a_refused_connection(world):
    dealer = world.socket(zmq.DEALER, RECONNECT_IVL=10)
    with Watch(dealer) as watch:
        dealer.connect(f"tcp://127.0.0.1:{free_port()}")
        for event in (zmq.EVENT_CONNECT_DELAYED, zmq.EVENT_CLOSED, zmq.EVENT_CONNECT_RETRIED):
            watch.wait(event)


@pytest.mark.parametrize("how", ["refused", "handshake", "disconnect"])
def test_reconnect_stop(world, how):
    """Which kinds of failure end the attempts for good."""
    bits = {
        "refused": zmq.RECONNECT_STOP_CONN_REFUSED,
        "handshake": zmq.RECONNECT_STOP_HANDSHAKE_FAILED,
        "disconnect": zmq.RECONNECT_STOP_AFTER_DISCONNECT,
    }
    dealer = world.socket(zmq.DEALER, RECONNECT_IVL=10, RECONNECT_STOP=int(bits[how]))
    with RawListener() as listener, Watch(dealer) as watch:
        if how == "refused":
            listener.stream.close()
            dealer.connect(listener.endpoint)
            watch.wait(zmq.EVENT_CLOSED)
            nothing_more(watch, zmq.EVENT_CONNECT_RETRIED)
            return
        dealer.connect(listener.endpoint)
        raw = listener.accept()
        if how == "handshake":
            raw.send(greeting(mechanism=b"PLAIN"))
            watch.wait(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        else:
            raw.handshake(b"DEALER")
            watch.wait(zmq.EVENT_HANDSHAKE_SUCCEEDED)
            dealer.disconnect(listener.endpoint)
            closed = Task(raw.wait_closed)
            wait_for(lambda: dealer.poll(1) or not closed.is_alive(), "the connection's end")
            closed.result()
        raw.close()
        with pytest.raises(TimeoutError):
            listener.accept(0.2)


@ours_only
@pytest.mark.parametrize("how", ["interval off", "refused", "handshake"])
def test_what_is_given_up_gets_no_messages(world, how):
    """It leaves the round, what it was sent is in the books, and nothing waits for it at the end."""
    options = {
        "interval off": {"RECONNECT_IVL": -1},
        "refused": {"RECONNECT_STOP": int(zmq.RECONNECT_STOP_CONN_REFUSED)},
        "handshake": {"RECONNECT_STOP": int(zmq.RECONNECT_STOP_HANDSHAKE_FAILED)},
    }
    context = world.new_context()
    push = world.socket(zmq.PUSH, context=context, LINGER=-1, **options[how])
    with RawListener() as listener:
        if how == "refused":
            listener.stream.close()
        push.connect(listener.endpoint)
        push.send(b"for nobody")
        if how == "interval off":
            raw = listener.accept()
            raw.handshake(b"PULL")
            assert raw.recv_message() == [b"for nobody"]
            raw.close()
        elif how == "handshake":
            listener.accept().send(greeting(mechanism=b"PLAIN"))
        wait_for(lambda: not push.stats()["peers"], "giving up")
        books = push.stats()["send"]
        assert (books["accepted"], books["queued"]) == (1, 0)
        assert books["dropped"] == ({} if how == "interval off" else {"peer_gone": 1})
        pull = world.socket(zmq.PULL)
        push.connect(world.bind(pull, "tcp"))
        for number in range(6):
            push.send(b"%d" % number)
        assert [pull.recv() for _ in range(6)] == [b"%d" % number for number in range(6)]
        push.disconnect(listener.endpoint)
        push.close()
        Task(context.term).result()


def nothing_more(watch, event, seconds=0.2):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch._read(10)
    assert not watch.happened(event), watch.seen


def test_connect_timeout(world):
    """A host that does not answer is given up and tried again."""
    dealer = world.socket(zmq.DEALER, CONNECT_TIMEOUT=50, RECONNECT_IVL=10)
    with Watch(dealer) as watch:
        dealer.connect("tcp://192.0.2.1:9")  # TEST-NET-1: nobody answers, or there is no route at all
        watch.wait(zmq.EVENT_CLOSED)
        watch.wait(zmq.EVENT_CONNECT_RETRIED)


def test_handshake_timeout_of_a_silent_client(world):
    router = world.socket(zmq.ROUTER, HANDSHAKE_IVL=100)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(greeting()[:5])
        raw.wait_closed()
    with RawPeer.connect(endpoint) as raw:  # a patient one is not cut while it says READY in time
        raw.handshake(b"DEALER")
        raw.send_message(b"in time")
        assert router.recv_multipart()[1] == b"in time"


def test_handshake_timeout_of_a_silent_server(world):
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, HANDSHAKE_IVL=50, RECONNECT_IVL=10)
        dealer.connect(listener.endpoint)
        for stage in (b"", greeting()[:10], greeting()):
            raw = listener.accept()
            raw.send(stage)
            raw.wait_closed()
        raw = listener.accept()
        raw.handshake(b"DEALER")
        dealer.send(b"at last")
        assert raw.recv_message() == [b"at last"]


def test_handshake_without_limit(world):
    router = world.socket(zmq.ROUTER, HANDSHAKE_IVL=0)
    endpoint = world.bind(router, "tcp")
    with RawPeer.connect(endpoint) as raw:
        raw.send(greeting())
        raw.recv_greeting()
        nothing(router, 100)
        raw.send(ready(b"DEALER", b""))
        raw.recv_ready()
        raw.send_message(b"late")
        assert router.recv_multipart()[1] == b"late"


@ours_only
def test_connecting_again_after_a_protocol_error(world):
    """An endpoint that failed for good is tried afresh by a new connect()."""
    with RawListener() as listener:
        dealer = world.socket(zmq.DEALER, RECONNECT_IVL=10)
        with Watch(dealer) as watch:
            dealer.connect(listener.endpoint)
            raw = listener.accept()
            raw.send(greeting())
            raw.recv_greeting()
            raw.send(ready(b"PUSH"))
            watch.wait({zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_DISCONNECTED})
            raw.wait_closed()
        dealer.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"DEALER")
        dealer.send(b"good now")
        assert raw.recv_message() == [b"good now"]


def test_sub_reconnects_through_a_relay(world):
    pub, sub = world.socket(zmq.PUB), world.socket(zmq.SUB, RECONNECT_IVL=10)
    sub.set(int(zmq.SUBSCRIBE), b"t")
    with Adversary(world.bind(pub, "tcp")) as relay:
        sub.connect(relay.endpoint)
        sync(pub, sub, topic=b"t")
        for _ in range(3):
            relay.cut()
            before = relay.count
            wait_for(lambda: relay.count > before or sub.poll(1), "a new connection")
            sync(pub, sub, topic=b"t")


def test_unsubscribed_while_away_is_not_resumed(world):
    with RawListener() as listener:
        sub = world.socket(zmq.SUB, RECONNECT_IVL=10)
        sub.set(int(zmq.SUBSCRIBE), b"keep")
        sub.set(int(zmq.SUBSCRIBE), b"drop")
        sub.connect(listener.endpoint)
        raw = listener.accept()
        raw.handshake(b"PUB")
        assert sorted([raw.recv_command(), raw.recv_command()]) == [(b"SUBSCRIBE", b"drop"), (b"SUBSCRIBE", b"keep")]
        raw.close()
        raw = listener.accept()
        sub.set(int(zmq.UNSUBSCRIBE), b"drop")
        sub.set(int(zmq.SUBSCRIBE), b"new")
        raw.handshake(b"PUB")
        sub.poll(20)
        wanted, seen = {b"keep", b"new"}, []
        while {topic for name, topic in seen if name == b"SUBSCRIBE"} < wanted:
            seen.append(raw.recv_command())
        active = set()
        for name, topic in seen:
            (active.add if name == b"SUBSCRIBE" else active.discard)(topic)
        assert active == wanted


@needs_draft
def test_server_forgets_a_client_whose_line_was_cut(world):
    server = world.socket(zmq.SERVER, DISCONNECT_MSG=b"gone")
    with Adversary(world.bind(server, "tcp")) as relay:
        client = world.socket(zmq.CLIENT, RECONNECT_IVL=10)
        client.connect(relay.endpoint)
        client.send(b"one")
        first = server.recv(copy=False).routing_id
        with Watch(client) as watch:
            relay.cut()
            watch.wait(zmq.EVENT_DISCONNECTED)
        assert server.recv() == b"gone"
        client.send(b"two")
        frame = server.recv(copy=False)
        assert frame.bytes == b"two"
        assert frame.routing_id != first


@ours_only
def test_what_came_with_a_connection_that_could_not_be_kept_is_forgotten(world, remote):
    """No descriptor is left for what a socket's first connection needs: the next try begins with nothing behind it."""
    client = remote(own=True)
    with RawListener() as listener:
        client.run(
            "import os, resource\n"
            "ctx = zmq.Context()\n"
            "other, dealer = ctx.socket(zmq.PULL), ctx.socket(zmq.DEALER)\n"
            "other.bind('tcp://127.0.0.1:*')\n"  # the context's thread has what it needs
            "dealer.rcvtimeo, dealer.reconnect_ivl = 10_000, 10\n"
            "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
            "free = os.dup(0)\n"
            "os.close(free)\n"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))\n"
            f"dealer.connect({listener.endpoint!r})\n"
        )
        raw = listener.accept()
        raw.send(greeting())
        raw.recv_greeting()
        raw.recv_ready()
        raw.send(ready(b"DEALER") + message(b"first") + message(b"cut")[:3])
        raw.wait_closed()
        client.run("resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))")
        raw = listener.accept()
        raw.handshake(b"DEALER")
        raw.send_message(b"second")
        assert client.eval("dealer.recv()") == b"second"
