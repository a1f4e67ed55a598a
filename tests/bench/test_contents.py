"""A receiver notices what an implementation must never do: lose, repeat, swap or change messages."""

import itertools

import pytest

from benchmarks.adapters import Side
from benchmarks.scenarios import flow
from benchmarks.scenarios.payload import ContentError, Payload, same

CHUNK = 10


class Silent:
    """A link without a partner: what the receiver tells it is collected."""

    def __init__(self, kind):
        self.params = {"flow": kind}
        self.aux = None
        self.told = []

    def tell(self, byte):
        self.told.append(byte)


def sent(payload, chunks):
    """The messages of a correct sender, with the stop messages at their end."""
    messages = []
    for number in range(chunks):
        messages += [payload.body] * (CHUNK - 1) + [payload.mark(number)]
    return messages + [payload.stop] * CHUNK


def receive(messages, payload, kind="blocking"):
    source = iter(messages)
    link = Silent(kind)
    stamps = flow.drain(link, [Side(recv=lambda: next(source))], payload, CHUNK)
    return len(stamps), link.told


def test_what_arrives_as_sent_is_accepted():
    payload = Payload(16)
    assert receive(sent(payload, 20), payload) == (20, [b"E"])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m[:37] + m[38:],  # lost
        lambda m: m[:37] + m[36:],  # repeated
        lambda m: [*m[:38], m[39], m[38], *m[40:]],  # swapped with the marker after it
        lambda m: [*m[:39], m[39][:-1] + b"\0", *m[40:]],  # changed
        lambda m: m[: 2 * CHUNK] + m[3 * CHUNK :],  # a whole chunk lost
        lambda m: [*m[:39], m[39] + b".", *m[40:]],  # longer
    ],
)
def test_what_does_not_is_refused(spoil):
    payload = Payload(16)
    with pytest.raises(ContentError):
        receive(spoil(sent(payload, 20)), payload)


def test_lossy_traffic_may_have_gaps_but_no_foreign_bytes():
    payload = Payload(16)
    messages = sent(payload, 20)
    gaps = messages[:13] + messages[17:]
    assert receive(gaps + [payload.stop] * CHUNK, payload, "lossy")[1] == [b"E"]
    changed = [m if k != 3 * CHUNK - 1 else b"x" * 16 for k, m in enumerate(messages)]
    with pytest.raises(ContentError):
        receive(changed, payload, "lossy")


def test_messages_differ_from_each_other():
    payload = Payload(16)
    every = [payload.body, payload.probe, payload.stop, *payload.marks, *payload.varied()]
    assert len(set(every)) == len(every)
    assert {len(m) for m in every} == {16}


def test_large_messages_are_compared_at_both_ends_and_in_the_middle():
    wanted = Payload(1 << 20).body
    assert same(bytes(wanted), wanted)
    for place in (0, len(wanted) // 2, len(wanted) - 1):
        changed = bytearray(wanted)
        changed[place] ^= 1
        assert not same(bytes(changed), wanted)
    assert not same(wanted[:-1], wanted)


def test_the_rate_counts_only_what_arrived_while_the_sender_sent():
    job = {"size": 16, "warm_s": 1.0, "params": {"flow": "blocking", "chunk": 100}}
    second = 1_000_000_000
    # one chunk each 0.1 s for four seconds; the receiver is half a second behind and goes on after the sender's end
    sender = [k * second // 10 for k in range(1, 41)]
    receiver = [t + second // 2 for t in sender]
    values = flow.rates(sender, receiver, 0, job)
    assert values["rate"] == pytest.approx(1000)
    assert values["queued_share"] == pytest.approx(0, abs=0.01)
    assert values["operations"] == 4000


def test_growing_queues_are_reported():
    job = {"size": 16, "warm_s": 0.5, "params": {"flow": "blocking", "chunk": 100}}
    second = 1_000_000_000
    sender = list(itertools.accumulate([second // 20] * 80))
    receiver = list(itertools.accumulate([second // 10] * 80))
    values = flow.rates(sender, receiver, 0, job)
    assert values["rate"] == pytest.approx(1000)
    assert values["queued_share"] == pytest.approx(1, abs=0.1)
