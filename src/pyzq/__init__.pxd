"""`from pyzq cimport Context, Socket, Frame`: the engine's classes, which those of Python programs are subclasses of."""

from zcore.context cimport Context
from zcore.frame cimport Frame
from zcore.socket cimport Socket
