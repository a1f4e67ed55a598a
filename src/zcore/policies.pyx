"""What a program asks to happen at the high-water mark: which policies go with which type, and their coming into force."""

from libc.errno cimport EINVAL
from libc.stdint cimport int64_t

from .border cimport fail
from .engine cimport ept, sock
from .limits cimport (KEY_FIRST_FRAME, KEY_NONE, KEY_PREFIX, LIMIT_OF_OPTION, POLICY_BLOCK, POLICY_DISCONNECT,
                      POLICY_DROP_NEWEST, POLICY_DROP_OLDEST, POLICY_KEEP_LAST, POLICY_TYPE, limits)
from .patience cimport sock_settle
from .patterns cimport EAGER, RAW, RECV_NONE, SEND_GROUP, SEND_NONE, WRAP_GROUP, WRAP_REP, WRAP_REQ
from .platform cimport zq_unlock
from .socket_base cimport SocketBase

_KINDS = {"default": POLICY_TYPE, "block": POLICY_BLOCK, "drop_newest": POLICY_DROP_NEWEST,
          "drop_oldest": POLICY_DROP_OLDEST, "keep_last": POLICY_KEEP_LAST, "disconnect": POLICY_DISCONNECT}


cdef bint _is_inproc(sock* s) noexcept:
    """[lock]"""
    cdef ept* e = s.epts
    while e != NULL and e.stream:
        e = e.next
    return e != NULL


cdef str _objection(sock* s, str kind, bint sending, bint timed):
    """[lock] Why the policy does not go with the socket; "" when it does."""
    cdef bint drops = kind in ("drop_oldest", "keep_last", "drop_newest")
    if kind == "default":
        return ""
    if s.opt.conflate:
        return "the socket has CONFLATE, which keeps the last message only; set CONFLATE to 0 first"
    if sending and s.row.send == SEND_NONE:
        return "this type of socket does not send"
    if not sending:
        if s.row.recv == RECV_NONE:
            return "this type of socket does not receive"
        if s.row.traits & EAGER:
            return "what publishers receive are subscriptions, which cannot be dropped"
        if kind == "disconnect":
            return "Disconnect is for peers that are slow to receive: for sending only"
        if timed:
            return "a receiver at its limit stops reading and no call waits: a timeout is for sending only"
    elif kind == "disconnect" and _is_inproc(s):
        return "inproc endpoints have no connection to close"
    if s.row.wrap in (WRAP_REQ, WRAP_REP) and kind in ("drop_oldest", "keep_last"):
        return "requests and replies are neither replaced nor reordered: use Block, DropNewest or Disconnect"
    if s.row.traits & RAW and drops:
        return "a STREAM is bytes, of which none can be left out"
    return ""


def set_policy(SocketBase socket, str direction, dict spec):
    """See `pyzq.Socket.set_hwm_policy`.  For peers that come from now on, and those that are there."""
    cdef sock* s
    cdef limits lim
    cdef bint sending = direction == "send"
    kind = spec["kind"]
    lim.policy = _KINDS[kind]
    messages = spec.get("messages")
    lim.messages = LIMIT_OF_OPTION if messages is None else messages
    lim.bytes = spec.get("bytes") or 0
    lim.after_ns = <int64_t>(spec.get("after") or 0) * 1000000
    cdef int timeout = spec.get("timeout", -1)
    key = spec.get("key")
    lim.key_len = 0
    lim.key = KEY_NONE
    if key == "first_frame":
        lim.key = KEY_FIRST_FRAME
    elif key is not None:
        lim.key = KEY_PREFIX
        lim.key_len = key
    socket._enter()
    s = socket.s
    lim.key_at = s.row.send == SEND_GROUP or s.row.wrap == WRAP_GROUP
    why = _objection(s, kind, sending, kind == "block" and timeout >= 0)
    if why:
        zq_unlock(&s.lock)
        fail(-EINVAL, f"{kind} for {direction}: {why}")
    if sending:
        s.r.nodrop = kind == "block"
        s.send_limits = lim
        s.send_limits_set = kind != "default"
        s.policy_timeout_ms = timeout if kind == "block" and timeout >= 0 else -2
    else:
        s.recv_limits = lim
        s.recv_limits_set = kind != "default"
    socket._new_marks()
    sock_settle(s)
