"""Authenticators, asked by speaking ZAP (RFC 27) to them: every rule, every mechanism, malformed questions."""

import asyncio
import importlib
import logging
import os
import stat

import pytest
from support.impl import DEADLINE, IMPL, OURS, ours_only, zmq
from support.waiting import Task, wait_for

base = importlib.import_module(f"{IMPL}.auth.base")
auth = importlib.import_module(f"{IMPL}.auth")
ThreadAuthenticator = importlib.import_module(f"{IMPL}.auth.thread").ThreadAuthenticator
AsyncioAuthenticator = importlib.import_module(f"{IMPL}.auth.asyncio").AsyncioAuthenticator
z85 = importlib.import_module(f"{IMPL}.utils.z85")

ZAP = "inproc://zeromq.zap.01"
KEY = bytes(range(32))


@pytest.fixture
def asked(world):
    """(authenticator, a function that asks it): what a server's engine would ask, and the answer's parts."""
    context = world.new_context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    req = world.socket(zmq.REQ, context=context)
    req.connect(ZAP)

    def ask(mechanism, *credentials, domain=b"", address=b"127.0.0.1", version=b"1.0", request=b"7"):
        req.send_multipart([version, request, domain, address, b"", mechanism, *credentials])
        return req.recv_multipart()

    yield authenticator, ask
    authenticator.stop()
    assert not authenticator.is_alive()
    req.close()


def good(answer, user=b"anonymous"):
    return answer == [b"1.0", b"7", b"200", b"OK", user, b""]


def refused(answer):
    return answer[:3] == [b"1.0", b"7", b"400"] and answer[3] and answer[4:] == [b"", b""]


def test_null_is_let_in(asked):
    _, ask = asked
    assert good(ask(b"NULL"))
    assert good(ask(b"NULL", domain=b"any"))


def test_allowed_addresses(asked):
    authenticator, ask = asked
    authenticator.allow("127.0.0.1", "10.0.0.1")
    assert good(ask(b"NULL", address=b"10.0.0.1"))
    assert refused(ask(b"NULL", address=b"10.0.0.2"))
    with pytest.raises(ValueError, match="allow"):
        authenticator.deny("10.0.0.2")
    # an address that is allowed does not make up for a wrong password
    authenticator.configure_plain(passwords={"admin": "secret"})
    assert refused(ask(b"PLAIN", b"admin", b"wrong"))
    assert good(ask(b"PLAIN", b"admin", b"secret"), b"admin")


def test_denied_addresses(asked):
    authenticator, ask = asked
    authenticator.deny("10.0.0.1")
    assert refused(ask(b"NULL", address=b"10.0.0.1"))
    assert good(ask(b"NULL", address=b"10.0.0.2"))
    with pytest.raises(ValueError, match="allow"):
        authenticator.allow("10.0.0.2")


def test_plain(asked):
    authenticator, ask = asked
    assert refused(ask(b"PLAIN", b"admin", b"secret"))
    authenticator.configure_plain(domain="*", passwords={"admin": "secret", "näme": "wört"})
    authenticator.configure_plain(domain="other", passwords={"admin": "different"})
    assert good(ask(b"PLAIN", b"admin", b"secret"), b"admin")
    assert good(ask(b"PLAIN", "näme".encode(), "wört".encode()), "näme".encode())
    assert good(ask(b"PLAIN", b"admin", b"different", domain=b"other"), b"admin")
    for answer in (
        ask(b"PLAIN", b"admin", b""),
        ask(b"PLAIN", b"admin", b"secre"),
        ask(b"PLAIN", b"nobody", b"secret"),
        ask(b"PLAIN", b"admin", b"secret", domain=b"other"),
        # what is set for "*" is for servers without a domain only
        ask(b"PLAIN", b"admin", b"secret", domain=b"third"),
    ):
        assert refused(answer)


def test_curve_folder(asked, tmp_path):
    authenticator, ask = asked
    assert refused(ask(b"CURVE", KEY))
    (tmp_path / "one.key").write_bytes(b'metadata\ncurve\n    public-key = "%s"\n' % z85.encode(KEY))
    authenticator.configure_curve(domain="*", location=str(tmp_path))
    authenticator.configure_curve(domain="other", location=tmp_path)
    for domain in (b"", b"other"):
        assert good(ask(b"CURVE", KEY, domain=domain), z85.encode(KEY))
        assert refused(ask(b"CURVE", KEY[::-1], domain=domain))
    assert refused(ask(b"CURVE", KEY, domain=b"third"))


def test_curve_any(asked, tmp_path):
    authenticator, ask = asked
    authenticator.configure_curve(domain="*", location=auth.CURVE_ALLOW_ANY)
    assert authenticator.allow_any
    for domain in (b"", b"other"):
        assert good(ask(b"CURVE", KEY, domain=domain), z85.encode(KEY))
    authenticator.configure_curve(domain="*", location=tmp_path)
    assert not authenticator.allow_any
    assert refused(ask(b"CURVE", KEY))


@ours_only
def test_curve_any_in_one_domain(asked, tmp_path):
    """Strangers let into one domain are not let into the others."""
    authenticator, ask = asked
    authenticator.configure_curve(domain="*", location=tmp_path)
    authenticator.configure_curve(domain="open", location=auth.CURVE_ALLOW_ANY)
    assert good(ask(b"CURVE", KEY, domain=b"open"), z85.encode(KEY))
    assert refused(ask(b"CURVE", KEY))
    assert refused(ask(b"CURVE", KEY, domain=b"closed"))
    authenticator.configure_curve(domain="*", location=auth.CURVE_ALLOW_ANY)
    authenticator.configure_curve(domain="closed", location=tmp_path)
    assert good(ask(b"CURVE", KEY), z85.encode(KEY))
    assert refused(ask(b"CURVE", KEY, domain=b"closed"))


@ours_only
def test_a_folder_that_cannot_be_read_lets_nobody_in(asked, tmp_path, caplog):
    authenticator, ask = asked
    authenticator.configure_curve(domain="*", location=auth.CURVE_ALLOW_ANY)
    authenticator.configure_curve(domain="*", location=tmp_path / "none")
    assert "none" in caplog.text
    assert refused(ask(b"CURVE", KEY))


@pytest.mark.parametrize("awaited", [False, True])
def test_curve_callback(asked, awaited):
    authenticator, ask = asked
    heard = []

    class Now:
        def callback(self, domain, key):
            heard.append((domain, key))
            return z85.decode(key) == KEY

    class Later(Now):
        async def callback(self, domain, key):
            await asyncio.sleep(0)
            return Now.callback(self, domain, key)

    authenticator.configure_curve_callback(domain="some", credentials_provider=(Later if awaited else Now)())
    assert good(ask(b"CURVE", KEY, domain=b"some"), z85.encode(KEY))
    assert refused(ask(b"CURVE", KEY[::-1], domain=b"some"))
    assert refused(ask(b"CURVE", KEY))
    assert heard == [("some", z85.encode(KEY)), ("some", z85.encode(KEY[::-1]))]


@ours_only
def test_a_rule_that_fails_is_answered(asked, caplog):
    """An unanswered question would block the handler, and the peer, for good."""
    authenticator, ask = asked

    class Broken:
        def callback(self, domain, key):
            raise RuntimeError("broken")

    authenticator.configure_curve_callback(domain="*", credentials_provider=Broken())
    assert ask(b"CURVE", KEY)[2] == b"500"
    assert "broken" in caplog.text
    assert good(ask(b"NULL"))


def test_user_id_of_ones_own(asked):
    authenticator, ask = asked
    authenticator.configure_curve(location=auth.CURVE_ALLOW_ANY)
    authenticator.curve_user_id = lambda key: f"user {key[1]}"
    assert good(ask(b"CURVE", KEY), b"user 1")


def test_gssapi(asked):
    authenticator, ask = asked
    authenticator.configure_gssapi()
    assert good(ask(b"GSSAPI", b"principal"), b"principal")


def test_malformed_questions(asked):
    _, ask = asked
    assert refused(ask(b"NULL", version=b"2.0"))
    assert refused(ask(b"PLAIN", b"only one"))
    if OURS:
        assert refused(ask(b"CURVE", b"short"))
        assert refused(ask(b"CURVE"))
        assert refused(ask(b"FROB"))
    assert good(ask(b"NULL"))


@ours_only
def test_questions_with_too_few_parts(world):
    context = world.new_context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    dealer = world.socket(zmq.DEALER, context=context)
    dealer.connect(ZAP)
    dealer.send_multipart([b"", b"1.0", b"9"])
    assert dealer.recv_multipart()[:4] == [b"", b"1.0", b"9", b"400"]
    authenticator.stop()
    dealer.close()


@ours_only  # pyzmq frees the address some time after `stop`, and keeps a socket when `start` fails
def test_life(world):
    context = world.new_context()
    authenticator = ThreadAuthenticator(context)
    assert not authenticator.is_alive()
    authenticator.stop()  # harmless
    for _ in range(3):
        authenticator.start()
        assert authenticator.is_alive()
        with pytest.raises(zmq.ZMQError) as raised:
            ThreadAuthenticator(context).start()
        assert raised.value.errno == zmq.EADDRINUSE
        authenticator.stop()
        assert authenticator.zap_socket is None
        assert authenticator.thread is None


@ours_only
def test_term_ends_a_running_authenticator(world):
    context = world.new_context()
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    Task(context.term).result()
    wait_for(lambda: not authenticator.is_alive(), "the end of the thread")
    authenticator.stop()


def test_in_an_event_loop(world):
    context = world.new_context()
    req = world.socket(zmq.REQ, context=context)

    def ask(mechanism, *credentials):
        req.send_multipart([b"1.0", b"7", b"", b"127.0.0.1", b"", mechanism, *credentials])
        return req.recv_multipart()

    async def run():
        before = asyncio.all_tasks()
        authenticator = AsyncioAuthenticator(context)
        authenticator.start()
        authenticator.configure_plain(passwords={"admin": "secret"})
        req.connect(ZAP)
        assert good(await asyncio.to_thread(ask, b"PLAIN", b"admin", b"secret"), b"admin")
        assert refused(await asyncio.to_thread(ask, b"PLAIN", b"admin", b"wrong"))
        authenticator.stop()
        authenticator.stop()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(asyncio.wait_for(run(), DEADLINE))


def test_in_a_loop_of_tornado(world):
    ioloop = pytest.importorskip("tornado.ioloop")
    module = importlib.import_module(f"{IMPL}.auth.ioloop")
    context = world.new_context()

    async def run():
        with pytest.warns(DeprecationWarning, match="AsyncioAuthenticator|deprecated"):
            authenticator = module.IOLoopAuthenticator(context, io_loop=ioloop.IOLoop.current())
        authenticator.start()
        req = world.socket(zmq.REQ, context=context)
        req.connect(ZAP)
        req.send_multipart([b"1.0", b"7", b"", b"127.0.0.1", b"", b"NULL"])
        assert good(await asyncio.to_thread(req.recv_multipart))
        authenticator.stop()

    asyncio.run(asyncio.wait_for(run(), DEADLINE))


def test_the_log():
    with zmq.Context() as context:
        assert base.Authenticator(context).log.name == "zmq.auth"
        mine = logging.getLogger("mine")
        assert base.Authenticator(context, log=mine).log is mine


@pytest.mark.skipif(not importlib.util.find_spec("nacl"), reason="PyNaCl is not installed")
def test_certificates(tmp_path):
    public_file, secret_file = auth.create_certificates(tmp_path, "server", metadata={"name": "some body"})
    assert public_file == str(tmp_path / "server.key")
    assert secret_file == str(tmp_path / "server.key_secret")
    public, secret = auth.load_certificate(secret_file)
    assert auth.load_certificate(public_file) == (public, None)
    assert zmq.curve_public(secret) == public
    assert secret.decode() not in (tmp_path / "server.key").read_text()
    auth.create_certificates(str(tmp_path), "client")
    client = auth.load_certificate(tmp_path / "client.key")[0]
    assert auth.load_certificates(tmp_path) == {public: True, client: True}
    if OURS:
        assert stat.S_IMODE(os.stat(secret_file).st_mode) == 0o600


def test_certificates_of_others(tmp_path):
    """Comments, other indentation and quotes, other sections."""
    file = tmp_path / "other.key"
    file.write_text("#  a comment\n\nmetadata\n    public-key = 'not this'\ncurve\n  public-key = '%s'\n" % ("a" * 40))
    if OURS:
        assert auth.load_certificate(file) == (b"a" * 40, None)
    file.write_text('metadata\n    name = "x"\n')
    with pytest.raises(ValueError, match="public key"):
        auth.load_certificate(file)
    with pytest.raises(OSError, match="none"):
        auth.load_certificate(tmp_path / "none.key")
    with pytest.raises(OSError, match="none"):
        auth.load_certificates(tmp_path / "none")
