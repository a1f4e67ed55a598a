"""Monitor events: what happens to a socket's connections, told over an inproc PAIR (zmq_socket_monitor(3))."""

from libc.stdint cimport int64_t, uint64_t

from .engine cimport sock


cdef enum:
    EVENT_CONNECTED = 0x1             # value: descriptor
    EVENT_CONNECT_DELAYED = 0x2       # errno
    EVENT_CONNECT_RETRIED = 0x4       # ms until the next try
    EVENT_LISTENING = 0x8             # descriptor
    EVENT_BIND_FAILED = 0x10          # errno
    EVENT_ACCEPTED = 0x20             # descriptor
    EVENT_ACCEPT_FAILED = 0x40        # errno
    EVENT_CLOSED = 0x80               # descriptor
    EVENT_CLOSE_FAILED = 0x100        # errno
    EVENT_DISCONNECTED = 0x200        # descriptor
    EVENT_MONITOR_STOPPED = 0x400
    EVENT_HANDSHAKE_FAILED_NO_DETAIL = 0x800    # errno
    EVENT_HANDSHAKE_SUCCEEDED = 0x1000
    EVENT_HANDSHAKE_FAILED_PROTOCOL = 0x2000    # PROTOCOL_ERROR_*
    EVENT_HANDSHAKE_FAILED_AUTH = 0x4000        # ZAP status

# No lock held. Never blocks: an event that the listener has no room for is dropped, and counted on the monitor socket.
cdef void monitor_emit(sock* s, uint64_t event, int64_t value, const char* endpoint) noexcept nogil
