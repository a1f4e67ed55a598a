"""Read by type checkers, never run: what stands beside sockets."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing_extensions import assert_type

import pyzq as zmq
from pyzq import auth, decorators, devices
from pyzq.auth.thread import ThreadAuthenticator
from pyzq.log.handlers import PUBHandler
from pyzq.timers import Timers
from pyzq.utils import jsonapi, z85


@decorators.context()
@decorators.socket(zmq.PUSH)
def work(context: zmq.Context, push: zmq.Socket, number: int = 0) -> str:
    return f"{push.type} {number}"


def decorated() -> None:
    assert_type(work(), str)
    assert_type(work(number=5), str)


class Rules:
    def callback(self, domain: str, key: bytes) -> bool:
        return True


def authenticators() -> None:
    rules = ThreadAuthenticator(zmq.Context.instance())
    rules.configure_curve_callback(domain="*", credentials_provider=Rules())
    rules.configure_curve_callback(domain="*", credentials_provider=5)  # type: ignore[arg-type]
    rules.configure_plain(passwords={"user": "password"})
    assert_type(rules.is_alive(), bool)
    assert_type(auth.load_certificate("file"), tuple[bytes, bytes | None])
    assert_type(auth.create_certificates(".", "name"), tuple[str, str])


def moving(front: zmq.Socket, back: zmq.Socket) -> None:
    assert_type(zmq.proxy(front, back), int)
    assert_type(zmq.proxy_steerable(front, back, None, front), int)
    device = devices.ThreadProxy(zmq.PULL, zmq.PUSH)
    assert_type(device.bind_in_to_random_port("tcp://127.0.0.1"), int)
    device.setsockopt_mon(zmq.SNDHWM, 5)
    zmq.proxy(front, 5)  # type: ignore[arg-type]


def small_things() -> None:
    assert_type(zmq.curve_keypair(), tuple[bytes, bytes])
    assert_type(zmq.has("curve"), bool)
    assert_type(zmq.strerror(zmq.EAGAIN), str)
    assert_type(zmq.zmq_version_info(), tuple[int, int, int])
    assert_type(z85.decode(z85.encode(bytes(4))), bytes)
    assert_type(jsonapi.dumps({}), bytes)
    assert_type(Timers().timeout(), int | None)
    assert_type(PUBHandler("tcp://*:5555").root_topic, str)
    assert_type(zmq.Stopwatch().stop(), int)
    zmq.MessageTracker().wait(timeout=5)
    zmq.install_as_zmq(children=False)
    assert zmq.no_such_name  # type: ignore[attr-defined]
    assert zmq.sugar.no_such_name  # type: ignore[attr-defined]
