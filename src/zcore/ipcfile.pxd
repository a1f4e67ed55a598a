"""The socket file of an ipc endpoint: made, recognised as stale, and removed only by the one who made it.

A path is taken in these steps, so that of any number of processes that want it at the same time exactly one gets it,
and none loses what it has:

    bind       the kernel makes the file, or says that there is one
    lock       the directory, so that takers come one after the other: between a probe and what follows from it, none
               of us makes or removes the file.  (Other programs don't know the lock, so the next steps also say what
               they found)
    probe      a datagram connect to that file.  A file whose socket is gone refuses it; a stream socket that is alive,
               listening or about to, answers "wrong type", and notices nothing
    set aside  a dead file is renamed to a name of ours.  If what was renamed is not the file that was probed (which is
               held, so that its number is nobody else's), somebody was quicker: it is put back
    remove     the dead file, and bind again

What is not a socket is never touched.  The file is removed while its socket is still open: as long as it is, its
device and inode number belong to nobody else, so equal numbers mean that the file is ours.
"""

from libc.stdint cimport uint64_t

from zcore.endpoint cimport endpoint


cdef struct ipc_file:            # owned by the listener
    char* path                   # absolute, on the heap; NULL: nothing to remove
    uint64_t device              # st_dev and st_ino of the file that bind made
    uint64_t inode
    char* directory              # made for "ipc://*", on the heap; NULL: none


# Binds fd to ep (path, abstract name or "*") and fills in the path chosen for "*".  0; -EADDRINUSE: the path belongs to
# somebody alive, or to a file that is not ours to remove; -ENOTSUP: no abstract names here; -ENOENT, -EACCES... as
# the system says; -ENOMEM.  Nothing is left behind after an error.
cdef int ipc_file_bind(ipc_file* f, int fd, endpoint* ep) noexcept nogil

# Removes file and directory if they are still ours.  To be called before the socket is closed; harmless when repeated.
cdef void ipc_file_remove(ipc_file* f) noexcept nogil

# Frees the memory and touches nothing: in a forked child, or for a socket adopted from elsewhere.
cdef void ipc_file_forget(ipc_file* f) noexcept nogil
