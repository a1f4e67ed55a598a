"""What an authoriser is asked, what it may answer, and what happens when it does not (RFC 27).

One file because every test is a case of the same three steps: a request, a verdict, and what both sides see of it.
"""

import errno
import os

import pytest
from support.impl import OURS, needs_curve, needs_draft, ours_only, sides, zmq
from support.rawpeer import RawPeer, command, greeting, properties, ready
from support.secure import MECHANISMS, NAME, PASSWORD, Keys, options_of, secure
from support.waiting import Task, Watch, nothing, wait_for
from support.zap import ADDRESS, Zap, reply

HELLO = command(b"HELLO", b"\x01u\x01p")
EACH = [pytest.param(name, marks=[needs_curve] if name == "CURVE" else []) for name in MECHANISMS]
PROTOCOL_ERRORS = {
    "malformed": 0x20000001,
    "id": 0x20000002,
    "version": 0x20000003,
    "status": 0x20000004,
    "list": 0x20000005,
}


def pair(world, mechanism, side_server="impl", side_client="impl", **more):
    """Server and client, not linked; `more` are options of the server."""
    server = world.socket(zmq.DEALER, side_server)
    client = world.socket(zmq.DEALER, side_client, RECONNECT_IVL=10)
    keys = Keys() if mechanism == "CURVE" else None
    secure(server, client, mechanism, keys)
    for name, value in more.items():
        server.set(int(getattr(zmq, name)), value)
    return server, client, keys


def failed(watch):
    events = {
        zmq.EVENT_HANDSHAKE_FAILED_AUTH,
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    }
    found = watch.wait(events)
    return int(found["event"]), int(found["value"])


# ---- requests ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("sides_of", sides())
@pytest.mark.parametrize("mechanism", EACH)
def test_the_request(world, mechanism, sides_of, transport):
    with Zap(world, sides_of[0]) as zap:
        server, client, keys = pair(world, mechanism, *sides_of, ZAP_DOMAIN=b"dom")
        server.set(int(zmq.ROUTING_ID), b"server")
        client.set(int(zmq.ROUTING_ID), b"who")
        world.link(server, client, transport)
        client.send(b"x")
        assert server.recv() == b"x"
        (request,) = zap.requests
    version, number, domain, address, identity, name, *credentials = request
    assert (version, number, domain, name) == (b"1.0", b"1", b"dom", mechanism.encode())
    assert address == b"127.0.0.1" if transport == "tcp" else address.startswith(f"localhost:{os.getuid()}:".encode())
    if mechanism == "PLAIN":
        assert credentials == [NAME, PASSWORD]
    elif mechanism == "CURVE":
        assert [zmq.utils.z85.encode(key) for key in credentials] == [keys.client]
    else:
        assert credentials == []
    if sides_of[0] == "impl" and OURS:  # libzmq gives the server's own, always
        assert identity == (b"server" if mechanism == "PLAIN" else b"who")


def test_null_asks_nobody_without_a_domain(world):
    with Zap(world) as zap:
        server, client = world.pair(zmq.PAIR, zmq.PAIR)
        client.send(b"x")
        assert server.recv() == b"x"
        assert zap.requests == []


@pytest.mark.parametrize("mechanism", ["PLAIN", pytest.param("CURVE", marks=needs_curve)])
def test_clients_ask_nobody(world, mechanism):
    """Only the server's side judges; with NULL whoever has a domain."""
    with Zap(world) as zap:
        server, client, _ = pair(world, mechanism)
        client.set(int(zmq.ZAP_DOMAIN), b"dom")
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        assert len(zap.requests) == 1


@pytest.mark.parametrize("sides_of", sides())
def test_null_asks_on_the_connecting_side_too(world, sides_of):
    with Zap(world, sides_of[1]) as zap:
        server = world.socket(zmq.DEALER, sides_of[0])
        client = world.socket(zmq.DEALER, sides_of[1], ZAP_DOMAIN=b"mine")
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        server.send(b"y")
        assert client.recv() == b"y"
        assert [request[2] for request in zap.requests] == [b"mine"]


@pytest.mark.parametrize("sides_of", sides())
def test_null_asked_on_both_sides(world, sides_of):
    """Neither may wait for the other's READY before it asks."""
    with Zap(world, sides_of[0]) as one:
        zaps = [one] if sides_of[0] == sides_of[1] else [one, Zap(world, sides_of[1])]
        server = world.socket(zmq.DEALER, sides_of[0], ZAP_DOMAIN=b"a")
        client = world.socket(zmq.DEALER, sides_of[1], ZAP_DOMAIN=b"b")
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        assert sorted(request[2] for zap in zaps for request in zap.requests) == [b"a", b"b"]
        for zap in zaps[1:]:
            zap.__exit__()


@pytest.mark.parametrize("kind", ["REP", "ROUTER", pytest.param("SERVER", marks=[needs_draft, ours_only])])
@pytest.mark.parametrize("mechanism", EACH)
def test_the_types_a_handler_may_have(world, mechanism, kind):
    with Zap(world, kind=kind) as zap:
        server, client, _ = pair(world, mechanism)
        world.link(server, client)
        client.send(b"x")
        assert server.recv(copy=False).get("User-Id") == "the user"
        assert zap.requests[0][5] == mechanism.encode()


@ours_only
@pytest.mark.parametrize("kind", ["DEALER", "PULL", "PAIR", "XPUB"])
@pytest.mark.parametrize("mechanism", EACH)
def test_a_handler_of_another_type_lets_nobody_in(world, mechanism, kind):
    """It is a mistake, and the safe way to take it is that nobody was allowed (libzmq aborts)."""
    handler = world.socket(getattr(zmq, kind))
    handler.bind(ADDRESS)
    server, client, _ = pair(world, mechanism)
    with Watch(server) as watch, Watch(client) as told:
        world.link(server, client)
        assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.EFAULT)
        assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 500)
    assert not handler.poll(0, int(zmq.POLLIN))


@ours_only
def test_a_handler_of_the_single_part_kind_still_knows_no_other_parts(world):
    with Zap(world, kind="SERVER") as zap:
        server = world.socket(zmq.DEALER, ZAP_DOMAIN=b"d")
        client = world.socket(zmq.DEALER)
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        assert zap.requests
    other, peer = world.pair(zmq.SERVER, zmq.CLIENT)
    peer.send(b"x")
    number = other.recv(copy=False).routing_id
    with pytest.raises(zmq.ZMQError) as caught:
        other.send_multipart([b"a", b"b"], routing_id=number)
    assert caught.value.errno == errno.EINVAL


# ---- verdicts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [b"300", b"400", b"500"])
@pytest.mark.parametrize("sides_of", sides())
@pytest.mark.parametrize("mechanism", EACH)
def test_refusals(world, mechanism, sides_of, status):
    with Zap(world, sides_of[0], lambda request: (status, b"")):
        server, client, _ = pair(world, mechanism, *sides_of)
        with Watch(server) as watch, Watch(client) as told:
            world.link(server, client)
            client.send(b"never")
            assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), int(status))
            if status != b"300":
                assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), int(status))
            elif OURS and sides_of[0] == "impl":
                told.wait({zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED})
            nothing(server, 30)


def test_a_temporary_refusal_is_followed_by_another_try(world):
    verdicts = [b"300", b"300", b"200"]
    with Zap(world, answer=lambda request: (verdicts.pop(0), b"")):
        server, client, _ = pair(world, "PLAIN")
        if not OURS:
            client.set(int(zmq.HANDSHAKE_IVL), 100)
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        assert verdicts == []


BAD_REPLIES = {
    "version": ("version", lambda q: [b"9.9", q[1], b"200", b"", b"u", b""]),
    "empty version": ("version", lambda q: [b"", q[1], b"200", b"", b"u", b""]),
    "id": ("id", lambda q: [q[0], b"77", b"200", b"", b"u", b""]),
    "empty id": ("id", lambda q: [q[0], b"", b"200", b"", b"u", b""]),
    "999": ("status", lambda q: [q[0], q[1], b"999", b"", b"u", b""]),
    "20": ("status", lambda q: [q[0], q[1], b"20", b"", b"u", b""]),
    "2000": ("status", lambda q: [q[0], q[1], b"2000", b"", b"u", b""]),
    "201": ("status", lambda q: [q[0], q[1], b"201", b"", b"u", b""]),
    "no status": ("status", lambda q: [q[0], q[1], b"", b"", b"u", b""]),
    "short": ("malformed", lambda q: [q[0], q[1], b"200"]),
    "long": ("malformed", lambda q: [q[0], q[1], b"200", b"", b"u", b"", b""]),
    "one part": ("malformed", lambda q: [b"200"]),
    "fifty parts": ("malformed", lambda q: [b"200"] * 50),
    "metadata": ("list", lambda q: [q[0], q[1], b"200", b"", b"u", b"\xffgarbage"]),
    "cut metadata": ("list", lambda q: [q[0], q[1], b"200", b"", b"u", properties(Hello=b"World")[:-1]]),
}


@pytest.mark.parametrize(("kind", "answer"), BAD_REPLIES.values(), ids=BAD_REPLIES)
@pytest.mark.parametrize("mechanism", EACH)
def test_replies_that_are_none(world, mechanism, kind, answer):
    """They let nobody in, are named by libzmq's codes, and harm nothing else."""
    with Zap(world, answer=answer) as zap:
        server, client, _ = pair(world, mechanism)
        with Watch(server) as watch, Watch(client) as told:
            world.link(server, client)
            client.send(b"in the end")
            assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL), PROTOCOL_ERRORS[kind])
            if OURS:
                assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 500)
            nothing(server, 10)
        zap.answer = lambda request: (b"200", b"")
        if OURS:  # libzmq gives the endpoint up
            assert server.recv() == b"in the end"


@ours_only
def test_failures_are_counted(world):
    answers = [(b"400", b""), (b"300", b""), [b"nonsense"], (b"200", b"u")]
    with Zap(world, answer=lambda request: answers.pop(0)):
        server, client, _ = pair(world, "PLAIN")
        world.link(server, client)
        client.send(b"x")
        assert server.recv() == b"x"
        found = server.stats()["handshakes"]
        assert found == {
            "succeeded": 1,
            "under_way": 0,
            "failed": {"authorisation": 2, "protocol": 1},
            "violations": 0,
        }
        assert client.stats()["handshakes"]["failed"]["authorisation"] == 2


# ---- what messages tell ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides_of", sides())
@pytest.mark.parametrize("mechanism", EACH)
def test_user_id_and_metadata(world, mechanism, sides_of):
    def answer(request):
        return reply(request, b"200", b"bob", properties(Hello=b"World", Level=b"7"))

    with Zap(world, sides_of[0], answer):
        server, client, _ = pair(world, mechanism, *sides_of)
        client.set(int(zmq.ROUTING_ID), b"me")
        world.link(server, client)
        client.send_multipart([b"a", b"b"])
        for frame in server.recv_multipart(copy=False):
            assert frame.get("User-Id") == "bob"
            assert frame["User-Id"] == "bob"
            assert frame.get("Hello") == "World"
            assert frame.get("Level") == "7"
            assert frame.get("Socket-Type") == "DEALER"
            assert frame.get("Identity") == "me"
            assert frame.get("Peer-Address") == "127.0.0.1"


def test_an_empty_user_id_is_one(world):
    with Zap(world, answer=lambda request: (b"200", b"")):
        server, client, _ = pair(world, "PLAIN")
        world.link(server, client)
        client.send(b"x")
        assert server.recv(copy=False).get("User-Id") == ""


def test_long_user_ids_and_metadata(world):
    """The limits of a handshake are for strangers, and the authoriser is none."""
    with Zap(world, answer=lambda request: reply(request, b"200", b"u" * 70_000, properties(Big=b"v" * 200_000))):
        server, client, _ = pair(world, "PLAIN")
        world.link(server, client)
        client.send(b"x")
        frame = server.recv(copy=False)
        assert frame.get("User-Id") == "u" * 70_000
        assert frame.get("Big") == "v" * 200_000


@ours_only
def test_a_peer_cannot_give_itself_a_user_id(world):
    """Neither where nobody is asked, nor against what the authoriser said."""
    pose = {"User_Id": b"root", "Peer_Address": b"10.0.0.1", "Hello": b"me"}
    with Zap(world, answer=lambda request: reply(request, b"200", b"bob", properties(Hello=b"authoriser"))):
        for domain in (b"", b"dom"):
            server = world.socket(zmq.DEALER)
            if domain:
                server.set(int(zmq.ZAP_DOMAIN), domain)
            with RawPeer.connect(world.bind(server)) as raw:
                raw.send(greeting())
                raw.recv_greeting()
                raw.send(ready(b"DEALER", **pose))
                raw.recv_ready()
                raw.send_message(b"x")
                frame = server.recv(copy=False)
                assert frame.get("Peer-Address") == "127.0.0.1"
                assert frame.get("Hello") == ("authoriser" if domain else "me")
                if domain:
                    assert frame.get("User-Id") == "bob"
                else:
                    with pytest.raises(zmq.ZMQError):
                        frame.get("User-Id")


# ---- nobody to ask -----------------------------------------------------------------------------------------

# mechanism, domain, ZAP_ENFORCE_DOMAIN, whether a peer comes in without a handler
ABSENT = [
    ("NULL", b"", 0, True),
    ("NULL", b"d", 0, True),
    ("NULL", b"", 1, True),
    ("NULL", b"d", 1, False),
    ("PLAIN", b"", 0, False),
    ("PLAIN", b"d", 0, False),
    ("PLAIN", b"", 1, False),
    ("PLAIN", b"d", 1, False),
    ("CURVE", b"", 0, True),
    ("CURVE", b"d", 0, True),
    ("CURVE", b"", 1, True),
    ("CURVE", b"d", 1, False),
]


@needs_draft
@pytest.mark.parametrize(("mechanism", "domain", "enforce", "enters"), ABSENT)
def test_without_a_handler(world, mechanism, domain, enforce, enters):
    if mechanism == "CURVE" and not zmq.has("curve"):
        pytest.skip("this build has no CURVE")
    of_server, of_client = options_of(mechanism)
    of_server["ZAP_DOMAIN"] = domain
    if not domain:
        del of_server["ZAP_DOMAIN"]
    server = world.socket(zmq.DEALER, ZAP_ENFORCE_DOMAIN=enforce, **of_server)
    client = world.socket(zmq.DEALER, RECONNECT_IVL=-1, **of_client)
    with Watch(server) as watch, Watch(client) as told:
        world.link(server, client)
        client.send(b"x")
        if enters:
            assert server.recv() == b"x"
        else:
            assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.EFAULT)
            assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 500)
            nothing(server, 10)


@needs_draft
@pytest.mark.parametrize("mechanism", ["PLAIN", pytest.param("CURVE", marks=needs_curve)])
def test_enforced_without_a_domain_the_handler_is_not_asked(world, mechanism):
    """RFC 27 wants a domain in every request."""
    with Zap(world) as zap:
        server, client, _ = pair(world, mechanism, ZAP_ENFORCE_DOMAIN=1)
        with Watch(server) as watch:
            world.link(server, client)
            client.send(b"x")
            if mechanism == "CURVE":
                assert server.recv() == b"x"
            else:
                failed(watch)
        assert zap.requests == []


@ours_only
@pytest.mark.parametrize("sides_of", sides())
def test_a_plain_client_is_told_at_once_that_nobody_judges(world, sides_of):
    if sides_of[0] == "stock":
        pytest.skip("libzmq's server says nothing")
    server, client, _ = pair(world, "PLAIN", *sides_of, HANDSHAKE_IVL=0)
    client.set(int(zmq.HANDSHAKE_IVL), 0)
    with Watch(client) as told:
        world.link(server, client)
        assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 500)
    if sides_of[1] == "stock":
        return  # it does not try again
    with Zap(world):
        client.send(b"now")
        assert server.recv() == b"now"


# ---- handlers that come and go -----------------------------------------------------------------------------


@ours_only
@pytest.mark.parametrize("mechanism", EACH)
def test_a_handler_that_dies_with_the_question(world, mechanism):
    handler = world.socket(zmq.REP)
    handler.bind(ADDRESS)
    server, client, _ = pair(world, mechanism)
    with Watch(server) as watch, Watch(client) as told:
        world.link(server, client)
        client.send(b"x")
        handler.recv_multipart()
        handler.close(0)
        assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.EPIPE)
        assert failed(told) == (int(zmq.EVENT_HANDSHAKE_FAILED_AUTH), 500)
    with Zap(world):
        client.send(b"y")
        assert server.recv() in (b"x", b"y")


@ours_only
def test_a_handler_that_dies_before_it_looks(world):
    handler = world.socket(zmq.REP)
    handler.bind(ADDRESS)
    server, client, _ = pair(world, "PLAIN")
    with Watch(server) as watch:
        world.link(server, client)
        assert handler.poll(10_000, int(zmq.POLLIN))
        handler.close(0)
        assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.EPIPE)


def test_one_handler_after_the_other(world):
    for user in (b"first", b"second", b"third"):
        with Zap(world, answer=lambda request, user=user: (b"200", user)):
            server, client, _ = pair(world, "PLAIN")
            world.link(server, client)
            client.send(b"x")
            assert server.recv(copy=False).get("User-Id") == user.decode()


def test_many_wait_at_once_and_are_answered_in_another_order(world):
    router = world.socket(zmq.ROUTER, RCVHWM=0, SNDHWM=0)
    router.bind(ADDRESS)
    server = world.socket(zmq.PULL, PLAIN_SERVER=1)
    endpoint = world.bind(server)
    clients = []
    for number in range(40):
        client = world.socket(zmq.PUSH, PLAIN_USERNAME=b"%d" % number, PLAIN_PASSWORD=b"p")
        client.connect(endpoint)
        client.send(b"%d" % number)
        clients.append(client)
    asked = [router.recv_multipart() for _ in clients]
    assert len({one[0] for one in asked}) == 40
    for envelope, empty, *request in reversed(asked):
        router.send_multipart([envelope, empty, *reply(request, b"200" if int(request[6]) % 2 else b"400", request[6])])
    for _ in range(20):
        frame = server.recv(copy=False)
        assert frame.bytes == frame.get("User-Id").encode()
        assert int(frame.bytes) % 2
    nothing(server, 20)


@ours_only
def test_peers_that_leave_while_they_are_judged(world):
    """Their verdicts come too late for anybody, and the handler is none the worse."""
    handler = world.socket(zmq.REP)
    handler.bind(ADDRESS)
    server, client, _ = pair(world, "PLAIN", HANDSHAKE_IVL=200)
    endpoint = world.bind(server)
    with Watch(server) as watch:
        for _ in range(5):
            with RawPeer.connect(endpoint) as raw:
                raw.send(greeting(mechanism=b"PLAIN") + HELLO)
                assert handler.poll(10_000, int(zmq.POLLIN))
            assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.ETIMEDOUT)
            handler.send_multipart(reply(handler.recv_multipart()))
    server.set(int(zmq.HANDSHAKE_IVL), 30_000)
    task = Task(lambda: handler.send_multipart(reply(handler.recv_multipart())))
    client.connect(endpoint)
    client.send(b"x")
    assert server.recv() == b"x"
    task.result()


@ours_only
def test_a_silent_handler_is_waited_for_as_long_as_the_handshake_may_take(world):
    handler = world.socket(zmq.REP)
    handler.bind(ADDRESS)
    server, client, _ = pair(world, "PLAIN", HANDSHAKE_IVL=100)
    with Watch(server) as watch:
        world.link(server, client)
        assert failed(watch) == (int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL), errno.ETIMEDOUT)
        wait_for(lambda: server.stats()["handshakes"]["failed"].get("timeout"), "the count")


@pytest.mark.parametrize("first", ["server", "handler", "context"])
def test_the_end_while_somebody_is_judged(world, first):
    """Nothing hangs, whoever goes first."""
    context = world.new_context()
    handler = world.socket(zmq.ROUTER, context=context)
    handler.bind(ADDRESS)
    server = world.socket(zmq.PULL, context=context, PLAIN_SERVER=1)
    endpoint = world.bind(server)
    clients = []
    for _ in range(5):
        client = world.socket(zmq.PUSH, PLAIN_USERNAME=b"u", PLAIN_PASSWORD=b"p", RECONNECT_IVL=-1)
        client.connect(endpoint)
        clients.append(client)
    handler.recv_multipart()
    if first == "context":
        ending = Task(context.term)
        with pytest.raises(zmq.ContextTerminated):
            while True:
                handler.recv_multipart()
        handler.close()
        server.close()
    elif first == "handler":
        handler.close()
        server.close()
        ending = Task(context.term)
    else:
        server.close()
        handler.close()
        ending = Task(context.term)
    ending.result()


@ours_only
def test_the_handler_may_be_judged_itself(world):
    """A socket that is bound to the authoriser's address and to another: its own peers are its own to judge."""
    handler = world.socket(zmq.ROUTER, ZAP_DOMAIN=b"self")
    handler.bind(ADDRESS)
    endpoint = world.bind(handler)
    client = world.socket(zmq.DEALER)
    client.connect(endpoint)
    client.send(b"x")
    envelope, empty, *request = handler.recv_multipart()
    assert request[2] == b"self"
    handler.send_multipart([envelope, empty, *reply(request)])
    assert handler.recv_multipart()[1:] == [b"x"]


def test_traffic_behind_the_credentials_waits_for_the_verdict(world):
    """What a hasty peer has said already is neither lost nor taken before it may be."""
    handler = world.socket(zmq.REP)
    handler.bind(ADDRESS)
    server = world.socket(zmq.PULL, PLAIN_SERVER=1)
    with RawPeer.connect(world.bind(server)) as raw:
        raw.send(greeting(mechanism=b"PLAIN"))
        raw.recv_greeting()
        raw.send(HELLO + command(b"INITIATE", properties(Socket_Type=b"PUSH")))
        request = handler.recv_multipart()
        assert not server.poll(10)
        handler.send_multipart(reply(request))
        assert raw.recv_command()[0] == b"WELCOME"
        assert raw.recv_command()[0] == b"READY"
        raw.send_message(b"x")
        assert server.recv() == b"x"
