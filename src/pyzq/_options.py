"""The options of a socket as attributes: `socket.linger = 0` is `socket.set(LINGER, 0)`.

A socket has one property for each option and spelling, because a class with `__getattr__` pays for it on every method
call, `send` and `recv` included.
"""

from __future__ import annotations

from pyzq.constants import Errno, SocketOption
from zcore.errors import ZMQError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOT_READABLE = (Errno.EINVAL, Errno.EFAULT)


def _option_property(option: SocketOption) -> property:
    def read(self: Any) -> Any:
        try:
            return self.get(option)
        except ZMQError as error:
            if error.errno in _NOT_READABLE:
                raise AttributeError(f"{option.name} attribute is write-only") from error
            raise

    def write(self: Any, value: Any) -> None:
        self.set(option, value)

    return property(read, write, None, f"The option {option.name}.")


class SocketOptions:
    """Attributes for the options of a socket, in lower and in upper case.

    Reading an option that can only be set, or that this type of socket does not have, raises AttributeError; setting
    raises what `set` raises.
    """

    __slots__ = ()

    affinity: int
    AFFINITY: int
    routing_id: bytes
    ROUTING_ID: bytes
    identity: bytes
    IDENTITY: bytes
    SUBSCRIBE: bytes
    UNSUBSCRIBE: bytes
    rate: int
    RATE: int
    recovery_ivl: int
    RECOVERY_IVL: int
    sndbuf: int
    SNDBUF: int
    rcvbuf: int
    RCVBUF: int
    rcvmore: int
    RCVMORE: int
    fd: int
    FD: int
    events: int
    EVENTS: int
    linger: int
    LINGER: int
    reconnect_ivl: int
    RECONNECT_IVL: int
    backlog: int
    BACKLOG: int
    reconnect_ivl_max: int
    RECONNECT_IVL_MAX: int
    maxmsgsize: int
    MAXMSGSIZE: int
    sndhwm: int
    SNDHWM: int
    rcvhwm: int
    RCVHWM: int
    multicast_hops: int
    MULTICAST_HOPS: int
    rcvtimeo: int
    RCVTIMEO: int
    sndtimeo: int
    SNDTIMEO: int
    ipv4only: int
    IPV4ONLY: int
    last_endpoint: bytes
    LAST_ENDPOINT: bytes
    router_mandatory: int
    ROUTER_MANDATORY: int
    fail_unroutable: int
    FAIL_UNROUTABLE: int
    router_behavior: int
    ROUTER_BEHAVIOR: int
    tcp_keepalive: int
    TCP_KEEPALIVE: int
    tcp_keepalive_cnt: int
    TCP_KEEPALIVE_CNT: int
    tcp_keepalive_idle: int
    TCP_KEEPALIVE_IDLE: int
    tcp_keepalive_intvl: int
    TCP_KEEPALIVE_INTVL: int
    tcp_accept_filter: bytes
    TCP_ACCEPT_FILTER: bytes
    immediate: int
    IMMEDIATE: int
    delay_attach_on_connect: int
    DELAY_ATTACH_ON_CONNECT: int
    xpub_verbose: int
    XPUB_VERBOSE: int
    router_raw: int
    ROUTER_RAW: int
    ipv6: int
    IPV6: int
    mechanism: int
    MECHANISM: int
    plain_server: int
    PLAIN_SERVER: int
    plain_username: bytes
    PLAIN_USERNAME: bytes
    plain_password: bytes
    PLAIN_PASSWORD: bytes
    curve_server: int
    CURVE_SERVER: int
    curve_publickey: bytes
    CURVE_PUBLICKEY: bytes
    curve_secretkey: bytes
    CURVE_SECRETKEY: bytes
    curve_serverkey: bytes
    CURVE_SERVERKEY: bytes
    probe_router: int
    PROBE_ROUTER: int
    req_correlate: int
    REQ_CORRELATE: int
    req_relaxed: int
    REQ_RELAXED: int
    conflate: int
    CONFLATE: int
    zap_domain: bytes
    ZAP_DOMAIN: bytes
    router_handover: int
    ROUTER_HANDOVER: int
    tos: int
    TOS: int
    ipc_filter_pid: int
    IPC_FILTER_PID: int
    ipc_filter_uid: int
    IPC_FILTER_UID: int
    ipc_filter_gid: int
    IPC_FILTER_GID: int
    connect_routing_id: bytes
    CONNECT_ROUTING_ID: bytes
    connect_rid: bytes
    CONNECT_RID: bytes
    gssapi_server: int
    GSSAPI_SERVER: int
    gssapi_principal: bytes
    GSSAPI_PRINCIPAL: bytes
    gssapi_service_principal: bytes
    GSSAPI_SERVICE_PRINCIPAL: bytes
    gssapi_plaintext: int
    GSSAPI_PLAINTEXT: int
    handshake_ivl: int
    HANDSHAKE_IVL: int
    socks_proxy: bytes
    SOCKS_PROXY: bytes
    xpub_nodrop: int
    XPUB_NODROP: int
    blocky: int
    BLOCKY: int
    xpub_manual: int
    XPUB_MANUAL: int
    xpub_welcome_msg: bytes
    XPUB_WELCOME_MSG: bytes
    stream_notify: int
    STREAM_NOTIFY: int
    invert_matching: int
    INVERT_MATCHING: int
    heartbeat_ivl: int
    HEARTBEAT_IVL: int
    heartbeat_ttl: int
    HEARTBEAT_TTL: int
    heartbeat_timeout: int
    HEARTBEAT_TIMEOUT: int
    xpub_verboser: int
    XPUB_VERBOSER: int
    connect_timeout: int
    CONNECT_TIMEOUT: int
    tcp_maxrt: int
    TCP_MAXRT: int
    thread_safe: int
    THREAD_SAFE: int
    multicast_maxtpdu: int
    MULTICAST_MAXTPDU: int
    vmci_buffer_size: int
    VMCI_BUFFER_SIZE: int
    vmci_buffer_min_size: int
    VMCI_BUFFER_MIN_SIZE: int
    vmci_buffer_max_size: int
    VMCI_BUFFER_MAX_SIZE: int
    vmci_connect_timeout: int
    VMCI_CONNECT_TIMEOUT: int
    use_fd: int
    USE_FD: int
    gssapi_principal_nametype: int
    GSSAPI_PRINCIPAL_NAMETYPE: int
    gssapi_service_principal_nametype: int
    GSSAPI_SERVICE_PRINCIPAL_NAMETYPE: int
    bindtodevice: bytes
    BINDTODEVICE: bytes
    zap_enforce_domain: int
    ZAP_ENFORCE_DOMAIN: int
    loopback_fastpath: int
    LOOPBACK_FASTPATH: int
    metadata: bytes
    METADATA: bytes
    multicast_loop: int
    MULTICAST_LOOP: int
    router_notify: int
    ROUTER_NOTIFY: int
    xpub_manual_last_value: int
    XPUB_MANUAL_LAST_VALUE: int
    socks_username: bytes
    SOCKS_USERNAME: bytes
    socks_password: bytes
    SOCKS_PASSWORD: bytes
    in_batch_size: int
    IN_BATCH_SIZE: int
    out_batch_size: int
    OUT_BATCH_SIZE: int
    wss_key_pem: bytes
    WSS_KEY_PEM: bytes
    wss_cert_pem: bytes
    WSS_CERT_PEM: bytes
    wss_trust_pem: bytes
    WSS_TRUST_PEM: bytes
    wss_hostname: bytes
    WSS_HOSTNAME: bytes
    wss_trust_system: int
    WSS_TRUST_SYSTEM: int
    only_first_subscribe: int
    ONLY_FIRST_SUBSCRIBE: int
    reconnect_stop: int
    RECONNECT_STOP: int
    hello_msg: bytes
    HELLO_MSG: bytes
    disconnect_msg: bytes
    DISCONNECT_MSG: bytes
    priority: int
    PRIORITY: int
    busy_poll: int
    BUSY_POLL: int
    hiccup_msg: bytes
    HICCUP_MSG: bytes
    xsub_verbose_unsubscribe: int
    XSUB_VERBOSE_UNSUBSCRIBE: int
    topics_count: int
    TOPICS_COUNT: int
    norm_mode: int
    NORM_MODE: int
    norm_unicast_nack: int
    NORM_UNICAST_NACK: int
    norm_buffer_size: int
    NORM_BUFFER_SIZE: int
    norm_segment_size: int
    NORM_SEGMENT_SIZE: int
    norm_block_size: int
    NORM_BLOCK_SIZE: int
    norm_num_parity: int
    NORM_NUM_PARITY: int
    norm_num_autoparity: int
    NORM_NUM_AUTOPARITY: int
    norm_push: int
    NORM_PUSH: int
    spin_budget: int
    SPIN_BUDGET: int


for _name in SocketOptions.__annotations__:
    setattr(
        SocketOptions,
        _name,
        SocketOptions.__dict__.get(_name.lower()) or _option_property(SocketOption[_name.upper()]),
    )
del _name
