"""Frames: messages as Python objects, without a copy where that is possible."""

from libc.stdint cimport uint8_t, uint32_t

from .message cimport block, meta, zmsg
from .pipe cimport part


cdef class Hold:
    """Keeps a buffer of the program's for as long as the engine uses it."""
    cdef Py_buffer view
    cdef bint held
    cdef object event            # set when the buffer is let go of; None: nobody asks

cdef class Frame:
    cdef object keep             # bytes or Hold; None with a block
    cdef block* blk              # received and not copied; NULL otherwise
    cdef const uint8_t* data
    cdef size_t size
    cdef meta* facts
    cdef object original         # what the program gave
    cdef bint made               # __init__ has run
    cdef bint writable           # received into memory that nobody else sees
    cdef public bint more
    cdef public object tracker
    cdef object cached_bytes
    cdef object last_view        # weak reference of the last memoryview
    cdef object __weakref__
    cdef uint32_t number         # routing id
    cdef str group_name

    cdef int _copy_to(self, Frame f) except -1

cdef int frame_to_zmsg(Frame f, zmsg* m) except -1            # a second reference of the same bytes
cdef Frame frame_of_object(object bytes_or_hold, const uint8_t* data, size_t size)
cdef Frame frame_of_block(block* b, size_t size)                # takes the reference
cdef Hold hold_buffer(object data, bint track)
cdef object hold_tracker(Hold h)
