"""Sockets for gevent: calls that wait let other greenlets run.

    import pyzq.green as zmq

Everything else is what `pyzq` has under the same name. RCVTIMEO and SNDTIMEO have no effect here: use
`gevent.Timeout` or `poll`.
"""

from __future__ import annotations

from pyzq.green.core import _Context, _Socket
from pyzq.green.device import device as device
from pyzq.green.poll import _Poller
from pyzq.green.poll import select as select
from pyzq.green.poll import zmq_poll as zmq_poll

Context = _Context
SyncContext = _Context
Socket = _Socket
SyncSocket = _Socket
Poller = _Poller

TYPE_CHECKING = False
if TYPE_CHECKING:
    # All that has no form of its own here: what is imported twice has, to a type checker, the type it had first.
    from pyzq.constants import *  # noqa: F403
    from pyzq.error import *  # noqa: F403
    from pyzq.features import *  # noqa: F403
    from pyzq.frame import *  # noqa: F403
    from pyzq.proxy import proxy as proxy
    from pyzq.proxy import proxy_steerable as proxy_steerable
    from pyzq.stopwatch import *  # noqa: F403
    from pyzq.version import *  # noqa: F403
    from pyzq.version import __revision__ as __revision__
    from pyzq.version import __version__ as __version__
    from zcore.errors import strerror as strerror
    from zcore.errors import zmq_errno as zmq_errno
    from zcore.tracker import FINISHED as _FINISHED_TRACKER  # noqa: F401
    from zcore.tracker import MessageTracker as MessageTracker

    from pyzq import install_as_zmq as install_as_zmq  # isort: skip
else:
    import pyzq as _zmq

    __all__ = list(_zmq.__all__)
    for _name in __all__:
        globals().setdefault(_name, getattr(_zmq, _name))
    del _name
