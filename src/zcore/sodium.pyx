"""Finding libsodium's functions; see sodium.pxd."""

from libc.stdint cimport uintptr_t

from .platform cimport zq_loadp, zq_storep

from zcore.errors import make_error

import errno

cdef sodium_calls _calls
cdef void* _ready = NULL


cdef const sodium_calls* sodium() noexcept nogil:
    return <const sodium_calls*>zq_loadp(&_ready)


def load():
    """Find the functions, once; `nacl` is imported here and nowhere else in the engine.

    Raises:
        ZMQError: ENOTSUP, PyNaCl is not installed, or one without the functions.
    """
    if zq_loadp(&_ready) != NULL:
        return
    try:
        from nacl._sodium import ffi, lib
    except ImportError as why:
        raise make_error(errno.ENOTSUP, "CURVE needs PyNaCl: pip install PyNaCl") from why

    # Chooses the fastest code for this CPU; PyNaCl's own modules would do it, but they are not needed here.
    if lib.sodium_init() < 0:
        raise make_error(errno.ENOTSUP, "libsodium cannot be initialised on this machine")

    def address(name):
        return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))

    try:
        _calls.beforenm = <derive_call><uintptr_t>address("crypto_box_beforenm")
        _calls.seal = <box_call><uintptr_t>address("crypto_box_easy_afternm")
        _calls.open = <box_call><uintptr_t>address("crypto_box_open_easy_afternm")
        _calls.secret_seal = <box_call><uintptr_t>address("crypto_secretbox_easy")
        _calls.secret_open = <box_call><uintptr_t>address("crypto_secretbox_open_easy")
        _calls.keypair = <pair_call><uintptr_t>address("crypto_box_keypair")
        _calls.public_of = <public_call><uintptr_t>address("crypto_scalarmult_base")
        _calls.random = <random_call><uintptr_t>address("randombytes")
        _calls.wipe = <wipe_call><uintptr_t>address("sodium_memzero")
        _calls.equal = <equal_call><uintptr_t>address("sodium_memcmp")
    except AttributeError as why:
        raise make_error(errno.ENOTSUP, "this PyNaCl is built without what CURVE needs: pip install -U PyNaCl") from why
    zq_storep(&_ready, &_calls)
