/* net.h: the socket calls that differ between systems, each in one form.
 *
 * Everything returns 0 (or a descriptor) or -errno, restarts after signals, makes descriptors that are
 * non-blocking and closed on exec, and answers -ENOTSUP for an option the system does not have.
 */
#ifndef ZQ_NET_H
#define ZQ_NET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#if (defined(__linux__) || defined(__FreeBSD__)) && !defined(ZQ_PORTABLE)
#define ZQ_HAVE_ACCEPT4 1
#endif
#if defined(__linux__)
#include <sys/epoll.h>
#define ZQ_HAVE_ABSTRACT 1
#else
#define ZQ_HAVE_ABSTRACT 0
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
#define ZQ_HAVE_KQUEUE 1
#include <sys/event.h>
#include <sys/ucred.h>
#endif

/* ---- addresses ------------------------------------------------------------------------- */

typedef struct {
    socklen_t len;                /* bytes of `ss` in use; 0: no address */
    struct sockaddr_storage ss;
} zq_addr;

/* Bytes of the longest socket path (the kernel wants room for one more) and of the longest interface name. */
#define ZQ_IFNAME_MAX ((size_t)IFNAMSIZ - 1)
#define ZQ_SUN_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static inline const struct sockaddr *zq_sockaddr(const zq_addr *a) { return (const struct sockaddr *)&a->ss; }
static inline int zq_addr_family(const zq_addr *a) { return a->len ? a->ss.ss_family : AF_UNSPEC; }

/* Numeric text to bytes; 1 when it was an address. */
static inline int zq_parse_ipv4(const char *text, void *four) { return inet_aton(text, (struct in_addr *)four) != 0; }
static inline int zq_parse_ipv6(const char *text, void *sixteen) { return inet_pton(AF_INET6, text, sixteen) == 1; }

static inline void zq_addr_copy(zq_addr *a, const struct sockaddr *sa, socklen_t len)
{
    if (len > sizeof a->ss)
        len = sizeof a->ss;
    memset(&a->ss, 0, sizeof a->ss);
    memcpy(&a->ss, sa, len);
    a->len = len;
}

/* Bytes of an IP address as the system's lists have it; 0: another family. */
static inline socklen_t zq_sockaddr_len(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return sizeof(struct sockaddr_in);
    return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : 0;
}

/* The 4 or 16 bytes of an IP address, or NULL. */
static inline const uint8_t *zq_addr_bytes(const zq_addr *a)
{
    if (zq_addr_family(a) == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)&a->ss)->sin_addr;
    if (zq_addr_family(a) == AF_INET6)
        return (const uint8_t *)&((const struct sockaddr_in6 *)&a->ss)->sin6_addr;
    return NULL;
}

static inline uint32_t zq_addr_scope(const zq_addr *a)
{
    return zq_addr_family(a) == AF_INET6 ? ((const struct sockaddr_in6 *)&a->ss)->sin6_scope_id : 0;
}

static inline uint32_t zq_addr_port(const zq_addr *a)
{
    if (zq_addr_family(a) == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->ss)->sin_port);
    if (zq_addr_family(a) == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->ss)->sin6_port);
    return 0;
}

static inline void zq_addr_set_port(zq_addr *a, uint32_t port)
{
    if (zq_addr_family(a) == AF_INET)
        ((struct sockaddr_in *)&a->ss)->sin_port = htons((uint16_t)port);
    else if (zq_addr_family(a) == AF_INET6)
        ((struct sockaddr_in6 *)&a->ss)->sin6_port = htons((uint16_t)port);
}

static inline void zq_addr_ipv4(zq_addr *a, const void *four, uint32_t port)
{
    struct sockaddr_in in;
    memset(&in, 0, sizeof in);
    in.sin_family = AF_INET;
    in.sin_port = htons((uint16_t)port);
    memcpy(&in.sin_addr, four, 4);
    zq_addr_copy(a, (struct sockaddr *)&in, sizeof in);
}

static inline void zq_addr_ipv6(zq_addr *a, const void *sixteen, uint32_t scope, uint32_t port)
{
    struct sockaddr_in6 in;
    memset(&in, 0, sizeof in);
    in.sin6_family = AF_INET6;
    in.sin6_port = htons((uint16_t)port);
    in.sin6_scope_id = scope;
    memcpy(&in.sin6_addr, sixteen, 16);
    zq_addr_copy(a, (struct sockaddr *)&in, sizeof in);
}

/* A socket path, or with `abstract` a name outside the file system (`path` without its "@"). */
static inline int zq_addr_unix(zq_addr *a, const char *path, int abstract)
{
    struct sockaddr_un un;
    size_t n = strlen(path), at = abstract ? 1 : 0;
    if (abstract && !ZQ_HAVE_ABSTRACT)
        return -ENOTSUP;
    if (n + at > ZQ_SUN_PATH_MAX)
        return -ENAMETOOLONG;
    memset(&un, 0, sizeof un);
    un.sun_family = AF_UNIX;
    memcpy(un.sun_path + at, path, n);
    /* An abstract name is exactly as long as said; a path ends with NUL. */
    zq_addr_copy(a, (struct sockaddr *)&un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1));
    return 0;
}

/* The path of a unix address as text, an abstract one with "@"; empty when it has none. */
static inline void zq_addr_path(const zq_addr *a, char *buf, size_t size)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->ss;
    size_t n = a->len > offsetof(struct sockaddr_un, sun_path) ? a->len - offsetof(struct sockaddr_un, sun_path) : 0;
    if (n && un->sun_path[0] != 0)
        n = strnlen(un->sun_path, n);
    else if (n < 2 || !ZQ_HAVE_ABSTRACT)
        n = 0;
    if (n >= size)
        n = size - 1;
    memcpy(buf, un->sun_path, n);
    if (n && buf[0] == 0)
        buf[0] = '@';
    buf[n] = 0;
}

static inline int zq_local_addr(int fd, zq_addr *a)
{
    a->len = sizeof a->ss;
    return getsockname(fd, (struct sockaddr *)&a->ss, &a->len) == 0 ? 0 : -errno;
}

static inline int zq_peer_addr(int fd, zq_addr *a)
{
    a->len = sizeof a->ss;
    return getpeername(fd, (struct sockaddr *)&a->ss, &a->len) == 0 ? 0 : -errno;
}

/* ---- descriptors ----------------------------------------------------------------------- */

static inline int zq_tame(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
#if defined(SO_NOSIGPIPE)
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return 0;
}

static inline void zq_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

static inline int zq_socket(int family, int type)
{
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC) && !defined(ZQ_PORTABLE)
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
#else
    int fd = socket(family, type, 0);
    int rc;
    if (fd < 0)
        return -errno;
    rc = zq_tame(fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
#endif
}

static inline int zq_accept(int fd)
{
    int conn;
    do {
#if defined(ZQ_HAVE_ACCEPT4)
        conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
        conn = accept(fd, NULL, NULL);
#endif
    } while (conn < 0 && errno == EINTR);
    if (conn < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
#if !defined(ZQ_HAVE_ACCEPT4)
    {
        int rc = zq_tame(conn);
        if (rc < 0) {
            close(conn);
            return rc;
        }
    }
#endif
    return conn;
}

static inline int zq_bind(int fd, const zq_addr *a) { return bind(fd, zq_sockaddr(a), a->len) == 0 ? 0 : -errno; }
static inline int zq_listen(int fd, int backlog) { return listen(fd, backlog) == 0 ? 0 : -errno; }

/* 0 connected, -EINPROGRESS under way.  After EINTR the kernel goes on by itself. */
static inline int zq_connect(int fd, const zq_addr *a)
{
    if (connect(fd, zq_sockaddr(a), a->len) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno;
}

/* How a connect under way stands: 0, -EINPROGRESS, or why it failed. */
static inline int zq_connect_result(int fd)
{
    int err = 0;
    socklen_t n = sizeof err;
    zq_addr peer;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
        return -errno;
    if (err)
        return -err;
    if (zq_peer_addr(fd, &peer) == 0)
        return 0;
    return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

/* Connected to itself: on loopback, a system that picks the wanted port as the source joins both ends. */
static inline int zq_is_self_connected(int fd)
{
    zq_addr here, there;
    if (zq_local_addr(fd, &here) != 0 || zq_peer_addr(fd, &there) != 0)
        return 0;
    return zq_addr_bytes(&here) && here.len == there.len && zq_addr_port(&here) == zq_addr_port(&there)
        && memcmp(zq_addr_bytes(&here), zq_addr_bytes(&there), zq_addr_family(&here) == AF_INET ? 4 : 16) == 0;
}

static inline long zq_read(int fd, void *buf, size_t n)
{
    ssize_t got;
    do
        got = recv(fd, buf, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return (long)got;
}

static inline long zq_write(int fd, const void *buf, size_t n)
{
    ssize_t put;
    do
#if defined(MSG_NOSIGNAL)
        put = send(fd, buf, n, MSG_NOSIGNAL);
#else
        put = send(fd, buf, n, 0);
#endif
    while (put < 0 && errno == EINTR);
    if (put < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return (long)put;
}

/* ---- options --------------------------------------------------------------------------- */

static inline int zq_set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

static inline int zq_get_int(int fd, int level, int name)
{
    int value = 0;
    socklen_t n = sizeof value;
    return getsockopt(fd, level, name, &value, &n) == 0 ? value : -errno;
}

static inline int zq_set_nodelay(int fd) { return zq_set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); }
static inline int zq_set_reuseaddr(int fd) { return zq_set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1); }
static inline int zq_set_sndbuf(int fd, int n) { return zq_set_int(fd, SOL_SOCKET, SO_SNDBUF, n); }
static inline int zq_set_rcvbuf(int fd, int n) { return zq_set_int(fd, SOL_SOCKET, SO_RCVBUF, n); }
static inline int zq_set_v6only(int fd, int on) { return zq_set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, on); }
static inline int zq_set_keepalive(int fd, int on) { return zq_set_int(fd, SOL_SOCKET, SO_KEEPALIVE, on); }

static inline int zq_set_keepalive_idle(int fd, int seconds)
{
#if defined(TCP_KEEPIDLE)
    return zq_set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
#elif defined(TCP_KEEPALIVE)
    return zq_set_int(fd, IPPROTO_TCP, TCP_KEEPALIVE, seconds);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_set_keepalive_intvl(int fd, int seconds)
{
#if defined(TCP_KEEPINTVL)
    return zq_set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_set_keepalive_cnt(int fd, int probes)
{
#if defined(TCP_KEEPCNT)
    return zq_set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_set_maxrt(int fd, int ms)
{
#if defined(TCP_USER_TIMEOUT)
    return zq_set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
#elif defined(TCP_RXT_CONNDROPTIME)
    return zq_set_int(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, ms / 1000 + (ms % 1000 != 0));   /* whole seconds */
#else
    return -ENOTSUP;
#endif
}

/* Both fields on an IPv6 socket: it may carry IPv4. */
static inline int zq_set_tos(int fd, int family, int tos)
{
    int rc;
    if (family != AF_INET6)
        return zq_set_int(fd, IPPROTO_IP, IP_TOS, tos);
#if defined(IPV6_TCLASS)
    rc = zq_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, tos);
#else
    rc = -ENOTSUP;
#endif
    (void)zq_set_int(fd, IPPROTO_IP, IP_TOS, tos);
    return rc;
}

static inline int zq_set_priority(int fd, int priority)
{
#if defined(SO_PRIORITY)
    return zq_set_int(fd, SOL_SOCKET, SO_PRIORITY, priority);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_set_busy_poll(int fd, int us)
{
#if defined(SO_BUSY_POLL)
    return zq_set_int(fd, SOL_SOCKET, SO_BUSY_POLL, us);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_set_device(int fd, int family, const char *name)
{
#if defined(SO_BINDTODEVICE)
    (void)family;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) == 0 ? 0 : -errno;
#elif defined(IP_BOUND_IF)
    int index = (int)if_nametoindex(name);
    if (index == 0)
        return -ENODEV;
    return family == AF_INET6 ? zq_set_int(fd, IPPROTO_IPV6, IPV6_BOUND_IF, index)
                              : zq_set_int(fd, IPPROTO_IP, IP_BOUND_IF, index);
#else
    return -ENOTSUP;
#endif
}

/* A source address without a source port: let the port be chosen when connecting, so that all of them serve
 * every destination.  A refinement where the system has it. */
static inline void zq_set_bind_no_port(int fd)
{
#if defined(IP_BIND_ADDRESS_NO_PORT)
    (void)zq_set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#else
    (void)fd;
#endif
}

/* 1 listening, 0 not; -ENOTSUP where the system does not tell. */
static inline int zq_is_listening(int fd)
{
#if defined(SO_ACCEPTCONN)
    return zq_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN);
#else
    return -ENOTSUP;
#endif
}

static inline int zq_socket_type(int fd) { return zq_get_int(fd, SOL_SOCKET, SO_TYPE); }

/* The CPU that handled the last packet received, or -1. */
static inline int zq_incoming_cpu(int fd)
{
#if defined(SO_INCOMING_CPU)
    int cpu = zq_get_int(fd, SOL_SOCKET, SO_INCOMING_CPU);
    return cpu < 0 ? -1 : cpu;
#else
    (void)fd;
    return -1;
#endif
}

/* ---- who is at the other end of a unix socket ---------------------------------------------- */

static inline int zq_peer_ids(int fd, uint32_t *uid, uint32_t *gid, uint32_t *pid)
{
#if defined(__linux__)
    struct ucred cred;
    socklen_t n = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
        return -errno;
    *uid = cred.uid;
    *gid = cred.gid;
    *pid = (uint32_t)cred.pid;
    return 0;
#elif defined(LOCAL_PEERCRED)
    struct xucred cred;
    socklen_t n = sizeof cred;
    memset(&cred, 0, sizeof cred);
    if (getsockopt(fd, 0, LOCAL_PEERCRED, &cred, &n) != 0)
        return -errno;
    *uid = cred.cr_uid;
    *gid = cred.cr_ngroups > 0 ? cred.cr_groups[0] : (uint32_t)-1;
    *pid = 0;
#if defined(LOCAL_PEERPID)
    {
        pid_t p = 0;
        n = sizeof p;
        if (getsockopt(fd, 0, LOCAL_PEERPID, &p, &n) == 0)
            *pid = (uint32_t)p;
    }
#endif
    return 0;
#else
    return -ENOTSUP;
#endif
}

/* 1 when `gid` is among the peer's supplementary groups. */
static inline int zq_peer_in_group(int fd, uint32_t gid)
{
#if defined(SO_PEERGROUPS)
    gid_t some[64], *groups = some;
    socklen_t n = sizeof some;
    int found = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0) {
        if (errno != ERANGE || !(groups = (gid_t *)malloc(n)))
            return 0;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0)
            n = 0;
    }
    for (size_t i = 0; i < n / sizeof *groups; i++)
        found |= groups[i] == gid;
    if (groups != some)
        free(groups);
    return found;
#elif defined(LOCAL_PEERCRED)
    struct xucred cred;
    socklen_t n = sizeof cred;
    memset(&cred, 0, sizeof cred);
    if (getsockopt(fd, 0, LOCAL_PEERCRED, &cred, &n) == 0)
        for (int i = 0; i < cred.cr_ngroups; i++)
            if (cred.cr_groups[i] == gid)
                return 1;
    return 0;
#else
    (void)fd;
    (void)gid;
    return 0;
#endif
}

/* ---- several connects behind one descriptor -------------------------------------------------
 * A descriptor that turns readable when any member turns writable.  -ENOTSUP: take one at a time. */

static inline int zq_group_open(void)
{
#if defined(__linux__)
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
#elif defined(ZQ_HAVE_KQUEUE)
    int fd = kqueue();
    if (fd < 0)
        return -errno;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
#else
    return -ENOTSUP;
#endif
}

static inline int zq_group_add(int group, int fd)
{
#if defined(__linux__)
    struct epoll_event ev;
    memset(&ev, 0, sizeof ev);
    ev.events = EPOLLOUT;
    ev.data.fd = fd;
    return epoll_ctl(group, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
#elif defined(ZQ_HAVE_KQUEUE)
    struct kevent ev;
    EV_SET(&ev, fd, EVFILT_WRITE, EV_ADD, 0, 0, NULL);
    return kevent(group, &ev, 1, NULL, 0, NULL) == 0 ? 0 : -errno;
#else
    (void)group;
    (void)fd;
    return -ENOTSUP;
#endif
}

/* Before the member is closed, or given away. */
static inline void zq_group_remove(int group, int fd)
{
#if defined(__linux__)
    struct epoll_event ev;
    memset(&ev, 0, sizeof ev);
    (void)epoll_ctl(group, EPOLL_CTL_DEL, fd, &ev);
#elif defined(ZQ_HAVE_KQUEUE)
    struct kevent ev;
    EV_SET(&ev, fd, EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    (void)kevent(group, &ev, 1, NULL, 0, NULL);
#else
    (void)group;
    (void)fd;
#endif
}

#endif /* ZQ_NET_H */
