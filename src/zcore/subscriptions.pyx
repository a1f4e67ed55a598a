"""The counted subscriptions of one socket; those of a publisher's peers are in `fantree`."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset
from zcore.radix cimport (
    radix_drop, radix_find, radix_free, radix_init, radix_insert, radix_key, radix_key_size, radix_next, radix_release,
    radix_reserve, radix_step, rnode,
)

from zcore.fantree import FanoutTree

__all__ = ["FanoutTree", "SubscriptionTree"]


cdef void subtree_init(subtree* t) noexcept nogil:
    memset(t, 0, sizeof(subtree))
    radix_init(&t.tree)


cdef void _subtree_empty(subtree* t) noexcept nogil:
    radix_release(&t.tree, t.scratch, t.scratch_size)
    t.scratch = NULL
    t.scratch_size = 0


cdef void subtree_free(subtree* t) noexcept nogil:
    radix_free(&t.tree)
    _subtree_empty(t)
    t.topics = 0


cdef int subtree_add(subtree* t, const uint8_t* topic, size_t n) noexcept nogil:
    cdef rnode* node = NULL
    if radix_reserve(&t.tree, &t.scratch, &t.scratch_size, n) == 0:
        node = radix_insert(&t.tree, topic, n)
    if node == NULL:
        if t.topics == 0:
            _subtree_empty(t)
        return -ENOMEM
    node.value += 1
    if node.value > 1:
        return 0
    t.topics += 1
    return 1


cdef int subtree_remove(subtree* t, const uint8_t* topic, size_t n) noexcept nogil:
    cdef rnode* node = radix_find(&t.tree, topic, n)
    if node == NULL or node.value == 0:
        return 2
    if node.value > 1:
        node.value -= 1
        return 0
    radix_drop(&t.tree, node)
    t.topics -= 1
    if t.topics == 0:
        _subtree_empty(t)
    return 1


cdef uint64_t subtree_has(const subtree* t, const uint8_t* topic, size_t n) noexcept nogil:
    cdef const rnode* node = radix_find(&t.tree, topic, n)
    return node.value if node != NULL else 0


cdef bint subtree_match_deep(const subtree* t, const uint8_t* data, size_t n) noexcept nogil:
    cdef const rnode* node = t.tree.root
    cdef size_t done = 0
    while node != NULL:
        if node.value:
            return True
        node = radix_step(node, data, n, &done)
    return False


cdef void subtree_walk(const subtree* t, topic_visitor visit, void* arg) noexcept nogil:
    cdef const rnode* node = radix_next(&t.tree, NULL)
    while node != NULL:
        if node.value:
            radix_key(node, t.scratch)
            visit(t.scratch, radix_key_size(node), arg)
        node = radix_next(&t.tree, node)


# ---- Python face -----------------------------------------------------------------------------------------------------

cdef void _append(const uint8_t* topic, size_t n, void* arg) noexcept with gil:
    (<list>arg).append(PyBytes_FromStringAndSize(<const char*>topic, n))


cdef class SubscriptionTree:
    """The counted subscriptions of one subscriber.

    `limit` bytes of memory at most (0: no limit); `add` raises MemoryError above it and changes nothing.
    """

    def __cinit__(self, size_t limit=0):
        subtree_init(&self.t)
        self.t.tree.limit = limit

    def __dealloc__(self):
        subtree_free(&self.t)

    def __len__(self):
        return self.t.topics

    def add(self, bytes topic not None):
        """1 for a new topic, 0 for one that is counted once more. Raises MemoryError."""
        cdef int rc = subtree_add(&self.t, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))
        if rc < 0:
            raise MemoryError
        return rc

    def remove(self, bytes topic not None):
        """1 when that was the last of the topic, 0 when it is still subscribed, 2 when it was not."""
        return subtree_remove(&self.t, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))

    def match(self, bytes data not None):
        """Whether any beginning of `data` is subscribed."""
        return bool(subtree_match(&self.t, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)))

    def count(self, bytes topic not None):
        """How many times exactly this topic is subscribed."""
        return subtree_has(&self.t, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))

    def topics(self):
        """The topics, in no particular order."""
        found = []
        subtree_walk(&self.t, <topic_visitor>_append, <void*>found)
        return found

    @property
    def nodes(self):
        """Nodes of the tree."""
        return self.t.tree.nodes

    @property
    def bytes_used(self):
        """Bytes of memory held; 0 when there is no subscription."""
        return self.t.tree.bytes_used

    @property
    def limit(self):
        """Bytes of memory that may be held; 0 is no limit."""
        return self.t.tree.limit

    @limit.setter
    def limit(self, size_t value):
        self.t.tree.limit = value
