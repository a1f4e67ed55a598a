"""The radix tree: growing, splitting, merging and walking without recursion."""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy


cdef void radix_init(radix* t) noexcept nogil:
    t.root = NULL
    t.nodes = 0
    t.bytes_used = 0
    t.limit = 0
    t.moved = NULL
    t.owner = NULL


cdef void* radix_alloc(radix* t, size_t size) noexcept nogil:
    cdef void* p
    if t.limit and (size > t.limit or t.bytes_used > t.limit - size):
        return NULL
    p = malloc(size)
    if p != NULL:
        t.bytes_used += size
    return p


cdef void radix_release(radix* t, void* p, size_t size) noexcept nogil:
    if p != NULL:
        t.bytes_used -= size
        free(p)


cdef void* radix_resize(radix* t, void* p, size_t old, size_t size) noexcept nogil:
    cdef size_t others = t.bytes_used - old
    if size > old and t.limit and (size > t.limit or others > t.limit - size):
        return NULL
    p = realloc(p, size)
    if p != NULL:
        t.bytes_used = others + size
    return p


cdef int radix_reserve(radix* t, uint8_t** buffer, size_t* size, size_t n) noexcept nogil:
    cdef uint8_t* p
    cdef size_t want = (n + 63) & ~<size_t>63
    if n <= size[0]:
        return 0
    p = <uint8_t*>radix_resize(t, buffer[0], size[0], want)
    if p == NULL:
        return -ENOMEM
    buffer[0] = p
    size[0] = want
    return 0


# ---- single nodes ----------------------------------------------------------------------------------------------------

cdef inline size_t _bytes(uint8_t room, size_t size) noexcept nogil:
    return sizeof(rnode) + radix_room[room] * (sizeof(void*) + 1) + size


cdef rnode* _new(radix* t, uint8_t room, size_t size) noexcept nogil:
    cdef rnode* node = <rnode*>radix_alloc(t, _bytes(room, size))
    if node == NULL:
        return NULL
    node.parent = NULL
    node.value = 0
    node.size = <uint16_t>size
    node.kids = 0
    node.room = room
    node.key = 0
    t.nodes += 1
    return node


cdef void _delete(radix* t, rnode* node) noexcept nogil:
    t.nodes -= 1
    radix_release(t, node, _bytes(node.room, node.size))


# The smallest room for this many children.
cdef uint8_t _fit(int kids) noexcept nogil:
    cdef uint8_t room = 0
    while radix_room[room] < kids:
        room += 1
    return room


# Where the parent keeps the pointer to this node.
cdef inline rnode** _link(radix* t, rnode* node) noexcept nogil:
    cdef rnode* parent = node.parent
    cdef const uint8_t* keys
    if parent == NULL:
        return &t.root
    keys = radix_keys(parent)
    return &radix_children(parent)[<const uint8_t*>memchr(keys, node.key, parent.kids) - keys]


# Puts a block that was filled as a copy of `old` in its place: the parent, the children and the owner learn the new
# address. The old block is freed.
cdef void _replace(radix* t, rnode* old, rnode* node) noexcept nogil:
    cdef rnode** children = radix_children(node)
    cdef int i
    node.parent = old.parent
    node.key = old.key
    _link(t, old)[0] = node
    for i in range(node.kids):
        children[i].parent = node
    if node.value and t.moved != NULL:
        t.moved(t.owner, node)
    _delete(t, old)


# Copies value and children; the copy's room must do for them.
cdef void _copy_content(rnode* node, const rnode* old) noexcept nogil:
    node.value = old.value
    node.kids = old.kids
    memcpy(radix_children(node), radix_children(old), old.kids * sizeof(void*))
    memcpy(radix_keys(node), radix_keys(old), old.kids)


# The node with room for another number of children, at another address; NULL without memory (nothing changed).
cdef rnode* _reroom(radix* t, rnode* old, uint8_t room) noexcept nogil:
    cdef rnode* node = _new(t, room, old.size)
    if node == NULL:
        return NULL
    _copy_content(node, old)
    memcpy(radix_label(node), radix_label(old), old.size)
    _replace(t, old, node)
    return node


# There must be room.
cdef void _adopt(rnode* parent, rnode* child, uint8_t key) noexcept nogil:
    radix_children(parent)[parent.kids] = child
    radix_keys(parent)[parent.kids] = key
    parent.kids += 1
    child.parent = parent
    child.key = key


# A chain of nodes for bytes that have no node yet, without its first byte, which belongs to the parent. Returns the
# upper end and, through `last`, the lower one; NULL without memory.
cdef rnode* _chain(radix* t, const uint8_t* bytes, size_t n, rnode** last) noexcept nogil:
    cdef rnode* below = NULL
    cdef rnode* node
    # The lowest node takes the remainder, so that every node above is full: n = rest + k * (MAX_LABEL + 1).
    cdef size_t size = n % (MAX_LABEL + 1)
    while True:
        node = _new(t, 1 if below != NULL else 0, size)
        if node == NULL:
            while below != NULL:
                node = radix_children(below)[0] if below.kids else NULL
                _delete(t, below)
                below = node
            return NULL
        memcpy(radix_label(node), bytes + n - size, size)
        n -= size
        if below == NULL:
            last[0] = node
        else:
            _adopt(node, below, bytes[n + size])
        if n == 0:
            return node
        n -= 1              # the key that leads to this node
        below = node
        size = MAX_LABEL


# ---- keys ------------------------------------------------------------------------------------------------------------

cdef rnode* radix_find(const radix* t, const uint8_t* key, size_t n) noexcept nogil:
    cdef rnode* node = t.root
    cdef size_t done = 0
    while node != NULL and done < n:
        node = radix_step(node, key, n, &done)
    return node


cdef rnode* radix_insert(radix* t, const uint8_t* key, size_t n) noexcept nogil:
    cdef rnode* node = t.root
    cdef rnode* child
    cdef size_t done = 0
    cdef size_t same, most
    cdef const uint8_t* label
    if node == NULL:
        node = _new(t, 0, 0)
        if node == NULL:
            return NULL
        t.root = node
    while done < n:
        child = radix_child(node, key[done])
        if child == NULL:
            return _branch(t, node, key + done, n - done)
        done += 1
        label = radix_label(child)
        most = child.size if child.size < n - done else n - done
        same = 0
        if most == child.size and memcmp(label, key + done, most) == 0:
            same = most
        else:
            while same < most and label[same] == key[done + same]:
                same += 1
        if same < child.size:
            child = _split(t, child, same)
            if child == NULL:
                return NULL
        done += same
        node = child
    return node


# Hangs the rest of a key below a node; NULL without memory.
cdef rnode* _branch(radix* t, rnode* parent, const uint8_t* rest, size_t n) noexcept nogil:
    cdef rnode* last = NULL
    cdef rnode* first = _chain(t, rest + 1, n - 1, &last)
    cdef rnode* node
    if first != NULL and parent.kids == radix_room[parent.room]:
        node = _reroom(t, parent, parent.room + 1)
        if node == NULL:
            while first != NULL:
                node = radix_children(first)[0] if first.kids else NULL
                _delete(t, first)
                first = node
        else:
            parent = node
    if first == NULL:
        # A root made for this key, or a node split for it, must not stay behind for nothing.
        if parent.value == 0:
            _tidy(t, parent)
        return NULL
    _adopt(parent, first, rest[0])
    return last


# Cuts a node behind `size` bytes of its label: the returned upper part is new and has the lower part as only child, and
# room for a second. NULL without memory (nothing changed).
cdef rnode* _split(radix* t, rnode* old, size_t size) noexcept nogil:
    cdef rnode* upper = _new(t, 2, size)
    cdef rnode* lower
    cdef uint8_t key = radix_label(old)[size]
    if upper == NULL:
        return NULL
    lower = _new(t, old.room, old.size - size - 1)
    if lower == NULL:
        _delete(t, upper)
        return NULL
    memcpy(radix_label(upper), radix_label(old), size)
    memcpy(radix_label(lower), radix_label(old) + size + 1, lower.size)
    _copy_content(lower, old)
    # `lower` first takes the place of `old`; then `upper` goes between it and the parent.
    _replace(t, old, lower)
    _link(t, lower)[0] = upper
    upper.parent = lower.parent
    upper.key = lower.key
    _adopt(upper, lower, key)
    return upper


cdef void radix_drop(radix* t, rnode* node) noexcept nogil:
    node.value = 0
    _tidy(t, node)


# Removes a node without value and children, and the parents that are left without either; joins what is left with an
# only child. Where there is no memory for that the tree stays a little larger than it need be.
cdef void _tidy(radix* t, rnode* node) noexcept nogil:
    cdef rnode* parent
    cdef rnode** children
    cdef rnode** link
    while node.value == 0 and node.kids == 0:
        parent = node.parent
        if parent == NULL:
            t.root = NULL
            _delete(t, node)
            return
        link = _link(t, node)
        children = radix_children(parent)
        parent.kids -= 1
        radix_keys(parent)[link - children] = radix_keys(parent)[parent.kids]
        link[0] = children[parent.kids]
        _delete(t, node)
        node = parent
    if node.room >= 2 and node.kids <= radix_room[node.room - 2] or node.kids == 0 and node.room:
        parent = _reroom(t, node, _fit(node.kids))
        if parent != NULL:
            node = parent
    if node.value == 0 and node.kids == 1 and node.parent != NULL:
        _join(t, node, radix_children(node)[0])


# Makes a node without value and its only child one, when the label is not too long then.
cdef void _join(radix* t, rnode* upper, rnode* lower) noexcept nogil:
    cdef rnode* node
    cdef uint8_t* label
    if upper.size + 1 + lower.size > MAX_LABEL:
        return
    node = _new(t, lower.room, upper.size + 1 + lower.size)
    if node == NULL:
        return
    label = radix_label(node)
    memcpy(label, radix_label(upper), upper.size)
    label[upper.size] = lower.key
    memcpy(label + upper.size + 1, radix_label(lower), lower.size)
    _copy_content(node, lower)
    _replace(t, lower, node)          # below `upper` for now
    node.parent = upper.parent
    node.key = upper.key
    _link(t, upper)[0] = node
    _delete(t, upper)


# ---- walking ---------------------------------------------------------------------------------------------------------

cdef size_t radix_key_size(const rnode* node) noexcept nogil:
    cdef size_t n = 0
    while node.parent != NULL:
        n += 1 + <size_t>node.size
        node = node.parent
    return n


cdef void radix_key(const rnode* node, uint8_t* out) noexcept nogil:
    cdef size_t at = radix_key_size(node)
    while node.parent != NULL:
        at -= node.size
        memcpy(out + at, radix_label(node), node.size)
        at -= 1
        out[at] = node.key
        node = node.parent


cdef rnode* radix_next(const radix* t, const rnode* node) noexcept nogil:
    cdef const rnode* parent
    cdef const uint8_t* keys
    cdef size_t i
    if node == NULL:
        return t.root
    if node.kids:
        return radix_children(node)[0]
    while node.parent != NULL:
        parent = node.parent
        keys = radix_keys(parent)
        i = <const uint8_t*>memchr(keys, node.key, parent.kids) - keys + 1
        if i < parent.kids:
            return radix_children(parent)[i]
        node = parent
    return NULL


cdef void radix_free(radix* t) noexcept nogil:
    cdef rnode* node = t.root
    cdef rnode* parent
    while node != NULL:
        if node.kids:
            node.kids -= 1
            node = radix_children(node)[node.kids]
            continue
        parent = node.parent
        _delete(t, node)
        node = parent
    t.root = NULL
