"""Every option against what pyzmq over libzmq was seen to answer (option_facts.json, made by record_option_facts.py).

Where we differ we mean to: `DIFFERENCES` says where and why, and an entry that no longer matches anything fails too.
"""

import json
from pathlib import Path

import pytest

from zcore.options import SPECIAL, ContextOptionSet, OptionSet, table

FACTS = json.loads(Path(__file__).with_name("option_facts.json").read_text())
NAMES = {row["number"]: row["name"] for row in table()}
NUMBERS = {row["name"]: row["number"] for row in table()}
KEYS = {"CURVE_PUBLICKEY", "CURVE_SECRETKEY", "CURVE_SERVERKEY"}
TEXTS = {"PLAIN_USERNAME", "PLAIN_PASSWORD", "ZAP_DOMAIN", "SOCKS_PROXY", "SOCKS_USERNAME", "SOCKS_PASSWORD"}

# (applies to this case?, what we answer instead, why); a case is (name, value, outcome, value read after).
DIFFERENCES = [
    (
        lambda name, value, outcome, after: name == "ROUTING_ID" and isinstance(value, bytes) and value[:1] == b"\0",
        lambda value: ("E22", b""),
        "names that begin with 0 are those a ROUTER makes up (RFC 28); the peer would take us for another",
    ),
    (
        lambda name, value, outcome, after: name == "TCP_ACCEPT_FILTER" and value in (b"::1", b"::1/64", b"[::1]/64"),
        lambda value: ("ok", "E22"),
        "an IPv6 network is understood whatever IPV6 is at that moment",
    ),
    (
        lambda name, value, outcome, after: name == "TCP_ACCEPT_FILTER" and value == b"10.0.0.0/8a",
        lambda value: ("E22", "E22"),
        "junk behind the number of bits is a mistake worth telling",
    ),
    (
        lambda name, value, outcome, after: name == "BINDTODEVICE" and value == b"x" * 16,
        lambda value: ("E22", b""),
        "names of network interfaces have at most 15 bytes",
    ),
    (
        lambda name, value, outcome, after: name in TEXTS and outcome == "ok" and after == "E22",
        lambda value: ("ok", value),
        "values of 255 bytes and more can be read back; pyzmq's buffer is too small for them",
    ),
    (
        lambda name, value, outcome, after: name in KEYS and outcome == "ok",
        lambda value: ("ok", "z85"),
        "keys can be read back, as 40 characters; pyzmq's buffer has a size that libzmq refuses",
    ),
    (
        lambda name, value, outcome, after: name in KEYS and outcome != "ok",
        lambda value: ("E22", b""),
        "a key that was never set reads as empty",
    ),
]
used = set()


def decode(value):
    return value[2:].encode("latin-1") if isinstance(value, str) and value.startswith("b:") else value


def attempt(call, *args):
    try:
        return call(*args)
    except OSError as e:
        return f"E{e.errno}"


def expected(name, value, outcome, after):
    for i, (applies, answer, _) in enumerate(DIFFERENCES):
        if applies(name, value, outcome, after):
            used.add(i)
            return answer(value)
    return outcome, after


@pytest.mark.parametrize("number", [int(n) for n in FACTS["options"]], ids=lambda n: NAMES.get(n, str(n)))
def test_sets_and_reads_as_observed(number):
    name = NAMES[number]
    row = next(r for r in table() if r["number"] == number)
    for group in FACTS["options"][str(number)]["groups"]:
        for socket_type in group["types"]:
            default = attempt(OptionSet(socket_type).get, number)
            if default == SPECIAL:
                assert group["default"] != "E22"
            else:
                assert default == (b"" if name in KEYS else decode(group["default"]))
            for value, outcome, after in group["cases"]:
                value, after = decode(value), decode(after)
                options = OptionSet(socket_type)
                result = attempt(options.set, number, value)
                read = attempt(options.get, number)
                if result == SPECIAL or read == SPECIAL:
                    # The socket acts or answers: we only say whether it may, and change nothing.
                    assert (result == SPECIAL) == (outcome == "ok")
                    assert read == SPECIAL if "g" in row["access"] else read == "E22"
                    continue
                if name in KEYS and isinstance(read, bytes) and len(read) == 40:
                    check = OptionSet(socket_type)
                    check.set(number, read)
                    assert check.get(number) == read
                    read = "z85"
                result = "ok" if result is None else result
                assert (result, read) == expected(name, value, outcome, after), (socket_type, value)


def test_no_difference_is_out_of_date():
    for number in NUMBERS.values():
        for group in FACTS["options"].get(str(number), {"groups": []})["groups"]:
            for value, outcome, after in group["cases"]:
                expected(NAMES[number], decode(value), outcome, decode(after))
    assert used == set(range(len(DIFFERENCES)))


# What pyzmq's libzmq does not know: draft options it is built without, transports and mechanisms it is built without.
ON_HERE = {
    *("HWM", "ROUTER_NOTIFY", "HELLO_MSG", "DISCONNECT_MSG", "HICCUP_MSG", "XSUB_VERBOSE_UNSUBSCRIBE"),
    *("IN_BATCH_SIZE", "OUT_BATCH_SIZE", "PRIORITY", "BUSY_POLL"),
    *("VMCI_BUFFER_SIZE", "VMCI_BUFFER_MIN_SIZE", "VMCI_BUFFER_MAX_SIZE", "VMCI_CONNECT_TIMEOUT"),
    "SPIN_BUDGET",  # nobody else's
}


def test_options_unknown_to_pyzmq():
    ours = {NAMES[n] for n in FACTS["unknown"] if n in NAMES}
    absent = {row["name"] for row in table() if not row["built"]}
    assert ours == ON_HERE | absent
    for number in FACTS["unknown"]:
        if NAMES.get(number) not in ON_HERE:
            for socket_type in range(21):
                assert attempt(OptionSet(socket_type).get, number) == "E22"
                assert attempt(OptionSet(socket_type).set, number, 1) == "E22"
                assert attempt(OptionSet(socket_type).set, number, b"x") == "E22"


@pytest.mark.parametrize("case", FACTS["sequences"], ids=lambda c: "-".join(f"{name}" for name, _, _ in c["steps"]))
def test_options_that_change_each_other(case):
    options = OptionSet(5)
    for name, value, outcome in case["steps"]:
        result = attempt(options.set, NUMBERS[name], decode(value))
        assert result == (None if outcome == "ok" else outcome)
    for name, value in case["after"].items():
        assert options.get(NUMBERS[name]) == decode(value), name


@pytest.mark.parametrize("number", [int(n) for n in FACTS["context"]])
def test_context_options_as_observed(number):
    facts = FACTS["context"][str(number)]

    def agree(read, seen):
        # pyzmq takes the value -1 for an error.
        return read == -1 and seen == "E22" if number in (4, 9) and seen == "E22" else read == seen

    assert agree(attempt(ContextOptionSet().get, number), facts["default"])
    for value, outcome, after in facts["cases"]:
        options = ContextOptionSet()
        result = attempt(options.set, number, value)
        assert ("ok" if result is None else result) == outcome
        assert agree(attempt(options.get, number), after)
