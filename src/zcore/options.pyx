"""Setting, getting and copying options by the rows of `option_table`, and a Python view of the rows."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EINVAL, ENOMEM
from libc.limits cimport INT_MAX, INT_MIN
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy, memset
from zcore.option_table cimport (
    OPT_CHECK_ID, OPT_CHECK_KEY, OPT_CHECK_META, OPT_CHECK_NET, OPT_CHECK_TRUTH, OPT_CLEARABLE, OPT_DEPRECATED,
    OPT_EFFECT_CURVE_CLIENT, OPT_EFFECT_CURVE_SERVER, OPT_EFFECT_HWM, OPT_EFFECT_IPV4ONLY, OPT_EFFECT_IPV6,
    OPT_EFFECT_LAST_VALUE, OPT_EFFECT_MANUAL, OPT_EFFECT_NEEDS_MANUAL, OPT_EFFECT_PLAIN_CLIENT, OPT_EFFECT_PLAIN_SERVER,
    OPT_EFFECT_REMOVE, OPT_EFFECT_TENTHS, OPT_EFFECT_VERBOSE, OPT_EFFECT_VERBOSER, OPT_STORE_BYTES, OPT_STORE_CONST,
    OPT_STORE_CPU, OPT_STORE_INT, OPT_STORE_INT64, OPT_STORE_INTS, OPT_STORE_KEY, OPT_STORE_NAME, OPT_STORE_NETS,
    OPT_STORE_NONE, ctx_option_at, ctx_option_defaults, option_at, option_defaults,
)
from zcore.option_values cimport (
    CURVE_KEY_SIZE, CURVE_KEY_TEXT, curve_key_encode, curve_key_set, ip_filters_add, ip_filters_copy, ip_filters_free,
    ip_filters_match, obytes_free, obytes_set, oints_add, oints_copy, oints_free, oints_have, oints_remove,
    property_set,
)


# ---- what rows own ---------------------------------------------------------------------------------------------------

# What a row keeps besides the struct's own bytes: freed, or copied for a struct whose bytes were copied and zeroed
# there.
cdef void _release(void* base, const option_row* row) noexcept nogil:
    cdef void* field = <char*>base + row.offset
    if row.store == OPT_STORE_INTS or row.store == OPT_STORE_CPU:
        oints_free(<oints*>field)
    elif row.store == OPT_STORE_NETS:
        ip_filters_free(<ip_filters*>field)
    else:
        obytes_free(<obytes*>field)


cdef int _duplicate(void* base, const void* source, const option_row* row) noexcept nogil:
    cdef void* field = <char*>base + row.offset
    cdef const void* original = <const char*>source + row.offset
    if row.store == OPT_STORE_INTS:
        return oints_copy(<oints*>field, <const oints*>original)
    if row.store == OPT_STORE_NETS:
        return ip_filters_copy(<ip_filters*>field, <const ip_filters*>original)
    return obytes_set(<obytes*>field, (<const obytes*>original).data, (<const obytes*>original).size)


cdef inline bint _owns(const option_row* row) noexcept nogil:
    return not (row.store == OPT_STORE_NONE or row.store == OPT_STORE_INT or row.store == OPT_STORE_INT64
                or row.store == OPT_STORE_CONST)


cdef inline size_t _width(const option_row* row) noexcept nogil:
    if row.store == OPT_STORE_INTS or row.store == OPT_STORE_CPU:
        return sizeof(oints)
    if row.store == OPT_STORE_NETS:
        return sizeof(ip_filters)
    return sizeof(obytes)


# ---- checks and conversions ------------------------------------------------------------------------------------------

cdef int _name_set(obytes* field, const void* value, size_t size, int kind) noexcept nogil:
    cdef char text[24]
    if kind == OPT_KIND_INT64:
        size = snprintf(text, sizeof(text), "%lld", <long long>(<const int64_t*>value)[0])
        return obytes_set(field, text, size)
    return obytes_set(field, value, size) if size <= 16 else -EINVAL


# Checks a value against its row and keeps it; what other values follow from it is the caller's business.
cdef int _store(void* base, const option_row* row, const void* value, size_t size, int kind) noexcept nogil:
    cdef void* field = <char*>base + row.offset
    cdef int64_t number
    if kind == OPT_KIND_BYTES:
        if row.store == OPT_STORE_NAME:
            return _name_set(<obytes*>field, value, size, kind) if value != NULL else -EINVAL
        if row.type != OPT_TYPE_BYTES:
            return -EINVAL
        if value == NULL:
            if not row.flags & OPT_CLEARABLE:
                return -EINVAL
            _release(base, row)
            return 0
        if <int64_t>size < row.low or <int64_t>size > row.high or size > 0x7fffffff:
            return -EINVAL
        if row.check == OPT_CHECK_KEY:
            return curve_key_set(<obytes*>field, <const uint8_t*>value, size)
        if row.check == OPT_CHECK_NET:
            return ip_filters_add(<ip_filters*>field, <const uint8_t*>value, size)
        if row.check == OPT_CHECK_META:
            return property_set(<obytes*>field, <const uint8_t*>value, size)
        if row.check == OPT_CHECK_ID and (<const uint8_t*>value)[0] == 0:
            return -EINVAL
        if row.store == OPT_STORE_NONE:
            return OPT_SPECIAL
        return obytes_set(<obytes*>field, value, size)
    if kind != OPT_KIND_INT64 or row.type == OPT_TYPE_BYTES:
        return -EINVAL
    number = (<const int64_t*>value)[0]
    if number < row.low or number > row.high:
        return -EINVAL
    if row.check == OPT_CHECK_TRUTH:
        number = number != 0
    if row.store == OPT_STORE_INT:
        (<int*>field)[0] = <int>number
    elif row.store == OPT_STORE_INT64:
        (<int64_t*>field)[0] = number
    elif row.store == OPT_STORE_INTS:
        return oints_add(<oints*>field, number)
    elif row.store == OPT_STORE_CPU:
        if row.effect == OPT_EFFECT_REMOVE:
            return oints_remove(<oints*>field, number)
        return oints_add(<oints*>field, number)
    elif row.store == OPT_STORE_NAME:
        return _name_set(<obytes*>field, value, size, kind)
    else:
        return OPT_SPECIAL
    return 0


cdef int _load(const void* base, const option_row* row, option_value* out) noexcept nogil:
    cdef const void* field = <const char*>base + row.offset
    cdef const obytes* b
    out.kind = OPT_KIND_INT64
    out.data = out.text
    out.size = 0
    if row.store == OPT_STORE_INT:
        out.number = (<const int*>field)[0]
    elif row.store == OPT_STORE_INT64:
        out.number = (<const int64_t*>field)[0]
    elif row.store == OPT_STORE_CONST:
        out.number = row.preset
    elif row.store == OPT_STORE_BYTES:
        b = <const obytes*>field
        out.kind = OPT_KIND_BYTES
        out.size = b.size
        if b.size:
            out.data = b.data
    elif row.store == OPT_STORE_KEY:
        b = <const obytes*>field
        out.kind = OPT_KIND_BYTES
        if b.size == CURVE_KEY_SIZE:
            curve_key_encode(b.data, out.text)
            out.size = CURVE_KEY_TEXT
    elif row.store == OPT_STORE_NAME:
        _name_get(<const obytes*>field, out)
    else:
        return OPT_SPECIAL
    return 0


# Text that is a whole 32-bit number (or empty: 0) is read back as that number, other text as it is.
cdef void _name_get(const obytes* b, option_value* out) noexcept nogil:
    cdef size_t i = 1 if b.size > 1 and b.data[0] == c"-" else 0
    cdef int64_t number = 0
    while i < b.size and c"0" <= b.data[i] <= c"9" and number <= INT_MAX:
        number = number * 10 + (b.data[i] - c"0")
        i += 1
    if b.size and b.data[0] == c"-":
        number = -number
    if i < b.size or number > INT_MAX or number < INT_MIN:
        out.kind = OPT_KIND_BYTES
        out.data = b.data
        out.size = b.size
    else:
        out.number = number


# ---- socket options --------------------------------------------------------------------------------------------------

cdef void options_init(options* o, int socket_type) noexcept nogil:
    option_defaults(o)
    if socket_type == 2 or socket_type == 10:      # a SUB or XSUB has nothing to send that is worth waiting for
        o.linger = 0


cdef void options_inherit(options* o, const ctx_options* c) noexcept nogil:
    o.ipv6 = c.ipv6
    o.ipv4only = not c.ipv6
    if not c.blocky:
        o.linger = 0


cdef int options_copy(options* dst, const options* src) noexcept nogil:
    cdef size_t i = 0
    cdef const option_row* row = option_at(0)
    memcpy(dst, src, sizeof(options))
    while row != NULL:
        if _owns(row):
            memset(<char*>dst + row.offset, 0, _width(row))
        i += 1
        row = option_at(i)
    i = 0
    row = option_at(0)
    while row != NULL:
        if _owns(row) and _duplicate(dst, src, row) != 0:
            options_free(dst)
            return -ENOMEM
        i += 1
        row = option_at(i)
    return 0


cdef void options_free(options* o) noexcept nogil:
    cdef size_t i = 0
    cdef const option_row* row = option_at(0)
    while row != NULL:
        if _owns(row):
            _release(o, row)
        i += 1
        row = option_at(i)
    option_defaults(o)


# The values that follow from the one just stored.
cdef void _follow(options* o, const option_row* row, bint cleared) noexcept nogil:
    cdef int effect = row.effect
    if effect == OPT_EFFECT_HWM:
        o.rcvhwm = o.sndhwm
    elif effect == OPT_EFFECT_IPV6:
        o.ipv4only = not o.ipv6
    elif effect == OPT_EFFECT_IPV4ONLY:
        o.ipv6 = not o.ipv4only
    elif effect == OPT_EFFECT_TENTHS:
        o.heartbeat_ttl = o.heartbeat_ttl // 100 * 100      # C division: -99 .. 99 become 0
    elif effect == OPT_EFFECT_VERBOSE:
        o.xpub_verboser = 0
    elif effect == OPT_EFFECT_VERBOSER:
        o.xpub_verbose = o.xpub_verboser
    elif effect == OPT_EFFECT_MANUAL:
        if not o.xpub_manual:
            o.xpub_manual_last_value = 0
    elif effect == OPT_EFFECT_LAST_VALUE:
        o.xpub_manual = o.xpub_manual_last_value
    elif OPT_EFFECT_PLAIN_SERVER <= effect <= OPT_EFFECT_CURVE_CLIENT:
        if effect == OPT_EFFECT_PLAIN_SERVER:
            o.as_server = o.plain_server
            o.mechanism = OPT_MECHANISM_PLAIN if o.plain_server else OPT_MECHANISM_NULL
        elif effect == OPT_EFFECT_PLAIN_CLIENT:
            o.as_server = 0
            o.mechanism = OPT_MECHANISM_NULL if cleared else OPT_MECHANISM_PLAIN
        elif effect == OPT_EFFECT_CURVE_SERVER:
            o.as_server = o.curve_server
            o.mechanism = OPT_MECHANISM_CURVE if o.curve_server else OPT_MECHANISM_NULL
        else:
            o.mechanism = OPT_MECHANISM_CURVE
            if effect == OPT_EFFECT_CURVE_CLIENT:
                o.as_server = 0
        o.plain_server = o.as_server and o.mechanism == OPT_MECHANISM_PLAIN
        o.curve_server = o.as_server and o.mechanism == OPT_MECHANISM_CURVE


cdef inline bint _allowed(const option_row* row, int socket_type, int access) noexcept nogil:
    return (row != NULL and row.access & access and not row.flags & OPT_ABSENT
            and 0 <= socket_type <= 20 and row.types >> socket_type & 1)


cdef int options_set(options* o, int socket_type, int number, const void* value, size_t size, int kind) noexcept nogil:
    cdef const option_row* row = option_find(number)
    cdef int rc
    if not _allowed(row, socket_type, OPT_SET):
        return -EINVAL
    if row.effect == OPT_EFFECT_NEEDS_MANUAL and socket_type != 2 and not o.xpub_manual:
        return -EINVAL
    rc = _store(o, row, value, size, kind)
    if rc == 0 and row.effect:
        _follow(o, row, kind == OPT_KIND_BYTES and value == NULL)
    return rc


cdef int options_get(const options* o, int socket_type, int number, option_value* out) noexcept nogil:
    cdef const option_row* row = option_find(number)
    if not _allowed(row, socket_type, OPT_GET):
        return -EINVAL
    return _load(o, row, out)


cdef int option_reason(int number, int code, char* buf, size_t n) noexcept nogil:
    cdef const option_row* row = option_find(number)
    cdef const char* access
    cdef int length
    if n == 0:
        return 0
    if row == NULL:
        length = snprintf(buf, n, "%d is not a socket option", number)
    elif code == -ENOMEM:
        length = snprintf(buf, n, "%s (%d): no memory for the value", row.name, number)
    elif row.flags & OPT_ABSENT:
        length = snprintf(buf, n, "%s (%d) needs a library that is not built in", row.name, number)
    elif code >= 0:
        length = snprintf(buf, n, "%s (%d)", row.name, number)
    else:
        access = ""
        if row.access == OPT_GET:
            access = "; it can only be read"
        elif row.access == OPT_SET:
            access = "; it can only be set"
        length = _wants(row, access, buf, n)
    return length if length < <int>n else <int>n - 1


cdef int _wants(const option_row* row, const char* access, char* buf, size_t n) noexcept nogil:
    cdef const char* open = " (" if row.unit[0] else ""
    cdef const char* close = ")" if row.unit[0] else ""
    if row.check == OPT_CHECK_KEY:
        return snprintf(buf, n, "%s (%d) takes 32 raw bytes or 40 Z85 characters%s", row.name, row.number, access)
    if row.check == OPT_CHECK_NET:
        return snprintf(buf, n, "%s (%d) takes \"address\" or \"address/bits\", in numbers%s", row.name, row.number,
                        access)
    if row.check == OPT_CHECK_META:
        return snprintf(buf, n, "%s (%d) takes \"X-name:value\"%s", row.name, row.number, access)
    if row.check == OPT_CHECK_ID:
        return snprintf(buf, n, "%s (%d) takes %lld to %lld bytes, the first not 0%s", row.name, row.number,
                        <long long>row.low, <long long>row.high, access)
    if row.access == OPT_GET:
        return snprintf(buf, n, "%s (%d) can only be read", row.name, row.number)
    if row.type == OPT_TYPE_BYTES:
        return snprintf(buf, n, "%s (%d) takes %lld to %lld bytes%s", row.name, row.number, <long long>row.low,
                        <long long>row.high, access)
    return snprintf(buf, n, "%s (%d) takes an integer from %lld to %lld%s%s%s%s", row.name, row.number,
                    <long long>row.low, <long long>row.high, open, row.unit, close, access)


cdef bint options_accept_ip(const options* o, const sockaddr* address) noexcept nogil:
    return o.tcp_accept_filter.count == 0 or ip_filters_match(&o.tcp_accept_filter, address)


cdef bint options_accept_ipc(const options* o, int64_t pid, int64_t uid, int64_t gid) noexcept nogil:
    if o.ipc_filter_pid.count == 0 and o.ipc_filter_uid.count == 0 and o.ipc_filter_gid.count == 0:
        return True
    return (oints_have(&o.ipc_filter_pid, pid) or oints_have(&o.ipc_filter_uid, uid)
            or oints_have(&o.ipc_filter_gid, gid))


# ---- context options -------------------------------------------------------------------------------------------------

cdef void ctx_options_init(ctx_options* c) noexcept nogil:
    ctx_option_defaults(c)


cdef void ctx_options_free(ctx_options* c) noexcept nogil:
    cdef size_t i = 0
    cdef const option_row* row = ctx_option_at(0)
    while row != NULL:
        if _owns(row):
            _release(c, row)
        i += 1
        row = ctx_option_at(i)


cdef int ctx_options_set(ctx_options* c, int number, const void* value, size_t size, int kind) noexcept nogil:
    cdef const option_row* row = ctx_option_find(number, OPT_SET)
    return _store(c, row, value, size, kind) if row != NULL else -EINVAL


cdef int ctx_options_get(const ctx_options* c, int number, option_value* out) noexcept nogil:
    cdef const option_row* row = ctx_option_find(number, OPT_GET)
    return _load(c, row, out) if row != NULL else -EINVAL


# ---- Python face -----------------------------------------------------------------------------------------------------

SOCKET_TYPES = (
    "PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB", "STREAM",
    "SERVER", "CLIENT", "RADIO", "DISH", "GATHER", "SCATTER", "DGRAM", "PEER", "CHANNEL",
)
SPECIAL = "special"
_TYPE = ("int", "int64", "bytes", "fd")
_ACCESS = ("", "g", "s", "sg")
_CHECK = ("range", "bool", "truth", "id", "key", "network", "property")
_APPLIES = ("at once", "next bind or connect", "next peer", "read only", "before the first socket", "next socket")


cdef dict _as_dict(const option_row* row):
    default = None
    if row.store == OPT_STORE_INT or row.store == OPT_STORE_INT64 or row.store == OPT_STORE_CONST:
        default = row.preset
    elif row.store == OPT_STORE_BYTES or row.store == OPT_STORE_KEY or row.store == OPT_STORE_NAME:
        default = b""
    return {
        "number": row.number,
        "name": row.name.decode(),
        "aliases": tuple(row.aliases.decode().split()),
        "group": row.group.decode(),
        "type": _TYPE[row.type],
        "access": _ACCESS[row.access],
        "default": default,
        "low": row.low,
        "high": row.high,
        "check": _CHECK[row.check],
        "unit": row.unit.decode(),
        "applies": _APPLIES[row.applies],
        "types": tuple(name for i, name in enumerate(SOCKET_TYPES) if row.types >> i & 1),
        "used_by": tuple(name for i, name in enumerate(SOCKET_TYPES) if row.used_by >> i & 1),
        "built": not row.flags & OPT_ABSENT,
        "clearable": bool(row.flags & OPT_CLEARABLE),
        "deprecated": bool(row.flags & OPT_DEPRECATED),
        "meaning": row.meaning.decode(),
    }


def table():
    """The socket options as a list of dicts in the order of the reference page.

    Keys: `number`, `name`, `aliases` (tuple), `group`, `type` ("int", "int64", "bytes", "fd"), `access` ("s", "g",
    "sg"), `default` (None when there is none to tell), `low` and `high` (of the integer, or of the length), `check`
    ("range", "bool", "truth": any integer counts as 0 or 1, "id", "key", "network", "property"), `unit`, `applies`
    (when a new value counts), `types` (names of the socket types that take it), `used_by` (those it makes a difference
    to), `built` (False: always EINVAL here), `clearable` (None clears it), `deprecated`, `meaning`.
    """
    cdef size_t i = 0
    rows = []
    while option_at(i) != NULL:
        rows.append(_as_dict(option_at(i)))
        i += 1
    return rows


def context_table():
    """The context options as a list of dicts with the keys of `table()`.

    Number 3 has two rows: one can be read, the other can be set.
    """
    cdef size_t i = 0
    rows = []
    while ctx_option_at(i) != NULL:
        row = _as_dict(ctx_option_at(i))
        row["types"] = row["used_by"] = ()
        rows.append(row)
        i += 1
    return rows


def reason(int number, int code=-EINVAL):
    """What socket option `number` wants, as `option_reason` writes it."""
    cdef char buf[256]
    cdef int n = option_reason(number, code, buf, sizeof(buf))
    return PyBytes_FromStringAndSize(buf, n).decode()


cdef object _as_object(option_value* v):
    if v.kind == OPT_KIND_BYTES:
        return PyBytes_FromStringAndSize(<const char*>v.data, v.size)
    return v.number


cdef class OptionSet:
    """The options of one socket, without the socket.

    `OptionSet(socket_type)`; `set` and `get` behave as the core's `options_set` and `options_get`: OSError with what
    the option wants, or the word `SPECIAL` for what only a socket can do or answer.
    """

    def __cinit__(self, int socket_type):
        options_init(&self.o, socket_type)
        self.socket_type = socket_type

    def __dealloc__(self):
        options_free(&self.o)

    def set(self, int number, value):
        """Sets an option to an int, to bytes, or to None (cleared). Returns None or SPECIAL; raises OSError."""
        cdef int64_t integer
        cdef int rc
        if value is None:
            rc = options_set(&self.o, self.socket_type, number, NULL, 0, OPT_KIND_BYTES)
        elif isinstance(value, bytes):
            rc = options_set(&self.o, self.socket_type, number, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value),
                             OPT_KIND_BYTES)
        else:
            integer = value
            rc = options_set(&self.o, self.socket_type, number, &integer, sizeof(integer), OPT_KIND_INT64)
        if rc < 0:
            raise OSError(-rc, reason(number, rc))
        return SPECIAL if rc == OPT_SPECIAL else None

    def get(self, int number):
        """An int, bytes, or SPECIAL; raises OSError."""
        cdef option_value v
        cdef int rc = options_get(&self.o, self.socket_type, number, &v)
        if rc < 0:
            raise OSError(-rc, reason(number))
        return SPECIAL if rc == OPT_SPECIAL else _as_object(&v)

    def inherit(self, ContextOptionSet context):
        """Takes over what new sockets take from their context."""
        options_inherit(&self.o, &context.c)

    def copy(self):
        """A deep copy."""
        cdef OptionSet other = OptionSet(self.socket_type)
        if options_copy(&other.o, &self.o) != 0:
            options_init(&other.o, self.socket_type)
            raise MemoryError
        return other

    @property
    def metadata(self):
        """The METADATA properties as they go into the handshake."""
        return PyBytes_FromStringAndSize(<const char*>self.o.metadata.data, self.o.metadata.size)

    @property
    def connect_routing_id(self):
        """CONNECT_ROUTING_ID as it waits for the next connect."""
        return PyBytes_FromStringAndSize(<const char*>self.o.connect_routing_id.data, self.o.connect_routing_id.size)

    @property
    def xpub_modes(self):
        """(verbose, verboser, manual, manual_last_value)."""
        return (self.o.xpub_verbose, self.o.xpub_verboser, self.o.xpub_manual, self.o.xpub_manual_last_value)

    @property
    def as_server(self):
        """Whether this side plays the server of its security mechanism."""
        return bool(self.o.as_server)

    def accepts_ip(self, bytes address):
        """Whether TCP_ACCEPT_FILTER lets in this address: a `struct sockaddr` of the machine."""
        cdef uint64_t raw[16]           # aligned as the struct wants to be
        if len(address) < 16 or len(address) > 128:
            raise ValueError("a socket address has 16 to 128 bytes")
        memset(raw, 0, sizeof(raw))
        memcpy(raw, PyBytes_AS_STRING(address), PyBytes_GET_SIZE(address))
        return bool(options_accept_ip(&self.o, <const sockaddr*>raw))

    def accepts_ipc(self, pid, uid, gid):
        """Whether the IPC_FILTER_* options let this process in."""
        return bool(options_accept_ipc(&self.o, pid, uid, gid))


cdef class ContextOptionSet:
    """The options of one context, without the context: `set` and `get` as in `OptionSet`."""

    def __cinit__(self):
        ctx_options_init(&self.c)

    def __dealloc__(self):
        ctx_options_free(&self.c)

    def set(self, int number, value):
        """Sets an option to an int, or THREAD_NAME_PREFIX to bytes. Raises OSError."""
        cdef int64_t integer
        cdef int rc
        if isinstance(value, bytes):
            rc = ctx_options_set(&self.c, number, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), OPT_KIND_BYTES)
        else:
            integer = value
            rc = ctx_options_set(&self.c, number, &integer, sizeof(integer), OPT_KIND_INT64)
        if rc < 0:
            raise OSError(-rc, f"context option {number} does not take {value!r}")

    def get(self, int number):
        """An int, or bytes for a THREAD_NAME_PREFIX that is no number. Raises OSError."""
        cdef option_value v
        cdef int rc = ctx_options_get(&self.c, number, &v)
        if rc < 0:
            raise OSError(-rc, f"context option {number} cannot be read")
        return _as_object(&v)

    @property
    def cpus(self):
        """The CPUs added and not removed."""
        return [self.c.thread_affinity_cpu.items[i] for i in range(self.c.thread_affinity_cpu.count)]
