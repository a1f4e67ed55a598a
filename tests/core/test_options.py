"""The option table and what is done with it: storage, copies, effects, reasons, the reference page."""

import errno
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.option_text import explain, names, render
from zcore.options import SOCKET_TYPES, SPECIAL, ContextOptionSet, OptionSet, context_table, reason, table

ROWS = {row["name"]: row for row in table()}
NUMBERS = {name: row["number"] for name, row in ROWS.items()}
TYPES = {name: i for i, name in enumerate(SOCKET_TYPES)}


def fails(call, *args):
    with pytest.raises(OSError, match=r"\[Errno 22\] .*(\d+)"):
        call(*args)


def takers(row):
    return [TYPES[name] for name in row["types"]]


# ---- the table


def test_numbers_and_names_are_unique_and_told():
    assert len(NUMBERS) == len(table())
    assert len(set(NUMBERS.values())) == len(table())
    assert len(names()) == len(table()) + sum(len(row["aliases"]) for row in table())
    for row in table():
        assert row["meaning"].endswith(".")
        assert len(row["meaning"]) > 10
        assert row["group"]
        assert row["access"] in ("s", "g", "sg")
        assert set(row["used_by"]) <= set(row["types"])


def test_aliases():
    assert names()["identity"] == names()["routing_id"] == 5
    assert names()["connect_rid"] == 61
    assert names()["delay_attach_on_connect"] == 39
    assert names()["fail_unroutable"] == names()["router_behavior"] == 33


@pytest.mark.parametrize("row", table(), ids=lambda row: row["name"])
def test_row_keeps_its_promises(row):
    """Default, both ends of the range and one beyond, for every type that takes the option and one that does not."""
    for socket_type in range(21):
        options = OptionSet(socket_type)
        if not row["built"] or socket_type not in takers(row):
            fails(options.get, row["number"])
            fails(options.set, row["number"], 1)
            fails(options.set, row["number"], b"abc")
            continue
        if "g" not in row["access"]:
            fails(options.get, row["number"])
        elif row["name"] == "LINGER":
            assert options.get(row["number"]) == (0 if SOCKET_TYPES[socket_type] in ("SUB", "XSUB") else -1)
        elif row["default"] is not None:
            assert options.get(row["number"]) == row["default"]
        if "s" not in row["access"]:
            fails(options.set, row["number"], b"x" if row["type"] == "bytes" else 1)
            continue
        fails(options.set, row["number"], 1 if row["type"] == "bytes" else b"1")
        if row["check"] not in ("range", "id", "bool", "truth") or row["name"] in ("SUBSCRIBE", "UNSUBSCRIBE"):
            continue
        if row["type"] == "bytes":
            good = [b"x" * max(row["low"], 1), b"x" * min(row["high"], 70_000)] + ([b""] if row["low"] == 0 else [])
            bad = ([b""] if row["low"] > 0 else []) + ([b"x" * (row["high"] + 1)] if row["high"] < 70_000 else [])
        else:
            good = [row["low"], row["high"]]
            bad = [v for v in (row["low"] - 1, row["high"] + 1) if -(2**63) <= v < 2**63]
        for value in bad:
            before = options.get(row["number"]) if "g" in row["access"] else None
            fails(options.set, row["number"], value)
            if "g" in row["access"]:
                assert options.get(row["number"]) == before
        for value in good:
            assert options.set(row["number"], value) is None
            if "g" in row["access"]:
                stored = int(value != 0) if row["check"] == "truth" else value
                if row["name"] == "HEARTBEAT_TTL":
                    stored = int(value / 100) * 100
                assert options.get(row["number"]) == stored
        if row["clearable"]:
            assert options.set(row["number"], None) is None
            if "g" in row["access"]:
                assert options.get(row["number"]) == b""
        else:
            fails(options.set, row["number"], None)


def test_unknown_numbers_and_types():
    for number in (-(2**31), -1, 0, 2, 3, 20, 125, 127, 128, 10_000, 2**31 - 1):
        fails(OptionSet(0).set, number, 1)
        fails(OptionSet(0).get, number)
    for socket_type in (-1, 21, 2**31 - 1):
        fails(OptionSet(socket_type).set, NUMBERS["LINGER"], 1)


def test_what_belongs_to_the_socket():
    for name in ("RCVMORE", "EVENTS", "TYPE", "THREAD_SAFE", "LAST_ENDPOINT"):
        for socket_type in range(21):
            assert OptionSet(socket_type).get(NUMBERS[name]) == SPECIAL
    assert OptionSet(TYPES["PULL"]).get(NUMBERS["FD"]) == SPECIAL
    with pytest.raises(OSError, match="FD"):
        OptionSet(TYPES["SERVER"]).get(NUMBERS["FD"])
    assert OptionSet(TYPES["XPUB"]).get(NUMBERS["TOPICS_COUNT"]) == SPECIAL
    assert OptionSet(TYPES["SUB"]).set(NUMBERS["SUBSCRIBE"], b"") == SPECIAL
    assert OptionSet(TYPES["SUB"]).set(NUMBERS["UNSUBSCRIBE"], b"topic") == SPECIAL


# ---- effects


def test_high_water_mark_of_both_directions():
    options = OptionSet(0)
    options.set(NUMBERS["HWM"], 7)
    assert [options.get(NUMBERS[name]) for name in ("HWM", "SNDHWM", "RCVHWM")] == [7, 7, 7]
    options.set(NUMBERS["RCVHWM"], 9)
    assert options.get(NUMBERS["HWM"]) == 7


def test_mechanism_is_chosen_by_the_last_security_option():
    options = OptionSet(5)
    options.set(NUMBERS["PLAIN_USERNAME"], b"me")
    assert (options.get(NUMBERS["MECHANISM"]), options.as_server) == (1, False)
    options.set(NUMBERS["CURVE_SERVER"], 1)
    assert (options.get(NUMBERS["MECHANISM"]), options.as_server) == (2, True)
    options.set(NUMBERS["CURVE_SERVERKEY"], bytes(32))
    assert (options.get(NUMBERS["MECHANISM"]), options.as_server) == (2, False)
    options.set(NUMBERS["PLAIN_USERNAME"], None)
    assert (options.get(NUMBERS["MECHANISM"]), options.get(NUMBERS["PLAIN_USERNAME"])) == (0, b"")


def test_subscribing_for_a_peer_needs_manual_mode():
    for kind in ("PUB", "XPUB"):
        for mode in ("XPUB_MANUAL", "XPUB_MANUAL_LAST_VALUE"):
            options = OptionSet(TYPES[kind])
            fails(options.set, NUMBERS["SUBSCRIBE"], b"a")
            options.set(NUMBERS[mode], 1)
            assert options.set(NUMBERS["SUBSCRIBE"], b"a") == SPECIAL
            options.set(NUMBERS["XPUB_MANUAL"], 0)
            fails(options.set, NUMBERS["UNSUBSCRIBE"], b"a")
            assert options.xpub_modes == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("steps", "modes"),
    [
        ([("XPUB_VERBOSE", 1)], (1, 0, 0, 0)),
        ([("XPUB_VERBOSER", 1)], (1, 1, 0, 0)),
        ([("XPUB_VERBOSER", 1), ("XPUB_VERBOSE", 1)], (1, 0, 0, 0)),
        ([("XPUB_VERBOSER", 1), ("XPUB_VERBOSE", 0)], (0, 0, 0, 0)),
        ([("XPUB_VERBOSE", 1), ("XPUB_VERBOSER", 0)], (0, 0, 0, 0)),
        ([("XPUB_MANUAL_LAST_VALUE", 1)], (0, 0, 1, 1)),
        ([("XPUB_MANUAL", 1), ("XPUB_MANUAL_LAST_VALUE", 0)], (0, 0, 0, 0)),
        ([("XPUB_MANUAL", 5)], (0, 0, 1, 0)),
    ],
)
def test_modes_of_a_publisher(steps, modes):
    options = OptionSet(TYPES["XPUB"])
    for name, value in steps:
        options.set(NUMBERS[name], value)
    assert options.xpub_modes == modes


# ---- values that are more than a number


def properties(raw):
    """Decodes handshake properties (RFC 37): name length 1, name, value length 4, value."""
    found = []
    while raw:
        n = raw[0]
        (size,) = struct.unpack_from(">I", raw, 1 + n)
        found.append((raw[1 : 1 + n], raw[5 + n : 5 + n + size]))
        assert len(found[-1][1]) == size
        raw = raw[5 + n + size :]
    return found


def test_metadata_becomes_properties():
    options = OptionSet(0)
    options.set(NUMBERS["METADATA"], b"X-a:1")
    assert options.metadata == b"\x03X-a\x00\x00\x00\x011"
    options.set(NUMBERS["METADATA"], b"X-host:10.0.0.1:80")
    options.set(NUMBERS["METADATA"], b"X-long:" + b"v" * 70_000)
    assert properties(options.metadata) == [(b"X-a", b"1"), (b"X-host", b"10.0.0.1:80"), (b"X-long", b"v" * 70_000)]
    for bad in (b"X-a:", b"a:b", b":b", b"X-a", b"x-a:b", b"", b"X-" + b"n" * 254 + b":v"):
        fails(options.set, NUMBERS["METADATA"], bad)
    assert len(properties(options.metadata)) == 3


words = st.binary(max_size=6).filter(lambda word: b":" not in word)


@given(st.lists(st.tuples(words, st.binary(min_size=1, max_size=300))))
def test_metadata_set_again_has_the_new_value(pairs):
    options = OptionSet(0)
    model = {}
    for name, value in pairs:
        name = b"X-" + name
        options.set(NUMBERS["METADATA"], name + b":" + value)
        model[name] = value
    assert dict(properties(options.metadata)) == model
    assert len(properties(options.metadata)) == len(model)


def sockaddr(text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    packed = socket.inet_pton(family, text)
    head = bytes([28, family]) if hasattr(socket, "LOCAL_PEERCRED") else struct.pack("=H", family)
    if family == socket.AF_INET:
        return head + bytes(2) + packed + bytes(8)
    return head + bytes(2) + bytes(4) + packed + bytes(4)


@pytest.mark.parametrize(
    ("filters", "let_in", "kept_out"),
    [
        ([], ["1.2.3.4", "::1"], []),
        (["10.1.0.0/16"], ["10.1.0.1", "10.1.255.255", "::ffff:10.1.2.3"], ["10.2.0.0", "11.1.0.0", "::1", "a01::"]),
        (["10.1.2.3"], ["10.1.2.3"], ["10.1.2.2", "10.1.2.4"]),
        (["10.1.2.255/25"], ["10.1.2.128", "10.1.2.200"], ["10.1.2.127", "10.1.3.200"]),
        (["192.168.0.0/23"], ["192.168.1.9"], ["192.168.2.1"]),
        (["0.0.0.0/0"], ["1.2.3.4", "255.255.255.255"], ["::1"]),
        (["::/0"], ["::1", "fe80::1"], ["1.2.3.4"]),
        (["fe80::/10"], ["fe80::1", "febf::1"], ["fec0::1", "127.0.0.1"]),
        (["[2001:db8::]/33"], ["2001:db8:7fff::"], ["2001:db8:8000::"]),
        (["::ffff:10.0.0.0/104"], ["10.9.9.9"], ["11.0.0.0"]),
        ([f"10.0.0.{n}" for n in range(9)] + ["::1"], ["10.0.0.2", "10.0.0.8", "::1"], ["10.0.0.9"]),
    ],
)
def test_accept_filter(filters, let_in, kept_out):
    options = OptionSet(0)
    for text in filters:
        options.set(NUMBERS["TCP_ACCEPT_FILTER"], text.encode())
    copy = options.copy()
    for address in let_in:
        assert options.accepts_ip(sockaddr(address)), address
        assert copy.accepts_ip(sockaddr(address)), address
    for address in kept_out:
        assert not options.accepts_ip(sockaddr(address)), address
        assert not copy.accepts_ip(sockaddr(address)), address
    options.set(NUMBERS["TCP_ACCEPT_FILTER"], None)
    assert all(options.accepts_ip(sockaddr(address)) for address in let_in + kept_out)


def test_accept_filter_refuses_what_it_does_not_understand():
    options = OptionSet(0)
    bits = [
        b"1.2.3.4/33",
        b"::1/129",
        b"1.2.3.4/",
        b"1.2.3.4/-1",
        b"1.2.3.4/99999999999999999999",
        b"::ffff:1.2.3.4/95",
    ]
    for value in [*bits, b"", b"/", b"/8", b"host", b"1.2.3.4\0", b"1.2.3.4/8/8", b"[]", b"[1.2.3.4", b"1" * 255]:
        fails(options.set, NUMBERS["TCP_ACCEPT_FILTER"], value)
    assert options.accepts_ip(sockaddr("9.9.9.9"))


def test_ipc_filters_are_alternatives():
    options = OptionSet(0)
    assert options.accepts_ipc(1, 2, 3)
    for uid in range(100, 110):
        options.set(NUMBERS["IPC_FILTER_UID"], uid)
    options.set(NUMBERS["IPC_FILTER_GID"], 50)
    options.set(NUMBERS["IPC_FILTER_PID"], 4000)
    copy = options.copy()
    for each in (options, copy):
        assert each.accepts_ipc(1, 109, 3)
        assert each.accepts_ipc(1, 2, 50)
        assert each.accepts_ipc(4000, 2, 3)
        assert not each.accepts_ipc(100, 50, 4000)


def test_keys_raw_and_as_text():
    # The key pair of RFC 32 and RFC 26's examples: the same 32 bytes in both forms.
    raw = bytes.fromhex("bb88471d65e2659b30c55a5321cebb5aab2b70a398645c26dca2b2fcb43fc518")
    text = b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    for name in ("CURVE_PUBLICKEY", "CURVE_SECRETKEY", "CURVE_SERVERKEY"):
        for value in (raw, text, text + b"\0"):
            options = OptionSet(0)
            options.set(NUMBERS[name], value)
            assert options.get(NUMBERS[name]) == text
            assert options.copy().get(NUMBERS[name]) == text


@given(st.binary(min_size=32, max_size=32))
def test_any_key_survives_its_text(key):
    raw, text = OptionSet(0), OptionSet(0)
    raw.set(NUMBERS["CURVE_PUBLICKEY"], key)
    text.set(NUMBERS["CURVE_PUBLICKEY"], raw.get(NUMBERS["CURVE_PUBLICKEY"]))
    assert text.get(NUMBERS["CURVE_PUBLICKEY"]) == raw.get(NUMBERS["CURVE_PUBLICKEY"])
    assert len(raw.get(NUMBERS["CURVE_PUBLICKEY"])) == 40


# ---- copies and the context


def test_a_copy_shares_nothing():
    options = OptionSet(TYPES["ROUTER"])
    sample = {}
    for row in table():
        if row["built"] and "s" in row["access"] and TYPES["ROUTER"] in takers(row) and row["check"] in ("range", "id"):
            value = b"v" * min(row["high"], 20) if row["type"] == "bytes" else row["high"]
            options.set(row["number"], value)
            if "g" in row["access"]:
                sample[row["number"]] = options.get(row["number"])
    options.set(NUMBERS["METADATA"], b"X-a:b")
    copy = options.copy()
    for row in table():
        if row["number"] in sample:
            options.set(row["number"], b"w" if row["type"] == "bytes" else max(row["low"], 1))
    options.set(NUMBERS["METADATA"], b"X-a:c")
    assert {number: copy.get(number) for number in sample} == sample
    assert copy.metadata == b"\x03X-a\x00\x00\x00\x01b"
    assert copy.connect_routing_id == b"v" * 20
    del options
    assert {number: copy.get(number) for number in sample} == sample


def test_new_sockets_inherit_from_their_context():
    context = ContextOptionSet()
    options = OptionSet(0)
    options.inherit(context)
    assert (options.get(NUMBERS["LINGER"]), options.get(NUMBERS["IPV6"])) == (-1, 0)
    context.set(70, 0)
    context.set(42, 1)
    options.inherit(context)
    assert [options.get(NUMBERS[name]) for name in ("LINGER", "IPV6", "IPV4ONLY")] == [0, 1, 0]
    sub = OptionSet(TYPES["SUB"])
    sub.inherit(ContextOptionSet())
    assert sub.get(NUMBERS["LINGER"]) == 0


def test_context_threads():
    context = ContextOptionSet()
    for cpu in (3, 1, 3, 0):
        context.set(7, cpu)
    assert context.cpus == [3, 1, 0]
    context.set(8, 3)
    assert sorted(context.cpus) == [0, 1]
    fails(context.set, 8, 3)
    fails(context.set, 7, -1)
    fails(context.get, 7)
    context.set(9, b"trade-")
    assert context.get(9) == b"trade-"
    numbers = [(b"", 0), (b"12", 12), (b"-7", -7), (5, 5), (-(2**31), -(2**31))]
    for value, read in [*numbers, (b"-", b"-"), (b"99999999999", b"99999999999")]:
        context.set(9, value)
        assert context.get(9) == read
    fails(context.set, 9, b"x" * 17)
    context.set(9, b"x" * 16)


def test_one_number_two_meanings():
    rows = [row for row in context_table() if row["number"] == 3]
    assert {(row["name"], row["access"]) for row in rows} == {("SOCKET_LIMIT", "g"), ("THREAD_PRIORITY", "s")}
    context = ContextOptionSet()
    context.set(3, 5)
    assert context.get(3) == 65535


# ---- words


@pytest.mark.parametrize(
    ("name", "kind", "value", "words"),
    [
        ("LINGER", "DEALER", -5, ["LINGER (17)", "-1", "ms", "-5"]),
        ("ROUTER_MANDATORY", "DEALER", 1, ["ROUTER_MANDATORY", "DEALER", "REP, ROUTER"]),
        ("CURVE_SERVERKEY", "DEALER", b"short", ["32", "40", "b'short'"]),
        ("ROUTING_ID", "DEALER", b"\0", ["1 to 255", "first not 0"]),
        ("TYPE", "DEALER", 1, ["only be read"]),
        ("GSSAPI_SERVER", "DEALER", 1, ["not built in"]),
        ("IMMEDIATE", "DEALER", 2, ["0 or 1", "not 2"]),
        ("SUBSCRIBE", "XPUB", b"a", ["XPUB_MANUAL"]),
        ("TCP_ACCEPT_FILTER", "DEALER", b"host", ["address/bits", "host"]),
        ("METADATA", "DEALER", b"a:b", ["X-name:value"]),
    ],
)
def test_an_error_names_option_value_and_range(name, kind, value, words):
    text = explain(NUMBERS[name], TYPES[kind], value)
    assert all(word in text for word in words), text
    if name not in ("ROUTER_MANDATORY", "SUBSCRIBE"):
        assert name in reason(NUMBERS[name])


def test_secrets_are_not_repeated():
    assert "hunter2" not in explain(NUMBERS["PLAIN_PASSWORD"], 0, b"hunter2" * 99)
    assert "zz" not in explain(NUMBERS["CURVE_SECRETKEY"], 0, b"zz")


def test_reasons_for_every_option_and_none():
    for number in (*range(-1, 130), 2**31 - 1):
        for code in (-errno.EINVAL, -errno.ENOMEM, 0):
            text = reason(number, code)
            assert 0 < len(text) < 256
    assert reason(9999) == "9999 is not a socket option" == explain(9999, 0, 1)
    assert "memory" in reason(NUMBERS["ROUTING_ID"], -errno.ENOMEM)
    assert explain(NUMBERS["SUBSCRIBE"], TYPES["SUB"], setting=False).endswith("can only be set")


def test_reference_page_is_fresh():
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text() == render(), "renew it: python -m zcore.option_text > docs/options.md"
    for row in table():
        assert f"`{row['name']}`" in render()
