"""Events into messages; see monitor.pxd."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, strlen

from .engine cimport sock
from .message cimport MSG_MORE, zmsg, zmsg_copy_bytes, zmsg_init, zmsg_release, zmsg_set_inline
from .patterns cimport route_send
from .platform cimport zq_lock, zq_unlock
from .traffic cimport sock_ref, sock_unref, traffic_inbox, traffic_settle, wakes, wakes_run


cdef void monitor_emit(sock* s, uint64_t event, int64_t value, const char* endpoint) noexcept nogil:
    cdef sock* m
    cdef zmsg[2] parts
    cdef uint8_t[6] head
    cdef uint16_t event16 = <uint16_t>event
    cdef uint32_t value32 = <uint32_t>value
    cdef wakes w
    w.n = 0
    zq_lock(&s.lock)
    m = s.monitor
    if m == NULL or not s.monitor_events & event:
        zq_unlock(&s.lock)
        return
    sock_ref(m)
    zq_unlock(&s.lock)
    memcpy(head, &event16, 2)
    memcpy(head + 2, &value32, 4)
    zmsg_init(&parts[0])
    zmsg_init(&parts[1])
    zmsg_set_inline(&parts[0], head, 6)
    parts[0].flags = MSG_MORE
    if zmsg_copy_bytes(&parts[1], <const uint8_t*>endpoint, strlen(endpoint)) == 0:
        zq_lock(&m.lock)
        traffic_inbox(m)
        if not m.closed and route_send(&m.r, parts, 2, False) < 0:
            m.r.dropped[0] += 1
        traffic_settle(m, &w)
        zq_unlock(&m.lock)
        wakes_run(&w)
    zmsg_release(&parts[0])
    zmsg_release(&parts[1])
    sock_unref(m)
