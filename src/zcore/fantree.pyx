"""The subscriptions of a publisher's peers: see the .pxd for what they mean and how they are laid out."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EINVAL, ENOMEM
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memmove, memset
from zcore.radix cimport (
    radix_alloc, radix_drop, radix_find, radix_free, radix_init, radix_insert, radix_key, radix_key_size, radix_next,
    radix_release, radix_reserve, radix_resize, radix_step,
)


# ---- the values of nodes and the items of slots ----------------------------------------------------------------------

cdef inline uint64_t _single(uint32_t slot, uint32_t place) noexcept nogil:
    return <uint64_t>slot << 33 | <uint64_t>place << 1 | 1


cdef inline bint _is_single(uint64_t value) noexcept nogil:
    return value & 1


cdef inline uint32_t _slot_of(uint64_t value) noexcept nogil:
    return <uint32_t>(value >> 33)


cdef inline uint32_t _place_of(uint64_t value) noexcept nogil:
    return <uint32_t>(value >> 1)


cdef inline fanset* _set_of(uint64_t value) noexcept nogil:
    return <fanset*><uintptr_t>value


cdef inline rnode* _node_of(uint64_t item) noexcept nogil:
    if item & 1:
        return (<fanset*><uintptr_t>(item - 1)).node
    return <rnode*><uintptr_t>item


# The tree has put a node elsewhere.
cdef void _moved(void* owner, rnode* node) noexcept nogil:
    cdef fantree* t = <fantree*>owner
    if _is_single(node.value):
        t.slots[_slot_of(node.value)].items[_place_of(node.value)] = <uintptr_t>node
    else:
        _set_of(node.value).node = node


# The first member whose slot is not below `slot`.
cdef inline uint32_t _position(const fanset* s, uint32_t slot) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = s.count
    cdef uint32_t middle
    if high and s.members[high - 1].slot < slot:
        return high                     # slots given out in order are the common case
    while low < high:
        middle = (low + high) // 2
        if s.members[middle].slot < slot:
            low = middle + 1
        else:
            high = middle
    return low


# The subscription behind an item of `slot` has moved to `place` in the slot's list.
cdef void _replaced(fantree* t, uint32_t slot, uint32_t place) noexcept nogil:
    cdef uint64_t item = t.slots[slot].items[place]
    cdef fanset* s
    if item & 1:
        s = <fanset*><uintptr_t>(item - 1)
        s.members[_position(s, slot)].place = place
    else:
        (<rnode*><uintptr_t>item).value = _single(slot, place)


# Takes the item at `place` out of a slot's list: the last one takes its place.
cdef void _forget(fantree* t, uint32_t slot, uint32_t place) noexcept nogil:
    cdef fanslot* f = &t.slots[slot]
    cdef uint64_t* items
    cdef uint32_t capacity
    f.count -= 1
    if place != f.count:
        f.items[place] = f.items[f.count]
        _replaced(t, slot, place)
    if f.count == 0:
        radix_release(&t.tree, f.items, f.capacity * sizeof(uint64_t))
        f.items = NULL
        f.capacity = 0
    elif f.capacity >= 8 and f.count <= f.capacity // 4:
        capacity = f.capacity // 2
        items = <uint64_t*>radix_resize(&t.tree, f.items, f.capacity * sizeof(uint64_t), capacity * sizeof(uint64_t))
        if items != NULL:
            f.items = items
            f.capacity = capacity


# ---- memory made ready ahead of a change -----------------------------------------------------------------------------

# Entries for slots up to this one; 0 or -ENOMEM.
cdef int _ensure_slot(fantree* t, uint32_t slot) noexcept nogil:
    cdef size_t count
    cdef size_t old = t.slot_count
    cdef void* slots
    cdef void* mark
    cdef void* out
    if slot < t.slot_count:
        return 0
    count = <size_t>slot + 1
    if count < old + old // 2:
        count = old + old // 2
    if count < 8:
        count = 8
    slots = radix_alloc(&t.tree, count * sizeof(fanslot))
    mark = radix_alloc(&t.tree, count * sizeof(uint32_t))
    out = radix_alloc(&t.tree, count * sizeof(uint32_t))
    if slots == NULL or mark == NULL or out == NULL:
        radix_release(&t.tree, slots, count * sizeof(fanslot))
        radix_release(&t.tree, mark, count * sizeof(uint32_t))
        radix_release(&t.tree, out, count * sizeof(uint32_t))
        return -ENOMEM
    memset(slots, 0, count * sizeof(fanslot))
    memset(mark, 0, count * sizeof(uint32_t))
    if old:
        memcpy(slots, t.slots, old * sizeof(fanslot))
    _release_slots(t)
    t.slots = <fanslot*>slots
    t.mark = <uint32_t*>mark
    t.out = <uint32_t*>out
    t.slot_count = <uint32_t>count
    t.generation = 1          # nothing is marked
    return 0


# The table itself, not the lists in it.
cdef void _release_slots(fantree* t) noexcept nogil:
    radix_release(&t.tree, t.slots, t.slot_count * sizeof(fanslot))
    radix_release(&t.tree, t.mark, t.slot_count * sizeof(uint32_t))
    radix_release(&t.tree, t.out, t.slot_count * sizeof(uint32_t))
    t.slots = NULL
    t.mark = NULL
    t.out = NULL
    t.slot_count = 0


# Room for one more item in a slot's list; 0 or -ENOMEM.
cdef int _ensure_item(fantree* t, uint32_t slot) noexcept nogil:
    cdef fanslot* f = &t.slots[slot]
    cdef uint64_t* items
    cdef size_t capacity
    if f.count < f.capacity:
        return 0
    capacity = f.capacity + f.capacity // 2 if f.capacity >= 4 else <size_t>f.capacity + 2
    if capacity > 0x7fffffff:
        return -ENOMEM
    items = <uint64_t*>radix_resize(&t.tree, f.items, f.capacity * sizeof(uint64_t), capacity * sizeof(uint64_t))
    if items == NULL:
        return -ENOMEM
    f.items = items
    f.capacity = <uint32_t>capacity
    return 0


# Nothing is subscribed: gives back what was kept for the next change.
cdef void _fantree_empty(fantree* t) noexcept nogil:
    cdef uint32_t i
    for i in range(t.slot_count):
        radix_release(&t.tree, t.slots[i].items, t.slots[i].capacity * sizeof(uint64_t))
    _release_slots(t)
    radix_release(&t.tree, t.scratch, t.scratch_size)
    t.scratch = NULL
    t.scratch_size = 0


# ---- changes ---------------------------------------------------------------------------------------------------------

cdef void fantree_init(fantree* t) noexcept nogil:
    memset(t, 0, sizeof(fantree))
    radix_init(&t.tree)
    t.tree.moved = _moved
    t.tree.owner = t


cdef void _free_set(fantree* t, fanset* s) noexcept nogil:
    radix_release(&t.tree, s.members, s.capacity * sizeof(fanmember))
    radix_release(&t.tree, s, sizeof(fanset))


cdef void fantree_free(fantree* t) noexcept nogil:
    cdef const rnode* node = radix_next(&t.tree, NULL)
    while node != NULL:
        if node.value and not _is_single(node.value):
            _free_set(t, _set_of(node.value))
        node = radix_next(&t.tree, node)
    radix_free(&t.tree)
    _fantree_empty(t)
    t.topics = 0
    t.subscriptions = 0


# A second subscriber: the node's single one moves into a set. NULL without memory.
cdef fanset* _promote(fantree* t, rnode* node) noexcept nogil:
    cdef fanset* s = <fanset*>radix_alloc(&t.tree, sizeof(fanset))
    cdef uint32_t slot = _slot_of(node.value)
    cdef uint32_t place = _place_of(node.value)
    if s == NULL:
        return NULL
    s.members = <fanmember*>radix_alloc(&t.tree, 2 * sizeof(fanmember))
    if s.members == NULL:
        radix_release(&t.tree, s, sizeof(fanset))
        return NULL
    s.node = node
    s.count = 1
    s.capacity = 2
    s.members[0].slot = slot
    s.members[0].place = place
    node.value = <uintptr_t>s
    t.slots[slot].items[place] = <uintptr_t>s + 1
    return s


cdef int _join_set(fantree* t, fanset* s, uint32_t slot, uint32_t at, uint32_t place) noexcept nogil:
    cdef fanmember* members
    cdef size_t capacity
    if s.count == s.capacity:
        capacity = <size_t>s.capacity + s.capacity // 2 + 1
        members = <fanmember*>radix_resize(&t.tree, s.members, s.capacity * sizeof(fanmember),
                                           capacity * sizeof(fanmember))
        if members == NULL:
            return -ENOMEM
        s.members = members
        s.capacity = <uint32_t>capacity
    memmove(s.members + at + 1, s.members + at, (s.count - at) * sizeof(fanmember))
    s.members[at].slot = slot
    s.members[at].place = place
    s.count += 1
    return 0


cdef void _leave_set(fantree* t, fanset* s, uint32_t at) noexcept nogil:
    cdef rnode* node = s.node
    cdef fanmember* members
    cdef uint32_t capacity
    s.count -= 1
    memmove(s.members + at, s.members + at + 1, (s.count - at) * sizeof(fanmember))
    if s.count == 1:
        node.value = _single(s.members[0].slot, s.members[0].place)
        t.slots[s.members[0].slot].items[s.members[0].place] = <uintptr_t>node
        _free_set(t, s)
    elif s.capacity >= 8 and s.count <= s.capacity // 4:
        capacity = s.capacity // 2
        members = <fanmember*>radix_resize(&t.tree, s.members, s.capacity * sizeof(fanmember),
                                           capacity * sizeof(fanmember))
        if members != NULL:
            s.members = members
            s.capacity = capacity


cdef int fantree_add(fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil:
    cdef rnode* node = NULL
    cdef fanset* s
    cdef uint32_t place, at
    cdef int rc = FAN_NEW_FOR_PEER
    if slot > FAN_SLOT_MAX:
        return -EINVAL
    if (_ensure_slot(t, slot) == 0 and _ensure_item(t, slot) == 0
            and radix_reserve(&t.tree, &t.scratch, &t.scratch_size, n) == 0):
        node = radix_insert(&t.tree, topic, n)
    if node == NULL:
        if t.subscriptions == 0:
            _fantree_empty(t)
        return -ENOMEM
    place = t.slots[slot].count
    if node.value == 0:
        node.value = _single(slot, place)
        t.slots[slot].items[place] = <uintptr_t>node
        t.topics += 1
        rc |= FAN_NEW_TOPIC
    else:
        if _is_single(node.value):
            if _slot_of(node.value) == slot:
                return 0
            s = _promote(t, node)
            if s == NULL:
                return -ENOMEM
        else:
            s = _set_of(node.value)
        at = _position(s, slot)
        if at < s.count and s.members[at].slot == slot:
            return 0
        if _join_set(t, s, slot, at, place) != 0:
            return -ENOMEM
        t.slots[slot].items[place] = <uintptr_t>s + 1
    t.slots[slot].count += 1
    t.subscriptions += 1
    return rc


cdef int fantree_remove(fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil:
    cdef rnode* node = radix_find(&t.tree, topic, n)
    cdef fanset* s
    cdef uint32_t at, place
    cdef int rc = FAN_REMOVED
    if node == NULL or node.value == 0:
        return 0
    if _is_single(node.value):
        if _slot_of(node.value) != slot:
            return 0
        place = _place_of(node.value)
        rc |= FAN_LAST_OF_TOPIC
        t.topics -= 1
        node.value = 0
        _forget(t, slot, place)
        radix_drop(&t.tree, node)
    else:
        s = _set_of(node.value)
        at = _position(s, slot)
        if at == s.count or s.members[at].slot != slot:
            return 0
        place = s.members[at].place
        _leave_set(t, s, at)
        _forget(t, slot, place)
    t.subscriptions -= 1
    if t.subscriptions == 0:
        _fantree_empty(t)
    return rc


cdef size_t fantree_remove_slot(fantree* t, uint32_t slot, topic_visitor visit, void* arg) noexcept nogil:
    cdef fanslot* f
    cdef fanset* s
    cdef rnode* node
    cdef uint64_t item
    cdef size_t n
    cdef size_t removed = 0
    if slot >= t.slot_count:
        return 0
    f = &t.slots[slot]
    while f.count:
        # From the end: nothing takes another place, and the list is given back once.
        f.count -= 1
        item = f.items[f.count]
        removed += 1
        t.subscriptions -= 1
        if item & 1:
            s = <fanset*><uintptr_t>(item - 1)
            _leave_set(t, s, _position(s, slot))
            continue
        node = <rnode*><uintptr_t>item
        n = radix_key_size(node)
        radix_key(node, t.scratch)
        t.topics -= 1
        radix_drop(&t.tree, node)
        if visit != NULL:
            visit(t.scratch, n, arg)
    radix_release(&t.tree, f.items, f.capacity * sizeof(uint64_t))
    f.items = NULL
    f.capacity = 0
    if t.subscriptions == 0:
        _fantree_empty(t)
    return removed


# ---- questions -------------------------------------------------------------------------------------------------------

# Adds a node's subscribers to `out`, which holds no slot of it yet.
cdef inline size_t _emit(fantree* t, uint64_t value, size_t count) noexcept nogil:
    cdef const fanset* s
    cdef uint32_t i
    if _is_single(value):
        t.out[count] = _slot_of(value)
        return count + 1
    s = _set_of(value)
    for i in range(s.count):
        t.out[count + i] = s.members[i].slot
    return count + s.count


# The same for those not marked, which are marked.
cdef inline size_t _emit_marked(fantree* t, uint64_t value, size_t count) noexcept nogil:
    cdef const fanset* s
    cdef uint32_t i, slot
    if _is_single(value):
        slot = _slot_of(value)
        if t.mark[slot] != t.generation:
            t.mark[slot] = t.generation
            t.out[count] = slot
            count += 1
        return count
    s = _set_of(value)
    for i in range(s.count):
        slot = s.members[i].slot
        if t.mark[slot] != t.generation:
            t.mark[slot] = t.generation
            t.out[count] = slot
            count += 1
    return count


cdef inline void _next_generation(fantree* t) noexcept nogil:
    t.generation += 1
    if t.generation == 0:
        memset(t.mark, 0, t.slot_count * sizeof(uint32_t))
        t.generation = 1


cdef size_t fantree_match(fantree* t, const uint8_t* data, size_t n) noexcept nogil:
    cdef const rnode* node = t.tree.root
    cdef uint64_t waiting = 0          # the subscribers met and not yet put out
    cdef bint marking = False          # needed only when a second topic matches
    cdef size_t count = 0
    cdef size_t done = 0
    while node != NULL:
        if node.value:
            if waiting:
                if not marking:
                    marking = True
                    _next_generation(t)
                count = _emit_marked(t, waiting, count)
            waiting = node.value
        node = radix_step(node, data, n, &done)
    if waiting == 0:
        return 0
    return _emit_marked(t, waiting, count) if marking else _emit(t, waiting, 0)


cdef size_t fantree_mark(fantree* t, const uint8_t* data, size_t n) noexcept nogil:
    cdef const rnode* node = t.tree.root
    cdef size_t count = 0
    cdef size_t done = 0
    if node == NULL:
        return 0
    _next_generation(t)
    while node != NULL:
        if node.value:
            count = _emit_marked(t, node.value, count)
        node = radix_step(node, data, n, &done)
    return count


cdef size_t fantree_match_exact(fantree* t, const uint8_t* topic, size_t n) noexcept nogil:
    cdef const rnode* node = radix_find(&t.tree, topic, n)
    return _emit(t, node.value, 0) if node != NULL and node.value else 0


cdef bint fantree_has(const fantree* t, uint32_t slot, const uint8_t* topic, size_t n) noexcept nogil:
    cdef const rnode* node = radix_find(&t.tree, topic, n)
    cdef uint32_t at
    if node == NULL or node.value == 0 or _is_single(node.value):
        return node != NULL and node.value != 0 and _slot_of(node.value) == slot
    at = _position(_set_of(node.value), slot)
    return at < _set_of(node.value).count and _set_of(node.value).members[at].slot == slot


cdef size_t _subscribers(uint64_t value) noexcept nogil:
    if value == 0:
        return 0
    return 1 if _is_single(value) else _set_of(value).count


cdef size_t fantree_subscribers(const fantree* t, const uint8_t* topic, size_t n) noexcept nogil:
    cdef const rnode* node = radix_find(&t.tree, topic, n)
    return _subscribers(node.value) if node != NULL else 0


cdef void fantree_slot_topics(fantree* t, uint32_t slot, topic_visitor visit, void* arg) noexcept nogil:
    cdef uint32_t i
    cdef rnode* node
    if slot >= t.slot_count:
        return
    for i in range(t.slots[slot].count):
        node = _node_of(t.slots[slot].items[i])
        radix_key(node, t.scratch)
        visit(t.scratch, radix_key_size(node), arg)


cdef void fantree_walk(fantree* t, count_visitor visit, void* arg) noexcept nogil:
    cdef const rnode* node = radix_next(&t.tree, NULL)
    while node != NULL:
        if node.value:
            radix_key(node, t.scratch)
            visit(t.scratch, radix_key_size(node), _subscribers(node.value), arg)
        node = radix_next(&t.tree, node)


# ---- Python face -----------------------------------------------------------------------------------------------------

cdef void _append(const uint8_t* topic, size_t n, void* arg) noexcept with gil:
    (<list>arg).append(PyBytes_FromStringAndSize(<const char*>topic, n))


cdef void _append_count(const uint8_t* topic, size_t n, size_t subscribers, void* arg) noexcept with gil:
    (<list>arg).append((PyBytes_FromStringAndSize(<const char*>topic, n), subscribers))


cdef class FanoutTree:
    """The subscriptions of many peers, known by small numbers (slots). `limit` as for SubscriptionTree."""

    def __cinit__(self, size_t limit=0):
        fantree_init(&self.t)
        self.t.tree.limit = limit

    def __dealloc__(self):
        fantree_free(&self.t)

    def __len__(self):
        return self.t.topics

    def add(self, uint32_t slot, bytes topic not None):
        """(nobody had the topic, the peer did not have it). Raises MemoryError, or ValueError for no such slot."""
        cdef int rc = fantree_add(&self.t, slot, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))
        if rc == -EINVAL:
            raise ValueError("no such slot")
        if rc < 0:
            raise MemoryError
        return bool(rc & FAN_NEW_TOPIC), bool(rc & FAN_NEW_FOR_PEER)

    def remove(self, uint32_t slot, bytes topic not None):
        """(nobody has the topic any more, the peer had it)."""
        cdef int rc = fantree_remove(&self.t, slot, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))
        return bool(rc & FAN_LAST_OF_TOPIC), bool(rc & FAN_REMOVED)

    def remove_slot(self, uint32_t slot):
        """(how many subscriptions ended, the topics that nobody has any more)."""
        gone = []
        return fantree_remove_slot(&self.t, slot, <topic_visitor>_append, <void*>gone), gone

    def match(self, bytes data not None):
        """The slots that subscribe to any beginning of `data`, each once."""
        return self._found(fantree_match(&self.t, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)))

    def match_inverted(self, bytes data not None, slots):
        """Those of `slots` that subscribe to no beginning of `data`."""
        fantree_mark(&self.t, <const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        return [slot for slot in slots if not fantree_marked(&self.t, slot)]

    def match_exact(self, bytes topic not None):
        """The slots that subscribe to exactly this topic."""
        return self._found(
            fantree_match_exact(&self.t, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic)))

    cdef list _found(self, size_t count):
        return [self.t.out[i] for i in range(count)]

    def has(self, uint32_t slot, bytes topic not None):
        """Whether the slot subscribes to exactly this topic."""
        return bool(fantree_has(&self.t, slot, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic)))

    def subscribers(self, bytes topic not None):
        """How many subscribe to exactly this topic."""
        return fantree_subscribers(&self.t, <const uint8_t*>PyBytes_AS_STRING(topic), PyBytes_GET_SIZE(topic))

    def slot_topics(self, uint32_t slot):
        """The topics of one slot, in no particular order."""
        found = []
        fantree_slot_topics(&self.t, slot, <topic_visitor>_append, <void*>found)
        return found

    def slot_count(self, uint32_t slot):
        """How many topics one slot has."""
        return fantree_slot_count(&self.t, slot)

    def topics(self):
        """(topic, number of subscribers) of each topic, in no particular order."""
        found = []
        fantree_walk(&self.t, <count_visitor>_append_count, <void*>found)
        return found

    @property
    def subscriptions(self):
        """Pairs of topic and slot."""
        return self.t.subscriptions

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

    @property
    def generation(self):
        """Counts matches that had to mark slots; may be set, for tests of its overflow."""
        return self.t.generation

    @generation.setter
    def generation(self, uint32_t value):
        self.t.generation = value
