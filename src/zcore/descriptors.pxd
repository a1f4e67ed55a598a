"""Which descriptors are the engine's: what a forked child closes, so that it keeps no port or connection of its parent's.

Descriptors of the application (USE_FD) and those it may have put somewhere (FD) are not in the book.
"""


cdef int fd_ours(int fd) noexcept nogil      # into the book; returns fd, which may be negative: an error passed on
cdef int fd_given(int fd) noexcept nogil     # out of the book: somebody else closes it now
cdef void fd_close(int fd) noexcept nogil    # out of the book, then close(2); negative ones are none
