"""ZeroMQ for Python, with an engine of its own.

    import pyzq as zmq

    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.connect("tcp://127.0.0.1:5555")
        socket.send(b"hello")
        reply = socket.recv()

Typed classes for each pattern are in `pyzq.patterns`, what happens at a high-water mark in `pyzq.hwm`, sockets for
event loops in `pyzq.asyncio` and `pyzq.green`.
"""

from __future__ import annotations

from pyzq.constants import *  # noqa: F403
from pyzq.error import *  # noqa: F403
from pyzq.features import COPY_THRESHOLD as COPY_THRESHOLD
from pyzq.features import DRAFT_API as DRAFT_API
from pyzq.features import IPC_PATH_MAX_LEN as IPC_PATH_MAX_LEN
from pyzq.features import PYZMQ_DRAFT_API as PYZMQ_DRAFT_API
from pyzq.features import curve_keypair as curve_keypair
from pyzq.features import curve_public as curve_public
from pyzq.features import get_includes as get_includes
from pyzq.features import get_library_dirs as get_library_dirs
from pyzq.features import has as has
from pyzq.frame import Frame as Frame
from pyzq.frame import Message as Message
from pyzq.socket import Socket as Socket
from pyzq.socket import SyncSocket as SyncSocket
from zcore.errors import strerror as strerror
from zcore.errors import zmq_errno as zmq_errno
from zcore.socket import zmq_poll as zmq_poll
from zcore.tracker import FINISHED as _FINISHED_TRACKER
from zcore.tracker import MessageTracker as MessageTracker

from pyzq.context import Context as Context  # isort: skip
from pyzq.context import SyncContext as SyncContext  # isort: skip
from pyzq.poll import Poller as Poller
from pyzq.poll import select as select
from pyzq.proxy import device as device
from pyzq.proxy import proxy as proxy
from pyzq.proxy import proxy_steerable as proxy_steerable
from pyzq.stopwatch import Stopwatch as Stopwatch
from pyzq.version import __revision__ as __revision__
from pyzq.version import __version__ as __version__
from pyzq.version import pyzmq_version as pyzmq_version
from pyzq.version import pyzmq_version_info as pyzmq_version_info
from pyzq.version import zmq_version as zmq_version
from pyzq.version import zmq_version_info as zmq_version_info

# Kept loaded because programs reach through them without importing them.
from pyzq import backend as backend  # isort: skip
from pyzq import constants as constants  # isort: skip
from pyzq import error as error  # isort: skip
from pyzq import sugar as sugar  # isort: skip
from pyzq import utils as utils  # isort: skip


def install_as_zmq(children: bool = True) -> None:
    """Make `import zmq` mean this package, for programs and libraries that cannot be edited.

    `zmq` and each of its submodules become the module of the same name here, one object under both names, imported when
    asked for. An installed pyzmq is not touched: a `zmq` module that is missing here is an ImportError. To be called
    before `zmq` is imported for the first time; again does no harm. `python -m pyzq.as_zmq` does it for a whole
    program.

    Args:
        children: whether processes that this one starts have the alias too. It reaches them through PYTHONPATH and
            PYZQ_AS_ZMQ in `os.environ`, so not those that are started with another environment or with `python -I`,
            except by multiprocessing. PYZQ_AS_ZMQ=0 in a child's environment switches it off there.

    Raises:
        ImportError: `zmq` was imported already, and is another package.
    """
    from pyzq._alias import install

    install(children)


TYPE_CHECKING = False
if not TYPE_CHECKING:
    __all__ = [
        *constants.__all__,
        "COPY_THRESHOLD",
        "DRAFT_API",
        "IPC_PATH_MAX_LEN",
        "PYZMQ_DRAFT_API",
        "_FINISHED_TRACKER",
        "Context",
        "Frame",
        "Message",
        "MessageTracker",
        "Poller",
        "Socket",
        "Stopwatch",
        "SyncContext",
        "SyncSocket",
        "__revision__",
        "__version__",
        "curve_keypair",
        "curve_public",
        "device",
        *error.__all__,
        "get_includes",
        "get_library_dirs",
        "has",
        "install_as_zmq",
        "proxy",
        "proxy_steerable",
        "pyzmq_version",
        "pyzmq_version_info",
        "select",
        "strerror",
        "zmq_errno",
        "zmq_poll",
        "zmq_version",
        "zmq_version_info",
    ]
