"""What a subscriber subscribes to, each topic with a count; what a publisher's peers subscribe to is in `fantree`.

A topic is a prefix: a message is wanted when any of its beginnings is subscribed; the empty topic is a beginning of
everything. A radix tree (`radix`), touched only under the lock of the socket it belongs to. Nothing here recurses,
blocks or touches Python. -ENOMEM means no memory, or more than `tree.limit` bytes; the subscriptions are then as they
were. What removes cannot fail. The names of `fantree` may be cimported from here.

Memory for n topics of b bytes in all, at most and in either tree: about 2 b + 50 n; all of it comes back.
"""

from libc.stdint cimport uint8_t, uint64_t
from zcore.fantree cimport (
    FAN_LAST_OF_TOPIC, FAN_NEW_FOR_PEER, FAN_NEW_TOPIC, FAN_REMOVED, FAN_SLOT_MAX, count_visitor, fantree, fantree_add,
    fantree_free, fantree_has, fantree_init, fantree_mark, fantree_marked, fantree_match, fantree_match_exact,
    fantree_remove, fantree_remove_slot, fantree_slot_count, fantree_slot_topics, fantree_subscribers, fantree_topics,
    fantree_walk, topic_visitor,
)
from zcore.radix cimport radix


cdef struct subtree:
    radix tree               # value of a node: how many times the topic is subscribed
    size_t topics            # different ones
    uint8_t* scratch         # as long as the longest topic since the tree was empty: walking needs no memory
    size_t scratch_size

cdef void subtree_init(subtree* t) noexcept nogil
cdef void subtree_free(subtree* t) noexcept nogil
# 1: a new topic; 0: subscribed before, counted; -ENOMEM.
cdef int subtree_add(subtree* t, const uint8_t* topic, size_t n) noexcept nogil
# 1: that was the last of the topic; 0: still subscribed; 2: no such subscription.
cdef int subtree_remove(subtree* t, const uint8_t* topic, size_t n) noexcept nogil
# How many times exactly this topic is subscribed.
cdef uint64_t subtree_has(const subtree* t, const uint8_t* topic, size_t n) noexcept nogil
# Calls for each topic once, in no particular order.
cdef void subtree_walk(const subtree* t, topic_visitor visit, void* arg) noexcept nogil

cdef inline size_t subtree_count(const subtree* t) noexcept nogil:
    return t.topics

cdef bint subtree_match_deep(const subtree* t, const uint8_t* data, size_t n) noexcept nogil

# Whether a message that begins with `data` is wanted.
cdef inline bint subtree_match(const subtree* t, const uint8_t* data, size_t n) noexcept nogil:
    if t.tree.root == NULL:
        return False
    return t.tree.root.value != 0 or subtree_match_deep(t, data, n)

# For tests and tools.
cdef class SubscriptionTree:
    cdef subtree t
