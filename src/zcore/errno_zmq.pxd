"""Error numbers of ZeroMQ that no system header has, and those that macOS and Linux both have under one name."""

cdef enum:
    ZMQ_HAUSNUMERO = 156384712
    EFSM = 156384763              # the operation does not fit the state of the socket
    ENOCOMPATPROTO = 156384764    # the transport does not carry this socket type
    ETERM = 156384765             # the context was terminated
    EMTHREAD = 156384766          # no I/O thread

cdef extern from "<errno.h>" nogil:
    int ENOTSUP               # also known as EOPNOTSUPP; not among Cython's own declarations
    int ENOTSOCK
    int EFAULT
    int ECANCELED
