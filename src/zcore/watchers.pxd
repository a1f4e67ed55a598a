"""Watching sockets from outside: in the poll of a Poller or of an event loop, which waits for many at once.

A watcher has one descriptor, readable when any of its members may have something to look at.  Behind it stand the sets of
its members' connections, directly, and a wake descriptor for all that comes from within the process.  Its owner reads
what is there in its own thread; while that thread is busy elsewhere the lease has the reactor read.

The owner: collect, then look at each member that `watcher_next` returns.  Before it sleeps it sets `asleep`, and takes
the news once more: news that come later are signalled.  An owner that cannot know when it sleeps is always asleep.

A watcher belongs to one thread at a time; sockets, and `sock_tell`, to all.
"""

from .engine cimport member, sock, watcher


cdef int sock_open_set(sock* s) noexcept nogil             # [lock] 0 or negative errno
cdef watcher* watcher_new(int* error) noexcept nogil        # one reference; NULL: error is a negative errno
cdef void watcher_end(watcher* w) noexcept nogil            # [owner] all members have left (in a forked child: or not)
cdef int watcher_fd(const watcher* w) noexcept nogil         # to be waited for
cdef member* member_join(watcher* w, sock* s, void* owner) noexcept nogil   # NULL: no memory. Takes a reference of s.
cdef void member_leave(member* m) noexcept nogil             # frees it, now or when its news are taken
cdef int member_watch(member* m) noexcept nogil
# [s.lock] its connections too, not only what comes from within.  0, or negative errno: the reactor reads instead then.
cdef void member_unwatch(member* m) noexcept nogil           # [s.lock]
cdef void members_let_go(sock* s) noexcept nogil             # [s.lock] its set is about to be closed
cdef int watcher_collect(watcher* w) noexcept nogil          # ask the kernel, without waiting; how many members it named
cdef void member_remind(member* m) noexcept nogil             # [owner] look at it again, next time
cdef member* watcher_next(watcher* w) noexcept nogil         # one that may have something; NULL: no more
cdef void watcher_sleep(watcher* w) noexcept nogil           # from here news are signalled
cdef bint watcher_has_news(watcher* w) noexcept nogil        # do not sleep
