"""Sockets for gevent: calls that wait let other greenlets run.

    import pyzq.green as zmq

Everything else is what `pyzq` has under the same name. RCVTIMEO and SNDTIMEO have no effect here: use
`gevent.Timeout` or `poll`.
"""

from __future__ import annotations

import pyzq as _zmq
from pyzq import *  # noqa: F403
from pyzq.green.core import _Context, _Socket
from pyzq.green.device import device as device  # type: ignore[assignment]
from pyzq.green.poll import _Poller
from pyzq.green.poll import select as select
from pyzq.green.poll import zmq_poll as zmq_poll

Context = SyncContext = _Context  # type: ignore[misc,assignment]
Socket = SyncSocket = _Socket  # type: ignore[misc,assignment]
Poller = _Poller  # type: ignore[misc]

TYPE_CHECKING = False
if not TYPE_CHECKING:
    __all__ = list(_zmq.__all__)
    for _name in ("_FINISHED_TRACKER", "__version__", "__revision__"):
        globals()[_name] = getattr(_zmq, _name)
    del _name
