"""Records how pyzmq over libzmq answers every option: `python record_option_facts.py > option_facts.json`.

Every option number, socket type and value is tried on a socket of its own; options pyzmq knows nothing about are tried
as integers. Types that give the same answers share one entry. `test_options_observed.py` holds our options against the
result.
"""

import json
import sys

import zmq

TYPES = range(12)
NUMBERS = [*range(126), 1000]
SMALL = [-101, -100, -99, -2, -1, 0, 1, 2, 3, 4, 7, 8, 99, 100, 255, 256]
INTEGERS = [-(2**31), *SMALL, 65535, 65536, 6553599, 6553600, 2**31 - 1]
LARGE = [-(2**63), -(2**31) - 1, 2**31, 2**63 - 1]
Z85 = b"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
BYTES = [
    *(b"", b"a", b"\0", b"\0a", b"ab", b"abcd", b"abcde", b"a\0b"),
    *(b"x" * size for size in (14, 15, 16, 31, 39, 42, 254, 255, 256, 300)),
    *(bytes(range(32)), bytes(32), Z85, Z85 + b"\0", Z85 + b"a", Z85[:39] + b" ", b"#" * 40),
    *(b"127.0.0.1", b"127.0.0.1/32", b"10.0.0.0/8", b"10.0.0.0/0", b"10.0.0.1/33", b"10.0.0.0/-1", b"10.0.0.0/"),
    *(b"10.0.0.0/8a", b"/8", b"::1", b"::1/64", b"[::1]/64", b"localhost", b"eth0", b"*"),
    *(b"X-ab:c", b"X-ab:c:d", b"x-ab:c", b"X-ab:", b"X-:bc", b"X-abc", b":bcd"),
    *(b"X-" + b"k" * 253 + b":v", b"X-" + b"k" * 254 + b":v", b"X-a:" + b"v" * 300),
]
KEY = bytes(range(32))
SEQUENCES = [
    [("PLAIN_SERVER", 1)],
    [("PLAIN_SERVER", 1), ("PLAIN_SERVER", 0)],
    [("PLAIN_USERNAME", b"u")],
    [("PLAIN_SERVER", 1), ("PLAIN_USERNAME", b"u")],
    [("PLAIN_PASSWORD", b"p"), ("PLAIN_SERVER", 1)],
    [("PLAIN_USERNAME", b"u"), ("PLAIN_PASSWORD", b"")],
    [("PLAIN_USERNAME", b"u"), ("CURVE_SERVERKEY", b"bad")],
    [("PLAIN_USERNAME", b"u"), ("CURVE_SERVER", 0)],
    [("PLAIN_PASSWORD", b"p"), ("CURVE_SERVER", 1)],
    [("PLAIN_SERVER", 1), ("CURVE_PUBLICKEY", KEY)],
    [("PLAIN_SERVER", 1), ("CURVE_SERVER", 1)],
    [("CURVE_SERVER", 1), ("PLAIN_SERVER", 1)],
    [("CURVE_SERVER", 1), ("PLAIN_SERVER", 0)],
    [("CURVE_SERVER", 1), ("CURVE_SECRETKEY", KEY)],
    [("CURVE_SECRETKEY", KEY), ("CURVE_SERVER", 1), ("CURVE_SERVERKEY", KEY)],
    [("CURVE_SERVERKEY", KEY), ("PLAIN_USERNAME", b"u")],
    [("ZAP_DOMAIN", b"d")],
    [("IPV6", 1)],
    [("IPV4ONLY", 0)],
    [("IPV6", 1), ("IPV4ONLY", 1)],
]
WATCHED = ["MECHANISM", "PLAIN_SERVER", "CURVE_SERVER", "PLAIN_USERNAME", "PLAIN_PASSWORD", "IPV6", "IPV4ONLY"]
CONTEXT_NUMBERS = [*range(14), 42, 43, 70, 71]
CONTEXT_VALUES = [-2, -1, 0, 1, 2, 16, 100, 65535, 65536, 10_000_000, 2**31 - 1]


def encode(value):
    return "b:" + value.decode("latin-1") if isinstance(value, bytes) else value


def attempt(call, *args):
    try:
        return encode(call(*args))
    except zmq.ZMQError as e:
        return f"E{e.errno}"
    except (TypeError, OverflowError) as e:
        return type(e).__name__


def read(socket, number):
    value = attempt(socket.get, number)
    return "fd" if number == zmq.FD and isinstance(value, int) else value


def probe(context, number, kind):
    values = {"bytes": BYTES, "int64": INTEGERS + LARGE}.get(kind, INTEGERS)
    groups = {}
    for socket_type in TYPES:
        with context.socket(socket_type) as socket:
            default = read(socket, number)
        cases = []
        for value in values:
            with context.socket(socket_type) as socket:
                result = attempt(socket.set, number, value)
                cases.append([encode(value), "ok" if result is None else result, read(socket, number)])
        answer = json.dumps({"default": default, "cases": cases})
        groups.setdefault(answer, []).append(socket_type)
    return [{"types": types, **json.loads(answer)} for answer, types in groups.items()]


def sequence(context, steps):
    with context.socket(zmq.DEALER) as socket:
        results = [attempt(socket.set, getattr(zmq, name), value) for name, value in steps]
        after = {name: read(socket, getattr(zmq, name)) for name in WATCHED}
    return {
        "steps": [[n, encode(v), "ok" if r is None else r] for (n, v), r in zip(steps, results, strict=True)],
        "after": after,
    }


def context_option(number):
    cases = []
    with zmq.Context() as context:
        default = attempt(context.get, number)
    for value in CONTEXT_VALUES:
        with zmq.Context() as context:
            result = attempt(context.set, number, value)
            cases.append([value, "ok" if result is None else result, attempt(context.get, number)])
    return {"default": default, "cases": cases}


def main():
    facts = {"libzmq": zmq.zmq_version(), "pyzmq": zmq.pyzmq_version(), "unknown": [], "options": {}, "context": {}}
    for number in NUMBERS:
        try:
            kind = zmq.constants.SocketOption(number)._opt_type.name
        except ValueError:
            kind = "int"
        with zmq.Context() as context:
            context.max_sockets = 20_000
            groups = probe(context, number, kind)
        if all(g["default"] == "E22" and all(case[1] == "E22" for case in g["cases"]) for g in groups):
            facts["unknown"].append(number)
        else:
            facts["options"][number] = {"kind": kind, "groups": groups}
    with zmq.Context() as context:
        facts["sequences"] = [sequence(context, steps) for steps in SEQUENCES]
    for number in CONTEXT_NUMBERS:
        facts["context"][number] = context_option(number)
    lines = [f'"{key}": {json.dumps(facts[key])}' for key in ("libzmq", "pyzmq", "unknown")]
    for key in ("options", "context"):
        rows = ",\n".join(f'"{n}": {json.dumps(v, separators=(",", ":"))}' for n, v in facts[key].items())
        lines.append(f'"{key}": {{\n{rows}\n}}')
    lines.append('"sequences": [\n' + ",\n".join(json.dumps(s) for s in facts["sequences"]) + "\n]")
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
