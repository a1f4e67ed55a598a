"""Asking an authoriser (ZAP, RFC 27): the engine's side of `inproc://zeromq.zap.01`.

Each handshake that waits for a verdict is a peer of its own at the socket that is bound there, so that any number of
them wait at once, and each reply finds its way back by itself.  No Python is called.

These functions run on the reactor's thread of the socket whose handshake it is, without a lock.
"""

from libc.stdint cimport uint8_t

from .engine cimport session


cdef enum:
    ZAP_ASKED = 0             # an answer will come: DUE_ZAP
    ZAP_NOBODY = 1            # no socket of this context is bound there
    ZAP_UNFIT = 2             # one is, of a type that cannot answer requests: it is no REP, ROUTER or SERVER

cdef enum:
    # the monitor event's value when an answer is none
    PROTOCOL_ERROR_ZAP_MALFORMED_REPLY = 0x20000001
    PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID = 0x20000002
    PROTOCOL_ERROR_ZAP_BAD_VERSION = 0x20000003
    PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE = 0x20000004
    PROTOCOL_ERROR_ZAP_INVALID_METADATA = 0x20000005

cdef int zap_ask(session* n) noexcept nogil
# About the peer whose handshake is in HS_WAIT_AUTHORISATION: ZAP_*, or -ENOMEM.
cdef int zap_answer(session* n, int* code) noexcept nogil
# 200, 300, 400 or 500 (with 200 the peer's properties are in n.said); 0: none yet; -EPROTO with `code` PROTOCOL_ERROR_ZAP_*;
# -EPIPE: whoever was asked is gone; -ENOMEM.
cdef void zap_forget(session* n) noexcept nogil
# Nothing more is to be heard: lets go of the way to the authoriser.  May be called when nobody was asked.
