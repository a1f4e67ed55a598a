"""The names that programs import, and what they are."""

import importlib
import inspect
import pickle

import pytest

import pyzq

CLASSES = [
    "Context",
    "SyncContext",
    "Socket",
    "SyncSocket",
    "Frame",
    "Message",
    "MessageTracker",
    "Poller",
    "Stopwatch",
]
FUNCTIONS = [
    "curve_keypair",
    "curve_public",
    "device",
    "get_includes",
    "get_library_dirs",
    "has",
    "proxy",
    "proxy_steerable",
    "pyzmq_version",
    "pyzmq_version_info",
    "select",
    "strerror",
    "zmq_errno",
    "zmq_poll",
    "zmq_version",
    "zmq_version_info",
]
EXCEPTIONS = [
    "Again",
    "ContextTerminated",
    "DraftFDWarning",
    "InterruptedSystemCall",
    "NotDone",
    "ZMQBaseError",
    "ZMQBindError",
    "ZMQError",
    "ZMQVersionError",
]
VALUES = [
    "COPY_THRESHOLD",
    "DRAFT_API",
    "PYZMQ_DRAFT_API",
    "IPC_PATH_MAX_LEN",
    "__version__",
    "__revision__",
    "_FINISHED_TRACKER",
]

CONTEXT = [
    "instance",
    "shadow",
    "shadow_pyczmq",
    "term",
    "destroy",
    "closed",
    "underlying",
    "socket",
    "set",
    "get",
    "setsockopt",
    "getsockopt",
    "_socket_class",
    "__enter__",
    "__exit__",
    "__copy__",
    "__deepcopy__",
]
SOCKET = [
    "bind",
    "connect",
    "unbind",
    "disconnect",
    "bind_to_random_port",
    "close",
    "closed",
    "context",
    "type",
    "socket_type",
    "underlying",
    "copy_threshold",
    "shadow",
    "fileno",
    "set",
    "get",
    "setsockopt",
    "getsockopt",
    "set_string",
    "get_string",
    "setsockopt_string",
    "getsockopt_string",
    "setsockopt_unicode",
    "getsockopt_unicode",
    "hwm",
    "get_hwm",
    "set_hwm",
    "subscribe",
    "unsubscribe",
    "join",
    "leave",
    "send",
    "recv",
    "recv_into",
    "send_multipart",
    "recv_multipart",
    "send_many",
    "recv_many",
    "send_serialized",
    "recv_serialized",
    "send_string",
    "recv_string",
    "send_unicode",
    "recv_unicode",
    "send_json",
    "recv_json",
    "send_pyobj",
    "recv_pyobj",
    "poll",
    "monitor",
    "get_monitor_socket",
    "disable_monitor",
    "stats",
    "hwm_policy",
    "set_hwm_policy",
    "__enter__",
    "__exit__",
    "__copy__",
    "__deepcopy__",
]
FRAME = [
    "bytes",
    "buffer",
    "more",
    "tracker",
    "group",
    "routing_id",
    "get",
    "set",
    "__getitem__",
    "fast_copy",
    "__len__",
    "__copy__",
]
MODULES = [
    "asyncio",
    "backend",
    "backend.cython",
    "constants",
    "context",
    "decorators",
    "error",
    "frame",
    "hwm",
    "patterns",
    "poll",
    "proxy",
    "socket",
    "stopwatch",
    "sugar",
    "sugar.attrsettr",
    "sugar.context",
    "sugar.frame",
    "sugar.poll",
    "sugar.socket",
    "sugar.stopwatch",
    "sugar.tracker",
    "sugar.version",
    "timers",
    "utils",
    "utils.garbage",
    "utils.interop",
    "utils.jsonapi",
    "utils.monitor",
    "utils.strtypes",
    "utils.win32",
    "utils.z85",
    "version",
    "_future",
]


@pytest.mark.parametrize("name", CLASSES + FUNCTIONS + EXCEPTIONS + VALUES)
def test_namespace(name):
    assert hasattr(pyzq, name)
    if name not in ("get_library_dirs",):
        assert name in pyzq.__all__


def test_kinds():
    assert all(inspect.isclass(getattr(pyzq, name)) for name in CLASSES + EXCEPTIONS)
    assert all(callable(getattr(pyzq, name)) for name in FUNCTIONS)
    assert pyzq.Message is pyzq.Frame
    assert pyzq.SyncSocket is pyzq.Socket
    assert pyzq.SyncContext is pyzq.Context


def test_all_exists():
    assert len(set(pyzq.__all__)) == len(pyzq.__all__)
    for name in pyzq.__all__:
        assert hasattr(pyzq, name), name


@pytest.mark.parametrize(("cls", "names"), [("Context", CONTEXT), ("Socket", SOCKET), ("Frame", FRAME)])
def test_members(cls, names):
    missing = [name for name in names if not hasattr(getattr(pyzq, cls), name)]
    assert not missing


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore:pyzq.utils.strtypes:DeprecationWarning")
def test_modules(name):
    importlib.import_module(f"pyzq.{name}")


def test_reached_without_import():
    assert pyzq.sugar.context.Context is pyzq.Context
    assert pyzq.sugar.socket.Socket is pyzq.Socket
    assert pyzq.backend.Socket in pyzq.Socket.__mro__
    assert pyzq.backend.Context in pyzq.Context.__mro__


def test_hot_calls_are_the_engines_own():
    for name in ("send", "recv", "recv_into", "send_multipart", "recv_multipart", "send_many", "recv_many", "poll"):
        assert name not in vars(pyzq.Socket)
        assert getattr(pyzq.Socket, name) is getattr(pyzq.backend.Socket, name)
    assert not hasattr(pyzq.Socket, "__getattr__")


def test_classes_can_be_subscripted():
    assert pyzq.Socket[bytes].__origin__ is pyzq.Socket
    assert pyzq.Context[pyzq.Socket].__origin__ is pyzq.Context


def test_exceptions_travel():
    for error in (pyzq.ZMQError(pyzq.EINVAL), pyzq.Again(), pyzq.ZMQVersionError("5", "x"), pyzq.error.WrongState(1)):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert getattr(copy, "errno", None) == getattr(error, "errno", None)
