# cython: boundscheck=False, wraparound=False, freethreading_compatible=True
"""What libsodium alone needs to seal a message and to open it again, called as the engine calls it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memset

from zcore.platform cimport zq_now_ns
from zcore.sodium cimport SODIUM_KEY, SODIUM_MAC, SODIUM_NONCE, sodium, sodium_calls


def boxes(bytes body, int64_t ns):
    """Seal and open again and again for so long: (how many, in how many ns, whether all came out as they went in)."""
    cdef const sodium_calls* na = sodium()
    cdef uint8_t[SODIUM_KEY] key
    cdef uint8_t[SODIUM_NONCE] nonce
    cdef size_t n = PyBytes_GET_SIZE(body)
    cdef const uint8_t* plain = <const uint8_t*>PyBytes_AS_STRING(body)
    cdef bytes box = PyBytes_FromStringAndSize(NULL, n + SODIUM_MAC)
    cdef bytes back = PyBytes_FromStringAndSize(NULL, n)
    cdef uint8_t* sealed = <uint8_t*>PyBytes_AS_STRING(box)
    cdef uint8_t* opened = <uint8_t*>PyBytes_AS_STRING(back)
    cdef uint64_t count = 0
    cdef int64_t began
    cdef int64_t now
    cdef int wrong = 0
    na.random(key, SODIUM_KEY)
    memset(nonce, 0, SODIUM_NONCE)
    with nogil:
        began = now = zq_now_ns()
        while now - began < ns:
            for _ in range(16):
                nonce[count & 7] += 1
                wrong |= na.seal(sealed, plain, n, nonce, key)
                wrong |= na.open(opened, sealed, n + SODIUM_MAC, nonce, key)
                count += 1
            now = zq_now_ns()
    return count, now - began, wrong == 0 and back == body
