"""The package under the name that programs written for pyzmq import parts of it by."""

from pyzq.context import Context, SyncContext
from pyzq.error import (
    Again,
    ContextTerminated,
    DraftFDWarning,
    InterruptedSystemCall,
    NotDone,
    ZMQBaseError,
    ZMQBindError,
    ZMQError,
    ZMQVersionError,
)
from pyzq.frame import Frame, Message
from pyzq.poll import Poller, select
from pyzq.proxy import device, proxy
from pyzq.socket import Socket, SyncSocket
from pyzq.stopwatch import Stopwatch
from pyzq.version import (
    __revision__,
    __version__,
    pyzmq_version,
    pyzmq_version_info,
    zmq_version,
    zmq_version_info,
)
from zcore.tracker import FINISHED as _FINISHED_TRACKER
from zcore.tracker import MessageTracker

__all__ = [
    "_FINISHED_TRACKER",
    "Again",
    "Context",
    "ContextTerminated",
    "DraftFDWarning",
    "Frame",
    "InterruptedSystemCall",
    "Message",
    "MessageTracker",
    "NotDone",
    "Poller",
    "Socket",
    "Stopwatch",
    "SyncContext",
    "SyncSocket",
    "ZMQBaseError",
    "ZMQBindError",
    "ZMQError",
    "ZMQVersionError",
    "__revision__",
    "__version__",
    "device",
    "proxy",
    "pyzmq_version",
    "pyzmq_version_info",
    "select",
    "zmq_version",
    "zmq_version_info",
]

_MODULES = frozenset(("attrsettr", "context", "frame", "poll", "socket", "stopwatch", "tracker", "version"))


# Hidden from type checkers, which else take any name for one of the module.
TYPE_CHECKING = False
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            from importlib import import_module

            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
