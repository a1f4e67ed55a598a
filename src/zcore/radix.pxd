"""A radix tree over byte strings: the ground that `subscriptions` stands on.

A node stands for the bytes on the way from the root to it. The first byte of each step is kept in the parent (`keys`),
the others in the node (`label`), so that one byte chooses the child and one comparison checks the rest. Chains without
a choice and without a value are one node, up to MAX_LABEL bytes: a longer label would make splitting and merging cost
more than the few bytes that ask for it. Nothing recurses: nodes know their parent.

A node is one block of memory:  header | children[capacity] | keys[capacity] | label[size].  It is replaced by another
block when its capacity or label changes; who keeps pointers to nodes hears of it through `moved`.

The tree belongs to whoever embeds it, who also guards it. Memory is counted, may be limited, and is all given back when
the last value goes.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp


cdef enum:
    MAX_LABEL = 2048         # bytes

cdef struct rnode:
    rnode* parent            # NULL for the root
    uint64_t value           # the owner's; 0: no key ends here
    uint16_t size            # bytes of the label
    uint16_t kids            # children in use, 0 .. 256
    uint8_t room             # capacity for children is radix_room[room]
    uint8_t key              # the byte in the parent's `keys` that leads here

cdef struct radix:
    rnode* root              # NULL when the tree is empty
    size_t nodes
    size_t bytes_used        # asked of malloc through radix_alloc and not given back; 0 when empty
    size_t limit             # radix_alloc fails above it; 0: no limit
    # Called with `owner` after a node with a value has moved to another address, or NULL.
    void (*moved)(void* owner, rnode* node) noexcept nogil
    void* owner

# Capacities a node may have for children, by `room`.
cdef extern from *:
    """
    static const unsigned short radix_room[] = {0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};
    """
    const uint16_t radix_room[17]

cdef inline rnode** radix_children(const rnode* node) noexcept nogil:
    return <rnode**>(<char*>node + sizeof(rnode))

cdef inline uint8_t* radix_keys(const rnode* node) noexcept nogil:
    return <uint8_t*>node + sizeof(rnode) + radix_room[node.room] * sizeof(void*)

cdef inline uint8_t* radix_label(const rnode* node) noexcept nogil:
    return <uint8_t*>node + sizeof(rnode) + radix_room[node.room] * (sizeof(void*) + 1)

# The child for a byte, or NULL.
cdef inline rnode* radix_child(const rnode* node, uint8_t key) noexcept nogil:
    cdef const uint8_t* keys = radix_keys(node)
    cdef const uint8_t* at
    if node.kids == 1:
        return radix_children(node)[0] if keys[0] == key else NULL
    at = <const uint8_t*>memchr(keys, key, node.kids)
    return radix_children(node)[at - keys] if at != NULL else NULL

# One step towards `data[done[0]:n]`: the next node, with `done` moved behind its label; NULL when no key goes on.
cdef inline rnode* radix_step(const rnode* node, const uint8_t* data, size_t n, size_t* done) noexcept nogil:
    cdef rnode* next
    cdef size_t at = done[0]
    if at >= n:
        return NULL
    next = radix_child(node, data[at])
    at += 1
    if next == NULL or (next.size and (n - at < next.size or memcmp(radix_label(next), data + at, next.size) != 0)):
        return NULL
    done[0] = at + next.size
    return next

# An empty tree; owns nothing yet.
cdef void radix_init(radix* t) noexcept nogil
# Frees every node, not what values may refer to.
cdef void radix_free(radix* t) noexcept nogil

# Counted memory, for the tree and for its owner. NULL when there is none, or above the limit.
cdef void* radix_alloc(radix* t, size_t size) noexcept nogil
cdef void radix_release(radix* t, void* p, size_t size) noexcept nogil
# As realloc, for `size` > 0; on NULL the old block is as it was.
cdef void* radix_resize(radix* t, void* p, size_t old, size_t size) noexcept nogil

# Makes a buffer that belongs to the tree's owner at least `n` bytes long; 0 or -ENOMEM.
cdef int radix_reserve(radix* t, uint8_t** buffer, size_t* size, size_t n) noexcept nogil

# The node of exactly this key, or NULL; its value may be 0.
cdef rnode* radix_find(const radix* t, const uint8_t* key, size_t n) noexcept nogil
# The node of this key, made with value 0 when it is not there: the caller then gives it a value or calls radix_drop.
# NULL without memory; the tree then holds the same keys as before.
cdef rnode* radix_insert(radix* t, const uint8_t* key, size_t n) noexcept nogil
# Takes a node whose value has become 0 out of the tree. Cannot fail.
cdef void radix_drop(radix* t, rnode* node) noexcept nogil

# The length of a node's key, and its bytes written to `out`. Cost: the length.
cdef size_t radix_key_size(const rnode* node) noexcept nogil
cdef void radix_key(const rnode* node, uint8_t* out) noexcept nogil
# The node after this one, parents first; the first for NULL, NULL after the last. The tree must not change meanwhile.
cdef rnode* radix_next(const radix* t, const rnode* node) noexcept nogil
