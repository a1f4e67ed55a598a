"""Frame and what keeps its bytes alive; see frame.pxd."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t

from .message cimport (MK_BLOCK, block, block_data, block_unref, meta_data, meta_unref, release_drain, zmsg,
                       zmsg_copy_bytes, zmsg_init, zmsg_set_inline, zmsg_set_object)
from .platform cimport zq_add32, zq_load32
from .zmtp cimport next_property, same_name, zmtp_property

from zcore.errors import make_error
from zcore.tracker import FINISHED, MessageTracker

import errno as _errno
from weakref import ref

cdef set _held = set()
COPY_THRESHOLD = 65536


def held_buffers():
    """Keys of the buffers of the program that are in use without having been copied, as a list."""
    release_drain()
    return list(_held)


@cython.no_gc
cdef class Hold:
    def __cinit__(self):
        self.held = False
        self.event = None

    def __dealloc__(self):
        if self.held:
            _held.discard(<size_t><void*>self)
            PyBuffer_Release(&self.view)
        if self.event is not None:
            self.event.set()


cdef Hold hold_buffer(object data, bint track):
    cdef Hold h = Hold.__new__(Hold)
    if PyObject_GetBuffer(data, &h.view, PyBUF_SIMPLE) < 0:
        return None
    h.held = True
    _held.add(<size_t><void*>h)
    if track:
        from threading import Event
        h.event = Event()
    return h


cdef object hold_tracker(Hold h):
    return FINISHED if h is None or h.event is None else MessageTracker(h.event)


cdef Frame frame_of_object(object bytes_or_hold, const uint8_t* data, size_t size):
    cdef Frame f = Frame.__new__(Frame)
    f.keep = bytes_or_hold
    f.data = data
    f.size = size
    return f


cdef Frame frame_of_block(block* b, size_t size):
    cdef Frame f = Frame.__new__(Frame)
    f.blk = b
    f.data = block_data(b)
    f.size = size
    f.writable = zq_load32(&b.refs) == 1
    return f


cdef int frame_to_zmsg(Frame f, zmsg* m) except -1:
    zmsg_init(m)
    m.routing_id = f.number
    if f.blk != NULL:
        f.writable = False        # others see it from here on
        zq_add32(&f.blk.refs, 1)
        m.kind = MK_BLOCK
        m.body.ref.data = f.data
        m.body.ref.size = f.size
        m.body.ref.owner = f.blk
    elif f.writable:
        # Over inproc the object itself would arrive: bytes, which somebody may write to through a view of the frame.
        if zmsg_copy_bytes(m, f.data, f.size) < 0:
            raise MemoryError
    elif f.keep is not None:
        Py_INCREF(f.keep)
        zmsg_set_object(m, f.data, f.size, <void*>f.keep)
        m.lent = isinstance(f.keep, Hold)
    else:
        zmsg_set_inline(m, b"", 0)
    return 0


@cython.no_gc
cdef class Frame:
    """One frame of a message: bytes that were received, or are to be sent, without copying them.

    Args:
        data: bytes or any contiguous buffer; None makes an empty frame.
        track: whether `tracker` tells when the engine is done with `data`.
        copy: copy `data` at once; None copies what is smaller than `copy_threshold`.
        copy_threshold: bytes; None takes `COPY_THRESHOLD` (65536).

    Raises:
        TypeError: `data` has no buffer; a str has to be encoded first.
    """

    def __cinit__(self, *args, **kwargs):
        self.blk = NULL
        self.facts = NULL
        self.data = b""
        self.size = 0
        self.more = False
        self.number = 0
        self.group_name = ""
        self.keep = None
        self.tracker = None

    def __init__(self, data=None, bint track=False, copy=None, copy_threshold=None):
        cdef Hold h
        if self.made or self.keep is not None or self.blk != NULL:
            raise RuntimeError("a frame is made once: views of it refer to its memory")
        if isinstance(data, str):
            raise TypeError("Str objects not allowed. Only: bytes, buffer interfaces.")
        self.made = True
        self.original = data
        self.tracker = FINISHED if track else None
        if data is None:
            return
        if copy is None:
            if PyBytes_CheckExact(data):
                copy = PyBytes_GET_SIZE(data) < (COPY_THRESHOLD if copy_threshold is None else copy_threshold)
            else:
                copy = memoryview(data).nbytes < (COPY_THRESHOLD if copy_threshold is None else copy_threshold)
        if copy:
            if not PyBytes_CheckExact(data):
                view = memoryview(data)
                if not view.contiguous:
                    raise BufferError("the buffer is not contiguous")
                data = bytes(view)
            self.keep = data
            self.data = <const uint8_t*>PyBytes_AS_STRING(data)
            self.size = PyBytes_GET_SIZE(data)
            return
        h = hold_buffer(data, track)
        self.keep = h
        self.data = <const uint8_t*>h.view.buf
        self.size = h.view.len
        if track:
            self.tracker = hold_tracker(h)

    def __dealloc__(self):
        if self.blk != NULL:
            block_unref(self.blk)
        meta_unref(self.facts)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        # What was received into memory of our own may be written to; bytes and the program's buffers may not.
        PyBuffer_FillInfo(buffer, self, <void*>self.data, self.size, not self.writable, flags)

    def __releasebuffer__(self, Py_buffer* buffer):
        pass

    def __len__(self):
        return self.size

    def __repr__(self):
        shown = repr(self.bytes[:12])
        if self.size > 12:
            n = self.size
            unit = "B"
            for larger in ("kB", "MB", "GB"):
                if n < 1000:
                    break
                n //= 1000
                unit = larger
            shown += f"...{n}{unit}"
        cls = type(self)
        name = "zmq.Frame" if cls.__module__ in ("zcore.frame", "pyzq.frame", "pyzq.sugar.frame") else f"{cls.__module__}.{cls.__name__}"
        return f"<{name}({shown})>"

    def __copy__(self):
        return self.fast_copy()

    def fast_copy(self):
        """Another frame over the same bytes."""
        cdef Frame f = type(self).__new__(type(self))
        with cython.critical_section(self):
            self._copy_to(f)
        return f

    cdef int _copy_to(self, Frame f) except -1:
        f.keep = self.keep
        f.blk = self.blk
        if f.blk != NULL:
            zq_add32(&f.blk.refs, 1)
        f.facts = self.facts
        if f.facts != NULL:
            zq_add32(&f.facts.refs, 1)
        f.data = self.data
        f.size = self.size
        f.original = self.original
        f.writable = self.writable
        f.more = self.more
        f.tracker = self.tracker
        f.cached_bytes = self.cached_bytes
        f.number = self.number
        f.group_name = self.group_name
        return 0

    @property
    def bytes(self):
        """The bytes of the frame, as `bytes`; copied once."""
        with cython.critical_section(self):
            if self.cached_bytes is None:
                if self.original is None and not self.writable and PyBytes_CheckExact(self.keep) \
                        and PyBytes_GET_SIZE(self.keep) == <Py_ssize_t>self.size:
                    self.cached_bytes = self.keep
                else:
                    self.cached_bytes = PyBytes_FromStringAndSize(<const char*>self.data, self.size)
            return self.cached_bytes

    @property
    def buffer(self):
        """The bytes of the frame, as a `memoryview` of it; not copied."""
        # Remembered weakly: the view refers to the frame, and the two must not keep each other alive.
        with cython.critical_section(self):
            view = self.last_view() if self.last_view is not None else None
            if view is None:
                view = PyMemoryView_FromObject(self)
                self.last_view = ref(view)
            return view

    @property
    def group(self):
        """The RADIO-DISH group of the message."""
        with cython.critical_section(self):
            return self.group_name

    @group.setter
    def group(self, value):
        if isinstance(value, bytes):
            value = value.decode("utf-8")
        if len(value.encode("utf-8")) > 255:
            raise make_error(_errno.EINVAL, "a group has at most 255 bytes")
        with cython.critical_section(self):
            self.group_name = value

    @property
    def routing_id(self):
        """The number of the CLIENT or PEER it came from or goes to; 0 when there is none."""
        return self.number

    @routing_id.setter
    def routing_id(self, value):
        if not 0 < value <= 0xFFFFFFFF:
            raise make_error(_errno.EINVAL, "a routing id is an integer from 1 to 4294967295")
        self.number = value

    def get(self, option):
        """A property of the message.

        Args:
            option: a message option (MORE, SHARED, SRCFD); or the name of a property of its connection: `Socket-Type`,
                `Identity` (also `Routing-Id`), `Peer-Address`, `User-Id`, or one that the peer set with METADATA;
                or "routing_id" or "group".  SRCFD is the number of the descriptor that it was received from; once that
                connection has ended the number may belong to something else.

        Raises:
            ZMQError: EINVAL, there is no such property.
            TypeError: `option` is neither an int nor a str.
        """
        cdef zmtp_property found
        cdef const uint8_t* at
        cdef const uint8_t* end
        if isinstance(option, int):
            if option == 1:
                return int(self.more)
            if option == 2 and self.facts != NULL and self.facts.fd >= 0:
                return self.facts.fd
            if option == 3:
                return int(self.blk != NULL and zq_load32(&self.blk.refs) > 1)
            raise make_error(_errno.EINVAL, f"messages have no option {int(option)}")
        if option == "routing_id":
            return self.number
        if option == "group":
            return self.group
        if not isinstance(option, str):
            raise TypeError(f"expected str, got: {option!r}")
        name = option.encode("utf-8")
        if name.lower() == b"routing-id":
            name = b"Identity"
        if self.facts != NULL:
            at = meta_data(self.facts)
            end = at + self.facts.size
            while next_property(&at, end, &found) == 1:
                if same_name(found.name, found.name_len, name, len(name)):
                    return PyBytes_FromStringAndSize(<const char*>found.value, found.value_len).decode("utf-8", "surrogateescape")
        raise make_error(_errno.EINVAL, f"the message has no property {option!r}")

    def __getitem__(self, option):
        return self.get(option)

    def set(self, option, value):
        """Set "routing_id" or "group".

        Raises:
            ZMQError: EINVAL, nothing else can be set.
        """
        if option == "routing_id":
            self.routing_id = value
        elif option == "group":
            self.group = value
        else:
            raise make_error(_errno.EINVAL, f"the option {option!r} of a message cannot be set")

    def __reduce__(self):
        return (_rebuilt, (type(self), self.bytes))


def _rebuilt(cls, data):
    return cls(data)


Message = Frame
