"""The engine's own classes, below the Python layer, under the name that programs written for pyzmq import them by."""

from pyzq.features import IPC_PATH_MAX_LEN, PYZMQ_DRAFT_API, curve_keypair, curve_public, has
from pyzq.version import zmq_version_info
from zcore.context import Context
from zcore.errors import strerror, zmq_errno
from zcore.frame import Frame
from zcore.proxy import monitored_queue, proxy, proxy_steerable
from zcore.socket import Socket, zmq_poll

Message = Frame

__all__ = [
    "IPC_PATH_MAX_LEN",
    "PYZMQ_DRAFT_API",
    "Context",
    "Frame",
    "Message",
    "Socket",
    "curve_keypair",
    "curve_public",
    "has",
    "monitored_queue",
    "proxy",
    "proxy_steerable",
    "strerror",
    "zmq_errno",
    "zmq_poll",
    "zmq_version_info",
]
