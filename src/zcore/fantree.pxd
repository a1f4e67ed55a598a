"""Which peer of a publisher wants which topics.

A topic is a prefix: a message goes to every peer that subscribes to any of its beginnings; the empty topic is a
beginning of everything.

Peers are small numbers, slots, that the owner gives out and may give again. A peer either subscribes to a topic or it
does not: a second subscription is a duplicate, and one cancellation ends it (so a peer that counts, as SUB does,
cancels only once).

A topic with one subscriber keeps it in the node's value; one with more has a `fanset`. Each slot lists where its
subscriptions are, and each subscription knows its place in that list: both ways in one step. The struct must stay
where it was initialised.

Touched only under the lock of the socket it belongs to. Nothing here recurses, blocks or touches Python. -ENOMEM means
no memory, or more than `tree.limit` bytes; the subscriptions are then as they were. What removes cannot fail. All
memory comes back when the last subscription goes.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from zcore.radix cimport radix, rnode


# What a walk calls for each topic; the topic is valid during the call, and the tree must not be changed by it.
ctypedef void (*topic_visitor)(const uint8_t* topic, size_t n, void* arg) noexcept nogil
# The same with the number of subscribers.
ctypedef void (*count_visitor)(const uint8_t* topic, size_t n, size_t subscribers, void* arg) noexcept nogil

cdef enum:
    FAN_SLOT_MAX = 0xffffff

cdef struct fanmember:
    uint32_t slot
    uint32_t place           # index in fanslot.items

# The subscribers of one topic when there are two or more, by slot.
cdef struct fanset:
    rnode* node
    uint32_t count
    uint32_t capacity
    fanmember* members

# What one slot subscribes to: each item is a rnode* (the only subscriber) or a fanset* with bit 0 set.
cdef struct fanslot:
    uint64_t* items
    uint32_t count
    uint32_t capacity

cdef struct fantree:
    radix tree               # value of a node: slot << 33 | place << 1 | 1, or a fanset*
    size_t topics            # different ones
    size_t subscriptions     # pairs of topic and slot
    fanslot* slots           # NULL while there is no subscription
    uint32_t slot_count      # entries of `slots`, `mark` and `out`
    uint32_t generation      # of the last marking match
    uint32_t* mark           # slot -> generation in which it was marked
    uint32_t* out            # slots matched
    uint8_t* scratch         # as long as the longest topic since the tree was empty: naming topics needs no memory
    size_t scratch_size

# Bits of fantree_add; 0 is a duplicate.
cdef enum:
    FAN_NEW_TOPIC = 1        # nobody had subscribed to it
    FAN_NEW_FOR_PEER = 2

# Bits of fantree_remove; 0: there is no such subscription.
cdef enum:
    FAN_LAST_OF_TOPIC = 1    # nobody subscribes to it any more
    FAN_REMOVED = 2

cdef void fantree_init(fantree* t) noexcept nogil
cdef void fantree_free(fantree* t) noexcept nogil
# FAN_* bits, -ENOMEM, or -EINVAL for a slot above FAN_SLOT_MAX.
cdef int fantree_add(fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil
cdef int fantree_remove(fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil
# Ends all subscriptions of a slot; calls (when not NULL) for each topic that nobody subscribes to any more, after it is
# gone. Returns how many there were. Cost: the topics of that slot, not of the tree.
cdef size_t fantree_remove_slot(fantree* t, uint32_t slot, topic_visitor visit, void* arg) noexcept nogil

# The slots that want a message that begins with `data`, each once, in `t.out`, valid until the next match or change.
cdef size_t fantree_match(fantree* t, const uint8_t* data, size_t n) noexcept nogil
# The same, and fantree_marked tells the slots apart: what inverted matching needs.
cdef size_t fantree_mark(fantree* t, const uint8_t* data, size_t n) noexcept nogil
# The slots that subscribe to exactly this topic (groups of RADIO), in `t.out`.
cdef size_t fantree_match_exact(fantree* t, const uint8_t* topic, size_t n) noexcept nogil

# Whether the last fantree_mark marked this slot.
cdef inline bint fantree_marked(const fantree* t, uint32_t slot) noexcept nogil:
    return slot < t.slot_count and t.mark[slot] == t.generation

# Different topics (TOPICS_COUNT).
cdef inline size_t fantree_topics(const fantree* t) noexcept nogil:
    return t.topics

cdef inline size_t fantree_slot_count(const fantree* t, uint32_t slot) noexcept nogil:
    return t.slots[slot].count if slot < t.slot_count else 0

cdef bint fantree_has(const fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil
# How many subscribe to exactly this topic.
cdef size_t fantree_subscribers(const fantree* t, const uint8_t* topic, size_t n) noexcept nogil
# Calls for each topic of a slot.
cdef void fantree_slot_topics(fantree* t, uint32_t slot, topic_visitor visit, void* arg) noexcept nogil
# Calls for each topic with the number of its subscribers.
cdef void fantree_walk(fantree* t, count_visitor visit, void* arg) noexcept nogil

# For tests and tools.
cdef class FanoutTree:
    cdef fantree t
    cdef list _found(self, size_t count)
