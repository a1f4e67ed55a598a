"""Authenticators of every kind before real servers: who gets in, who does not, what messages say of their sender."""

import asyncio
import importlib.util

import pytest
from support.authenticators import KINDS, at_work, module
from support.impl import DEADLINE, IMPL, Errors, needs_curve, ours_only, sides, stock, zmq
from support.waiting import Watch, nothing

pytestmark = pytest.mark.skipif(stock is None, reason="stock pyzmq is not installed")

NO_TORNADO = pytest.mark.skipif(not importlib.util.find_spec("tornado"), reason="tornado is not installed")
EACH = [pytest.param(kind, marks=[NO_TORNADO] if kind == "ioloop" else []) for kind in KINDS]
each_kind = pytest.mark.parametrize("kind", EACH)
both = pytest.mark.parametrize("sides_of", sides())


def send_in_vain(client):
    try:
        client.send(b"never", int(zmq.DONTWAIT))
    except Errors as error:  # refused already, after which a client of libzmq has no endpoint
        assert error.errno == int(zmq.EAGAIN)


class Gate:
    """A context with an authenticator, and servers and clients of it."""

    def __init__(self, world, kind, sides_of):
        self.world = world
        self.server_side, self.client_side = sides_of
        self.context = world.context(self.server_side)
        self.work = at_work(kind, self.server_side, self.context)
        self.authenticator = self.work.authenticator

    def rule(self, method, *args, **kwargs):
        return self.work.do(getattr(self.authenticator, method), *args, **kwargs)

    def server(self, **options):
        made = self.world.socket(zmq.DEALER, self.server_side, **options)
        return made, self.world.bind(made)

    def client(self, **options):
        return self.world.socket(zmq.DEALER, self.client_side, RECONNECT_IVL=10, **options)

    def enters(self, server, user=None, **options):
        """A client with these options gets in, and its messages say that it is `user`."""
        socket, endpoint = server
        client = self.client(**options)
        client.connect(endpoint)
        client.send(b"hello")
        frame = socket.recv(copy=False)
        assert frame.bytes == b"hello"
        if user is not None:
            assert frame.get("User-Id") == user
        client.close()

    def refused(self, server, status=400, **options):
        """A client with these options is told that it may not."""
        socket, endpoint = server
        client = self.client(**options)
        with Watch(socket) as watch, Watch(client) as told:
            client.connect(endpoint)
            send_in_vain(client)
            for one in (watch, told):
                assert int(one.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)["value"]) == status
        client.close()
        nothing(socket, 20)


@pytest.fixture
def gate(world, kind, sides_of):
    made = Gate(world, kind, sides_of)
    made.work.start()
    yield made
    made.work.close()


# ---- addresses -------------------------------------------------------------------------------------------------


@both
@each_kind
def test_allowed_addresses(gate):
    gate.rule("allow", "127.0.0.1")
    gate.enters(gate.server(ZAP_DOMAIN=b"any"), "anonymous")


@both
@each_kind
def test_addresses_that_are_not_allowed(gate):
    gate.rule("allow", "10.11.12.13")
    gate.refused(gate.server(ZAP_DOMAIN=b"any"))


@both
@each_kind
def test_denied_addresses(gate):
    server = gate.server(ZAP_DOMAIN=b"any")
    gate.enters(server)
    gate.rule("deny", "127.0.0.1")
    gate.refused(server)


@both
@each_kind
def test_good_credentials_do_not_make_up_for_an_address(gate):
    gate.rule("configure_plain", domain="*", passwords={"admin": "secret"})
    gate.rule("deny", "127.0.0.1")
    gate.refused(gate.server(PLAIN_SERVER=1), PLAIN_USERNAME=b"admin", PLAIN_PASSWORD=b"secret")


# ---- PLAIN -----------------------------------------------------------------------------------------------------


def plain(name, password):
    return {"PLAIN_USERNAME": name, "PLAIN_PASSWORD": password}


@both
@each_kind
def test_passwords(gate):
    server = gate.server(PLAIN_SERVER=1)
    gate.refused(server, **plain(b"admin", b"secret"))
    gate.rule("configure_plain", domain="*", passwords={"admin": "secret", "näme": "wört"})
    gate.enters(server, "admin", **plain(b"admin", b"secret"))
    gate.enters(server, "näme", **plain("näme".encode(), "wört".encode()))
    gate.refused(server, **plain(b"admin", b"wrong"))
    gate.refused(server, **plain(b"nobody", b"secret"))
    # other passwords hold from then on
    gate.rule("configure_plain", domain="*", passwords={"admin": "new"})
    gate.refused(server, **plain(b"admin", b"secret"))
    gate.enters(server, "admin", **plain(b"admin", b"new"))


@both
@each_kind
def test_passwords_of_domains(gate):
    gate.rule("configure_plain", domain="one", passwords={"admin": "first"})
    gate.rule("configure_plain", domain="two", passwords={"admin": "second"})
    one = gate.server(PLAIN_SERVER=1, ZAP_DOMAIN=b"one")
    two = gate.server(PLAIN_SERVER=1, ZAP_DOMAIN=b"two")
    gate.enters(one, "admin", **plain(b"admin", b"first"))
    gate.refused(one, **plain(b"admin", b"second"))
    gate.enters(two, "admin", **plain(b"admin", b"second"))
    gate.refused(gate.server(PLAIN_SERVER=1, ZAP_DOMAIN=b"three"), **plain(b"admin", b"first"))


@ours_only  # stock clients give an endpoint up after a refusal
@each_kind
@pytest.mark.parametrize("sides_of", [("impl", "impl")], ids=["impl-impl"])
def test_a_refused_client_enters_when_its_password_is_set(gate):
    server, endpoint = gate.server(PLAIN_SERVER=1)
    client = gate.client(**plain(b"admin", b"secret"))
    with Watch(client) as told:
        client.connect(endpoint)
        client.send(b"in the end")
        told.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
        gate.rule("configure_plain", passwords={"admin": "secret"})
        assert server.recv() == b"in the end"


# ---- CURVE -----------------------------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path):
    """A folder of what the server knows, and the keys of the server, of a client it knows and of one it does not."""
    auth = module("impl", "auth")
    known = tmp_path / "known"
    known.mkdir()
    keys = {}
    for name in ("server", "friend", "stranger"):
        _, secret_file = auth.create_certificates(tmp_path, name)
        keys[name] = auth.load_certificate(secret_file)
    (tmp_path / "friend.key").rename(known / "friend.key")
    return known, keys


def curve_server(keys, **more):
    return {"CURVE_SERVER": 1, "CURVE_PUBLICKEY": keys["server"][0], "CURVE_SECRETKEY": keys["server"][1], **more}


def curve_client(keys, name):
    public, secret = keys[name]
    return {"CURVE_SERVERKEY": keys["server"][0], "CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret}


@needs_curve
@both
@each_kind
def test_a_folder_of_certificates(gate, certificates, tmp_path):
    known, keys = certificates
    server = gate.server(**curve_server(keys))
    gate.refused(server, **curve_client(keys, "friend"))
    gate.rule("configure_curve", domain="*", location=str(known))
    gate.enters(server, keys["friend"][0].decode(), **curve_client(keys, "friend"))
    gate.refused(server, **curve_client(keys, "stranger"))
    # the folder is read when it is named
    (tmp_path / "stranger.key").rename(known / "stranger.key")
    gate.refused(server, **curve_client(keys, "stranger"))
    gate.rule("configure_curve", domain="*", location=str(known))
    gate.enters(server, keys["stranger"][0].decode(), **curve_client(keys, "stranger"))


@needs_curve
@both
@each_kind
def test_every_key_and_an_address(gate, certificates):
    _, keys = certificates
    server = gate.server(**curve_server(keys))
    gate.rule("configure_curve", domain="*", location=module("impl", "auth").CURVE_ALLOW_ANY)
    gate.enters(server, keys["stranger"][0].decode(), **curve_client(keys, "stranger"))
    gate.rule("allow", "10.11.12.13")
    gate.refused(server, **curve_client(keys, "stranger"))


@needs_curve
@pytest.mark.parametrize("awaited", [False, True], ids=["at once", "awaited"])
@both
@each_kind
def test_a_callback(gate, certificates, awaited):
    _, keys = certificates
    heard = []

    class Now:
        def callback(self, domain, key):
            heard.append((domain, key))
            return key == keys["friend"][0]

    class Later(Now):
        async def callback(self, domain, key):
            await asyncio.sleep(0.001)
            return Now.callback(self, domain, key)

    gate.rule("configure_curve_callback", domain="here", credentials_provider=(Later if awaited else Now)())
    server = gate.server(**curve_server(keys, ZAP_DOMAIN=b"here"))
    gate.enters(server, keys["friend"][0].decode(), **curve_client(keys, "friend"))
    gate.refused(server, **curve_client(keys, "stranger"))
    assert heard[:2] == [("here", keys["friend"][0]), ("here", keys["stranger"][0])]
    # another domain has no such rule
    gate.refused(gate.server(**curve_server(keys, ZAP_DOMAIN=b"there")), **curve_client(keys, "friend"))


@needs_curve
@ours_only  # pyzmq's leaves the question unanswered
@each_kind
@pytest.mark.parametrize("sides_of", sides()[:2])
def test_a_callback_that_fails(gate, certificates, caplog):
    _, keys = certificates

    class Broken:
        def callback(self, domain, key):
            raise RuntimeError("broken")

    gate.rule("configure_curve_callback", domain="*", credentials_provider=Broken())
    server = gate.server(**curve_server(keys))
    gate.refused(server, status=500, **curve_client(keys, "friend"))
    assert "broken" in caplog.text
    gate.rule("configure_curve", domain="*", location=module("impl", "auth").CURVE_ALLOW_ANY)
    gate.enters(server, **curve_client(keys, "friend"))


# ---- one loop for everything, and the life of an authenticator -------------------------------------------------


@needs_curve
@pytest.mark.parametrize("mechanism", ["PLAIN", "CURVE"])
def test_server_client_and_authenticator_in_one_loop(world, certificates, mechanism):
    """Nothing waits for anything that the same loop has to do."""
    known, keys = certificates
    sockets = importlib.import_module(f"{IMPL}.asyncio")

    def made(kind, options):
        socket = context.socket(kind)
        for name, value in {"LINGER": 0, **options}.items():
            socket.set(int(getattr(zmq, name)), value)
        return socket

    async def run():
        authenticator = module("impl", "auth.asyncio").AsyncioAuthenticator(context)
        authenticator.start()
        authenticator.configure_plain(passwords={"admin": "secret"})
        authenticator.configure_curve(location=known)
        if mechanism == "PLAIN":
            of_server, good, bad = {"PLAIN_SERVER": 1}, plain(b"admin", b"secret"), plain(b"admin", b"wrong")
        else:
            of_server, good, bad = curve_server(keys), curve_client(keys, "friend"), curve_client(keys, "stranger")
        rep = made(zmq.REP, of_server)
        port = rep.bind_to_random_port("tcp://127.0.0.1")
        friend, stranger = made(zmq.REQ, good), made(zmq.REQ, bad)
        for one in (stranger, friend):
            one.connect(f"tcp://127.0.0.1:{port}")
            await one.send(b"question")
        assert await rep.recv() == b"question"
        await rep.send(b"answer")
        assert await friend.recv() == b"answer"
        assert not await rep.poll(50)
        authenticator.stop()
        for one in (rep, friend, stranger):
            one.close()

    context = sockets.Context()
    asyncio.run(asyncio.wait_for(run(), DEADLINE))
    context.term()


@ours_only  # pyzmq frees the address some time after `stop`
@each_kind
@pytest.mark.parametrize("sides_of", sides()[:2])
def test_stopped_and_started_again(gate):
    gate.rule("configure_plain", passwords={"admin": "secret"})
    server = gate.server(PLAIN_SERVER=1)
    gate.enters(server, **plain(b"admin", b"secret"))
    gate.work.stop()
    client = gate.client(**plain(b"admin", b"secret"))
    with Watch(server[0]) as watch, Watch(client) as told:
        client.connect(server[1])
        watch.wait(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)  # nobody judges
        assert int(told.wait(zmq.EVENT_HANDSHAKE_FAILED_AUTH)["value"]) == 500
    client.close()
    gate.work.start()
    gate.enters(server, "admin", **plain(b"admin", b"secret"))


@pytest.mark.parametrize("sides_of", sides()[:2])
@pytest.mark.parametrize("kind", ["thread", "asyncio"])
def test_many_at_once(gate):
    """A crowd of which every other one is let in."""
    gate.rule("configure_plain", passwords={f"user{number}": f"word{number}" for number in range(0, 40, 2)})
    server, endpoint = gate.server(PLAIN_SERVER=1)
    clients = [gate.client(**plain(b"user%d" % number, b"word%d" % number)) for number in range(40)]
    for number, client in enumerate(clients):
        client.connect(endpoint)
        if number % 2:
            send_in_vain(client)
        else:
            client.send(b"%d" % number)
    frames = [server.recv(copy=False) for _ in range(20)]
    assert {int(frame.bytes) for frame in frames} == set(range(0, 40, 2))
    assert all(frame.get("User-Id") == f"user{frame.bytes.decode()}" for frame in frames)
    nothing(server, 30)
