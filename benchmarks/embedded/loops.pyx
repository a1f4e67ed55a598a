# cython: boundscheck=False, wraparound=False, freethreading_compatible=True
"""The measured loops for programs that embed the engine: what the scenarios do in Python, without Python.

A call sends or receives a chunk, or makes all round trips; nothing in it is Python but its beginning and its end.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memset

from zcore.direct cimport (direct_clear, direct_close, direct_message, direct_open, direct_recv, direct_send,
                           direct_send_parts)
from zcore.engine cimport sock
from zcore.message cimport zmsg, zmsg_data, zmsg_size
from zcore.platform cimport zq_now_ns

from array import array

from zcore.errors import raise_errno


cdef class End:
    """The engine's half of a socket."""

    cdef object socket
    cdef sock* s
    cdef direct_message got

    def __init__(self, socket):
        self.socket = socket
        memset(&self.got, 0, sizeof(self.got))
        self.s = direct_open(socket)

    def __dealloc__(self):
        direct_clear(&self.got)
        if self.s != NULL:
            direct_close(self.s)

    def send_chunk(self, bytes body, bytes mark, uint64_t count):
        """Send `count` messages: the last is the mark, the others the body."""
        cdef const char* data = PyBytes_AS_STRING(body)
        cdef const char* last = PyBytes_AS_STRING(mark)
        cdef size_t size = PyBytes_GET_SIZE(body)
        cdef size_t last_size = PyBytes_GET_SIZE(mark)
        cdef uint64_t _k
        cdef int rc = 0
        with nogil:
            for _k in range(count - 1):
                rc = direct_send(self.s, data, size, -1)
                if rc < 0:
                    break
            else:
                rc = direct_send(self.s, last, last_size, -1)
        if rc < 0:
            raise_errno(-rc)

    def recv_chunk(self, uint64_t count):
        """Receive `count` messages; the last two."""
        cdef uint64_t _k
        cdef int rc = 0
        cdef bytes before = b""
        with nogil:
            for _k in range(count - 1):
                rc = direct_recv(self.s, &self.got, -1)
                if rc < 0:
                    break
        if rc == 0:
            if count > 1:
                before = self._bytes()
            with nogil:
                rc = direct_recv(self.s, &self.got, -1)
        if rc < 0:
            raise_errno(-rc)
        return before, self._bytes()

    cdef bytes _bytes(self):
        cdef zmsg* part = &self.got.parts[self.got.n - 1]
        return PyBytes_FromStringAndSize(<const char*>zmsg_data(part), zmsg_size(part))

    def ask(self, list requests, int64_t warm_ns, int64_t run_ns):
        """Round trips, one at a time, with the requests in turn: an array of ns, and how many replies differed.

        The first `warm_ns` are not in the array.
        """
        cdef int64_t* times = NULL
        cdef int64_t* bigger
        cdef size_t cap = 0
        cdef size_t n = 0
        cdef const char* data[16]
        cdef size_t size[16]
        cdef size_t kinds = len(requests)
        cdef uint64_t number = 0
        cdef uint64_t wrong = 0
        cdef int64_t began, done, warm, until
        cdef zmsg* reply
        cdef size_t k
        cdef int rc = 0
        if not 0 < kinds <= 16:
            raise ValueError("from one to 16 requests")
        for k in range(kinds):
            data[k] = PyBytes_AS_STRING(<bytes?>requests[k])
            size[k] = PyBytes_GET_SIZE(requests[k])
        try:
            with nogil:
                done = zq_now_ns()
                warm = done + warm_ns
                until = warm + run_ns
                while done < until:
                    k = number % kinds
                    began = zq_now_ns()
                    rc = direct_send(self.s, data[k], size[k], -1)
                    if rc == 0:
                        rc = direct_recv(self.s, &self.got, -1)
                    if rc < 0:
                        break
                    done = zq_now_ns()
                    if done >= warm:
                        if n == cap:
                            bigger = <int64_t*>realloc(times, (cap * 2 + 4096) * sizeof(int64_t))
                            if bigger == NULL:
                                rc = -12
                                break
                            times = bigger
                            cap = cap * 2 + 4096
                        times[n] = done - began
                        n += 1
                    reply = &self.got.parts[0]
                    if self.got.n != 1 or zmsg_size(reply) != size[k] or memcmp(zmsg_data(reply), data[k], size[k]) != 0:
                        wrong += 1
                    number += 1
            if rc < 0:
                raise_errno(-rc)
            result = array("q")
            result.frombytes(PyBytes_FromStringAndSize(<const char*>times, n * sizeof(int64_t)))
            return result, wrong
        finally:
            free(times)

    def answer(self, bytes stop):
        """Send back what comes, up to and including the stop message."""
        cdef const char* last = PyBytes_AS_STRING(stop)
        cdef size_t size = PyBytes_GET_SIZE(stop)
        cdef bint stopped = False
        cdef zmsg* part
        cdef int rc = 0
        with nogil:
            while not stopped:
                rc = direct_recv(self.s, &self.got, -1)
                if rc < 0:
                    break
                part = &self.got.parts[self.got.n - 1]
                stopped = zmsg_size(part) == size and memcmp(zmsg_data(part), last, size) == 0
                rc = direct_send_parts(self.s, self.got.parts, self.got.n, -1)
                if rc < 0:
                    break
        if rc < 0:
            raise_errno(-rc)
