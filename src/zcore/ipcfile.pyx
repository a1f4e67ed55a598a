"""Making and removing socket files: see ipcfile.pxd for the reasoning."""

from libc.errno cimport EACCES, EADDRINUSE, ECONNREFUSED, EEXIST, ENOENT, ENOMEM, ENOTDIR, errno
from libc.stdint cimport uint32_t, uint64_t
from libc.stdio cimport rename, snprintf
from libc.stdlib cimport free, getenv
from libc.string cimport memcpy, memset, strdup, strlen

from zcore.address cimport AF_UNIX, ZQ_SUN_PATH_MAX, addr_from_path, zq_addr
from zcore.backoff cimport backoff, backoff_init, backoff_random
from zcore.platform cimport zq_now_ns

cdef extern from *:
    """
    #include "net.h"

    #include <fcntl.h>
    #include <sys/file.h>
    #include <time.h>

    typedef struct {
        uint64_t device, inode;
        int is_socket;
    } zq_file_id;

    static inline int zq_file_id_of(int rc, const struct stat *st, zq_file_id *out)
    {
        memset(out, 0, sizeof *out);
        if (rc != 0)
            return -errno;
        out->device = (uint64_t)st->st_dev;
        out->inode = (uint64_t)st->st_ino;
        out->is_socket = S_ISSOCK(st->st_mode);
        return 0;
    }

    static inline int zq_file_identify(const char *path, zq_file_id *out)
    {
        struct stat st;
        int rc = lstat(path, &st);
        return zq_file_id_of(rc, &st, out);
    }

    /* Identifies the file, and keeps its inode number from being given to another until `*pin` is closed.  No pin (-1)
       where the system has none: macOS counts its inode numbers up and gives none twice. */
    static inline int zq_file_pin(const char *path, zq_file_id *out, int *pin)
    {
    #ifdef O_PATH
        struct stat st;
        int rc;
        *pin = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        rc = *pin < 0 ? -1 : fstat(*pin, &st);
        return zq_file_id_of(rc, &st, out);
    #else
        *pin = -1;
        return zq_file_identify(path, out);
    #endif
    }

    /* A lock that every taker of paths in this directory takes.  It is held for some system calls, so a second is for
       ever: who still waits then waits for a program that uses the directory's lock for something else. */
    static inline int zq_directory_lock(const char *directory)
    {
        const struct timespec pause = {0, 1000000};
        int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), tries;
        if (fd < 0)
            return -1;
        for (tries = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; tries++) {
            if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 1000) {
                close(fd);    /* a file system without such locks, or the program above */
                return -1;
            }
            nanosleep(&pause, NULL);
        }
        return fd;
    }

    /* Closing is not enough: a child forked meanwhile has the same lock. */
    static inline void zq_directory_unlock(int fd)
    {
        if (fd >= 0) {
            flock(fd, LOCK_UN);
            close(fd);
        }
    }
    """
    ctypedef struct zq_file_id:
        uint64_t device
        uint64_t inode
        bint is_socket
    int zq_file_identify(const char* path, zq_file_id* out) nogil
    int zq_file_pin(const char* path, zq_file_id* out, int* pin) nogil
    int zq_directory_lock(const char* directory) nogil
    void zq_directory_unlock(int fd) nogil

cdef extern from "net.h" nogil:
    int SOCK_DGRAM
    int zq_socket(int family, int kind)
    int zq_bind(int fd, const zq_addr* a)
    int zq_connect(int fd, const zq_addr* a)
    void zq_close(int fd)
    int link(const char* path, const char* new_path)
    int unlink(const char* path)
    int rmdir(const char* path)
    char* mkdtemp(char* template)
    char* getcwd(char* buf, size_t size)
    int getpid()

cdef enum:
    MAX_TRIES = 8            # each means that somebody else took or removed the file in between
    PATH_BYTES = 4096        # of an absolute path


cdef bint _is_dead(const zq_addr* a) noexcept nogil:
    """Nobody has the file's socket open.  In doubt (no permission, no descriptor left): alive."""
    cdef int fd = zq_socket(AF_UNIX, SOCK_DGRAM)
    cdef int rc
    if fd < 0:
        return False
    rc = zq_connect(fd, a)
    zq_close(fd)
    return rc == -ECONNREFUSED


cdef size_t _name_at(const char* path) noexcept nogil:
    """Where the last part of the path begins."""
    cdef size_t n = strlen(path)
    while n and path[n - 1] != b"/":
        n -= 1
    return n


cdef int _lock_directory(const char* path) noexcept nogil:
    """A descriptor to close, or -1: the directory may not be read, and we go on without."""
    cdef char directory[PATH_BYTES]
    cdef size_t n = _name_at(path)
    if n == 0:
        return zq_directory_lock(b".")
    if n >= PATH_BYTES:
        return -1
    memcpy(directory, path, n)
    directory[n] = 0
    return zq_directory_lock(directory)


cdef int _aside(const char* path, char* out, size_t size) noexcept nogil:
    """A name in the same directory that nobody has."""
    cdef size_t n = _name_at(path)
    cdef backoff dice
    cdef zq_file_id nobody
    cdef uint32_t word
    backoff_init(&dice, <uint64_t>zq_now_ns() ^ (<uint64_t>getpid() << 32))
    if n + 24 > size:
        return -EADDRINUSE
    memcpy(out, path, n)
    while True:
        word = <uint32_t>backoff_random(&dice, 0x7fffffff)
        snprintf(out + n, size - n, b".zq-stale-%08x", word)
        if zq_file_identify(out, &nobody) < 0:
            return 0


cdef bint _is_taken(int rc, const zq_file_id* there, const zq_addr* a) noexcept nogil:
    """By somebody alive, or by a file that is not ours to remove.  rc: what identifying it gave."""
    return rc != -ENOENT and (rc < 0 or not there.is_socket or not _is_dead(a))


cdef int _set_aside(const char* path, const zq_file_id* probed) noexcept nogil:
    """Remove the file that was probed.  0: try to bind; -EADDRINUSE: somebody else has the path now."""
    cdef char aside[PATH_BYTES]
    cdef zq_file_id moved
    cdef int rc = _aside(path, aside, sizeof(aside))
    if rc < 0:
        return rc
    if rename(path, aside) != 0:
        return 0 if errno == ENOENT else -EADDRINUSE
    if zq_file_identify(aside, &moved) == 0 and (moved.device != probed.device or moved.inode != probed.inode):
        # Put back what is not ours.  By link, which gives way to whoever has the path now; by rename where links
        # to sockets are forbidden.
        if link(aside, path) != 0 and errno != EEXIST:
            rename(aside, path)
        else:
            unlink(aside)
        return -EADDRINUSE
    unlink(aside)
    return 0


cdef int _clear(const char* path, const zq_addr* a) noexcept nogil:
    """Remove a stale file.  0: try to bind again; -EADDRINUSE: the path is taken."""
    cdef zq_file_id there
    cdef int pin
    cdef int rc = zq_file_pin(path, &there, &pin)
    if _is_taken(rc, &there, a):
        rc = -EADDRINUSE
    else:
        rc = _set_aside(path, &there) if rc == 0 else 0
    if pin >= 0:
        zq_close(pin)
    return rc


cdef char* _absolute(const char* path) noexcept nogil:
    """On the heap: the path as it will still be after a chdir.  NULL: out of memory."""
    cdef char whole[PATH_BYTES]
    cdef size_t n
    if path[0] == b"/" or getcwd(whole, sizeof(whole)) == NULL:
        return strdup(path)
    n = strlen(whole)
    snprintf(whole + n, sizeof(whole) - n, b"/%s", path)
    return strdup(whole)


cdef int _bind_path(ipc_file* f, int fd, const char* path, const zq_addr* a) noexcept nogil:
    cdef zq_file_id made, there
    cdef int _, lock
    cdef int rc
    f.path = _absolute(path)
    if f.path == NULL:
        return -ENOMEM
    rc = zq_bind(fd, a)
    # Who lives there needs no lock to be respected, and may be told of without waiting for one.
    if rc == -EADDRINUSE and not _is_taken(zq_file_identify(path, &there), &there, a):
        lock = _lock_directory(path)
        for _ in range(MAX_TRIES):
            rc = _clear(path, a)
            if rc < 0:
                break
            rc = zq_bind(fd, a)
            if rc != -EADDRINUSE:
                break
        zq_directory_unlock(lock)
    if rc == 0:
        rc = zq_file_identify(f.path, &made)
        if rc == 0:
            f.device = made.device
            f.inode = made.inode
            return 0
    free(f.path)
    f.path = NULL
    return rc


cdef int _make_directory(ipc_file* f, endpoint* ep) noexcept nogil:
    """A directory of our own, readable by nobody else, so that the name in it is free."""
    cdef const char* names[4]
    cdef const char* base
    cdef char made[256]
    cdef size_t n
    cdef int i
    names[0] = getenv(b"TMPDIR")
    names[1] = getenv(b"TEMP")
    names[2] = getenv(b"TMP")
    names[3] = b"/tmp"
    for i in range(4):
        base = names[i]
        if base == NULL or base[0] != b"/" or strlen(base) + 24 > ZQ_SUN_PATH_MAX:
            continue
        snprintf(made, sizeof(made), b"%s/zq-XXXXXX", base)
        if mkdtemp(made) == NULL:
            if errno == ENOENT or errno == ENOTDIR or errno == EACCES:
                continue
            return -errno
        f.directory = strdup(made)
        if f.directory == NULL:
            rmdir(made)
            return -ENOMEM
        n = strlen(made)
        memcpy(ep.path, made, n)
        memcpy(ep.path + n, b"/socket", 8)
        ep.path_any = False
        return 0
    return -ENOENT


cdef int ipc_file_bind(ipc_file* f, int fd, endpoint* ep) noexcept nogil:
    cdef zq_addr a
    cdef int rc = 0
    memset(f, 0, sizeof(ipc_file))
    if ep.path_any:
        rc = _make_directory(f, ep)
    if rc == 0:
        rc = addr_from_path(ep, &a)
    if rc == 0:
        rc = zq_bind(fd, &a) if ep.is_abstract else _bind_path(f, fd, ep.path, &a)
    if rc < 0:
        ipc_file_remove(f)
    return rc


cdef void ipc_file_remove(ipc_file* f) noexcept nogil:
    cdef zq_file_id there
    if f.path != NULL and zq_file_identify(f.path, &there) == 0 and there.is_socket \
            and there.device == f.device and there.inode == f.inode:
        unlink(f.path)
    if f.directory != NULL:
        rmdir(f.directory)
    ipc_file_forget(f)


cdef void ipc_file_forget(ipc_file* f) noexcept nogil:
    free(f.path)
    free(f.directory)
    f.path = NULL
    f.directory = NULL
