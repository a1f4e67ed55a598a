"""PLAIN: the client shows a user name and a password, in the clear; an authoriser decides (RFC 24).

Traffic is not protected.  As libzmq does, and unlike the RFC, our ERROR is spelt `^RROR`, the only spelling that
libzmq's client understands; both are understood (zcore.zmtp parse_command).
"""

from .mechanism cimport mechanism_ops


cdef const mechanism_ops* plain_mechanism() noexcept nogil
