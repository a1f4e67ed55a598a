"""libsodium, through PyNaCl: its functions as pointers that are called without the GIL.

Nothing here is cryptography of our own.  The functions are NaCl's: Curve25519, XSalsa20, Poly1305.  They are found
once, by `zcore.sodium.load` in a thread with the GIL; until then `sodium()` is NULL.
"""

from libc.stdint cimport uint8_t


cdef enum:
    SODIUM_KEY = 32             # bytes of every key: public, secret, shared
    SODIUM_NONCE = 24
    SODIUM_MAC = 16             # bytes a box is longer than what is in it

ctypedef int (*derive_call)(uint8_t* k, const uint8_t* pk, const uint8_t* sk) noexcept nogil
ctypedef int (*box_call)(uint8_t* dst, const uint8_t* src, unsigned long long n, const uint8_t* nonce, const uint8_t* k) noexcept nogil
ctypedef int (*pair_call)(uint8_t* pk, uint8_t* sk) noexcept nogil
ctypedef int (*public_call)(uint8_t* pk, const uint8_t* sk) noexcept nogil
ctypedef void (*random_call)(uint8_t* buf, unsigned long long n) noexcept nogil
ctypedef void (*wipe_call)(void* p, size_t n) noexcept nogil
ctypedef int (*equal_call)(const void* a, const void* b, size_t n) noexcept nogil

# Functions return 0, or -1 (a box that is none, a public key that is none).  `n` counts the bytes of `src`; a box has
# SODIUM_MAC bytes more than what is in it, and may overlap with it.
cdef struct sodium_calls:
    derive_call beforenm        # the shared key of a public key and a secret one
    box_call seal               # with a shared key
    box_call open
    box_call secret_seal        # with a key of one side alone
    box_call secret_open
    pair_call keypair
    public_call public_of       # the public key that belongs to a secret one
    random_call random
    wipe_call wipe
    equal_call equal            # 0 when equal, in constant time


cdef const sodium_calls* sodium() noexcept nogil
