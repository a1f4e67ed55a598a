"""Values an option can own: bytes, lists of integers, lists of networks, keys, handshake properties.

Plain memory without locks: whoever owns the value guards it. Every function that can fail returns 0, -EINVAL or -ENOMEM
and changes nothing when it fails. A zeroed struct is an empty value.
"""

from libc.stdint cimport int64_t, uint8_t


cdef extern from "<sys/socket.h>" nogil:
    cdef struct sockaddr:
        pass

# Owned bytes. `data` is NULL when `size` is 0.
cdef struct obytes:
    uint8_t* data
    size_t size

# An owned list of integers that grows as needed.
cdef struct oints:
    int64_t* items
    size_t count
    size_t capacity

# One network of TCP_ACCEPT_FILTER: the first `bits` bits of `address` must agree.
cdef struct ip_filter:
    uint8_t address[16]      # network order; IPv4 uses the first 4
    uint8_t length           # bytes of `address` in use: 4 or 16
    uint8_t bits             # 0 .. length * 8

cdef struct ip_filters:
    ip_filter* items
    size_t count
    size_t capacity

cdef enum:
    CURVE_KEY_SIZE = 32
    CURVE_KEY_TEXT = 40      # in Z85

# Replaces the contents by a copy; 0 or -ENOMEM. What was there is wiped: it may have been a secret.
cdef int obytes_set(obytes* b, const void* data, size_t size) noexcept nogil
cdef void obytes_free(obytes* b) noexcept nogil
# Moves the contents of `src`, which is empty afterwards, into `dst`, whose own contents are freed.
cdef void obytes_move(obytes* dst, obytes* src) noexcept nogil

# Adds a value unless it is there; 0 or -ENOMEM.
cdef int oints_add(oints* list, int64_t value) noexcept nogil
# -EINVAL when it is not there.
cdef int oints_remove(oints* list, int64_t value) noexcept nogil
cdef bint oints_have(const oints* list, int64_t value) noexcept nogil
cdef int oints_copy(oints* dst, const oints* src) noexcept nogil
cdef void oints_free(oints* list) noexcept nogil

# Adds "address" or "address/bits", at most 255 bytes of text: numbers only, IPv6 with or without brackets.
cdef int ip_filters_add(ip_filters* list, const uint8_t* text, size_t size) noexcept nogil
cdef int ip_filters_copy(ip_filters* dst, const ip_filters* src) noexcept nogil
cdef void ip_filters_free(ip_filters* list) noexcept nogil
# Whether one of the networks holds the address. An IPv4 address in IPv6 form counts as IPv4.
cdef bint ip_filters_match(const ip_filters* list, const sockaddr* address) noexcept nogil

# Stores a key given as 32 raw bytes, or as 40 Z85 characters with or without a trailing NUL.
cdef int curve_key_set(obytes* field, const uint8_t* value, size_t size) noexcept nogil
# 40 characters -> 32 bytes; -EINVAL on a character outside the alphabet or a group above 2^32 - 1.
cdef int curve_key_decode(const uint8_t* text, uint8_t* key) noexcept nogil
# 32 bytes -> 40 characters, without a NUL.
cdef void curve_key_encode(const uint8_t* key, uint8_t* text) noexcept nogil

# Takes "X-name:value" and adds, or replaces, the property in its handshake form.
cdef int property_set(obytes* field, const uint8_t* value, size_t size) noexcept nogil

# Clears memory so that the compiler cannot leave it out.
cdef void wipe(void* p, size_t n) noexcept nogil
