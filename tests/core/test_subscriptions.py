"""The two subscription trees against dictionaries: what they answer, what they remember, what memory they take."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zcore.subscriptions import FanoutTree, SubscriptionTree

LABEL = 2048  # longest label of a node: topics around its multiples take other ways
ODD = [b"\0", b"\xff", b"topic/", b"x" * (LABEL - 1), b"x" * LABEL, b"x" * (LABEL + 1), b"x" * (2 * LABEL + 1)]
pieces = st.one_of(st.sampled_from([b"a", b"b", b"ab"]), st.sampled_from([b"a", b"b", *ODD]))
topics = st.lists(pieces, max_size=5).map(b"".join)
slots = st.one_of(st.integers(0, 5), st.sampled_from([63, 64, 1000]))


def prefixed(model, data):
    return [topic for topic in model if data.startswith(topic)]


# ---- against a model


class SubscriberMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.tree = SubscriptionTree()
        self.model = Counter()

    @rule(topic=topics)
    def add(self, topic):
        assert self.tree.add(topic) == (1 if self.model[topic] == 0 else 0)
        self.model[topic] += 1

    @rule(topic=topics, spare=st.integers(0, 3 * LABEL))
    def add_with_little_memory(self, topic, spare):
        self.tree.limit = self.tree.bytes_used + spare
        if not self.tree.limit:
            return
        try:
            assert self.tree.add(topic) == (1 if self.model[topic] == 0 else 0)
            self.model[topic] += 1
        except MemoryError:
            assert self.tree.bytes_used <= self.tree.limit
        self.tree.limit = 0

    @rule(topic=topics)
    def remove_any(self, topic):
        self.take(topic)

    @precondition(lambda self: +self.model)
    @rule(data=st.data(), without_memory=st.booleans())
    def remove_one(self, data, without_memory):
        topic = data.draw(st.sampled_from(sorted(+self.model)))
        self.tree.limit = 1 if without_memory else 0
        self.take(topic)
        self.tree.limit = 0

    def take(self, topic):
        expected = 2 if self.model[topic] == 0 else 1 if self.model[topic] == 1 else 0
        assert self.tree.remove(topic) == expected
        if expected != 2:
            self.model[topic] -= 1

    @rule(data=topics, tail=topics)
    def match(self, data, tail):
        for text in (data, data + tail, data[:-1]):
            assert self.tree.match(text) == bool(prefixed(+self.model, text))
        assert self.tree.count(data) == self.model[data]

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "tree"):
            held = +self.model
            assert len(self.tree) == len(held)
            assert sorted(self.tree.topics()) == sorted(held)
            assert (self.tree.bytes_used == 0) == (not held)


class PublisherMachine(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.tree = FanoutTree()
        self.model = {}  # topic -> set of slots

    @rule(slot=slots, topic=topics)
    def add(self, slot, topic):
        self.put(slot, topic)

    @rule(slot=slots, topic=topics, spare=st.integers(0, 2 * LABEL))
    def add_with_little_memory(self, slot, topic, spare):
        self.tree.limit = self.tree.bytes_used + spare
        if self.tree.limit:
            try:
                self.put(slot, topic)
            except MemoryError:
                assert self.tree.bytes_used <= self.tree.limit
        self.tree.limit = 0

    def put(self, slot, topic):
        present = self.model.get(topic, set())
        assert self.tree.add(slot, topic) == (not present, slot not in present)
        self.model.setdefault(topic, set()).add(slot)

    @rule(slot=slots, topic=topics)
    def remove_any(self, slot, topic):
        self.take(slot, topic)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), without_memory=st.booleans())
    def remove_one(self, data, without_memory):
        topic = data.draw(st.sampled_from(sorted(self.model)))
        slot = data.draw(st.sampled_from(sorted(self.model[topic])))
        self.tree.limit = 1 if without_memory else 0
        self.take(slot, topic)
        self.tree.limit = 0

    def take(self, slot, topic):
        present = self.model.get(topic, set())
        assert self.tree.remove(slot, topic) == (present == {slot}, slot in present)
        present.discard(slot)
        if not present:
            self.model.pop(topic, None)

    @rule(slot=slots, without_memory=st.booleans())
    def remove_slot(self, slot, without_memory):
        self.tree.limit = 1 if without_memory else 0
        ended, gone = self.tree.remove_slot(slot)
        self.tree.limit = 0
        assert ended == sum(slot in present for present in self.model.values())
        assert sorted(gone) == sorted(topic for topic, present in self.model.items() if present == {slot})
        for present in self.model.values():
            present.discard(slot)
        self.model = {topic: present for topic, present in self.model.items() if present}

    @rule(data=topics, tail=topics)
    def match(self, data, tail):
        for text in (data, data + tail, data[:-1]):
            wanted = set().union(*(self.model[topic] for topic in prefixed(self.model, text)))
            found = self.tree.match(text)
            assert len(found) == len(set(found))
            assert set(found) == wanted
            everybody = [*range(6), 63, 64, 1000, 2000]
            assert self.tree.match_inverted(text, everybody) == [slot for slot in everybody if slot not in wanted]
        assert set(self.tree.match_exact(data)) == self.model.get(data, set())
        assert self.tree.subscribers(data) == len(self.model.get(data, ()))

    @rule(slot=slots, topic=topics)
    def questions(self, slot, topic):
        assert self.tree.has(slot, topic) == (slot in self.model.get(topic, ()))
        mine = sorted(topic for topic, present in self.model.items() if slot in present)
        assert sorted(self.tree.slot_topics(slot)) == mine
        assert self.tree.slot_count(slot) == len(mine)

    @rule()
    def generations_run_out(self):
        if self.model:
            self.tree.generation = 2**32 - 1

    @invariant()
    def holds_the_same(self):
        if hasattr(self, "tree"):
            assert len(self.tree) == len(self.model)
            assert sorted(self.tree.topics()) == sorted((topic, len(present)) for topic, present in self.model.items())
            assert self.tree.subscriptions == sum(map(len, self.model.values()))
            assert (self.tree.bytes_used == 0) == (not self.model)


SubscriberMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
PublisherMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestSubscriber = SubscriberMachine.TestCase
TestPublisher = PublisherMachine.TestCase


@given(st.lists(st.binary(max_size=6), unique=True), st.lists(st.binary(max_size=9)), st.randoms(use_true_random=False))
def test_any_bytes(wanted, messages, rng):
    tree, fan = SubscriptionTree(), FanoutTree()
    for topic in wanted:
        tree.add(topic)
        for slot in range(len(topic)):
            fan.add(slot, topic)
    for message in messages:
        matching = prefixed(wanted, message)
        assert tree.match(message) == bool(matching)
        assert set(fan.match(message)) == set(range(max(map(len, matching), default=0)))
    rng.shuffle(wanted)
    for topic in wanted:
        assert tree.remove(topic) == 1
        for slot in range(len(topic)):
            fan.remove(slot, topic)
    assert tree.bytes_used == fan.bytes_used == 0


# ---- particular shapes


def test_the_empty_topic_is_a_beginning_of_everything():
    tree = SubscriptionTree()
    assert not tree.match(b"")
    assert tree.add(b"") == 1
    assert tree.match(b"")
    assert tree.match(b"anything")
    assert tree.remove(b"") == 1
    assert not tree.match(b"anything")


def test_counting():
    tree = SubscriptionTree()
    assert [tree.add(b"t") for _ in range(3)] == [1, 0, 0]
    assert [tree.remove(b"t") for _ in range(4)] == [0, 0, 1, 2]
    assert tree.remove(b"") == 2


def test_a_peer_subscribes_once_however_often_it_asks():
    fan = FanoutTree()
    assert fan.add(3, b"t") == (True, True)
    assert fan.add(3, b"t") == (False, False)
    assert fan.add(4, b"t") == (False, True)
    assert fan.add(4, b"t") == (False, False)
    assert fan.remove(3, b"t") == (False, True)
    assert fan.remove(3, b"t") == (False, False)
    assert fan.remove(5, b"t") == (False, False)
    assert fan.remove(4, b"other") == (False, False)
    assert fan.remove(4, b"t") == (True, True)


@pytest.mark.parametrize("size", [LABEL - 1, LABEL, LABEL + 1, 2 * LABEL + 1, 65_535, 65_536, 1_000_003])
def test_long_topics(size):
    topic = random.Random(size).randbytes(size)
    tree, fan = SubscriptionTree(), FanoutTree()
    tree.add(topic)
    fan.add(0, topic)
    assert tree.topics() == [topic]
    assert fan.slot_topics(0) == [topic]
    assert tree.match(topic)
    assert tree.match(topic + b"more")
    assert not tree.match(topic[:-1])
    other = topic[: size // 2] + bytes([topic[size // 2] ^ 1]) + topic[size // 2 + 1 :]
    assert not tree.match(other)
    assert fan.match(other) == []
    # Prefixes of it cut it in pieces, and taking them away joins the pieces again.
    before = tree.bytes_used
    cuts = sorted({0, 1, size // 3, size // 2, size - 1})
    for cut in cuts:
        assert tree.add(topic[:cut]) == 1
        fan.add(cut, topic[:cut])
    assert sorted(fan.match(topic + b"x")) == sorted({0, *cuts})
    for cut in cuts:
        assert tree.remove(topic[:cut]) == 1
        fan.remove(cut, topic[:cut])
    assert tree.topics() == [topic]
    assert tree.bytes_used <= before + 200
    # What the tree holds beside the topic: one copy of it for walking, and a node for every 2 KB.
    assert before <= 2 * size + 64 + 40 * (size // LABEL + 2)
    assert tree.remove(topic) == 1
    assert fan.remove_slot(0) == (1, [topic])
    assert tree.bytes_used == fan.bytes_used == 0


def test_a_short_topic_beside_a_long_one_costs_little():
    """Cutting and joining a long topic must not copy it whole: a few bytes from a peer would cost megabytes of work."""
    tree = SubscriptionTree()
    tree.add(b"x" * 10_000_000)
    held, nodes = tree.bytes_used, tree.nodes
    assert nodes <= 10_000_000 // LABEL + 2
    tree.add(b"x" * 5)
    assert tree.nodes == nodes + 1
    assert tree.bytes_used < held + LABEL
    tree.remove(b"x" * 5)
    assert (tree.nodes, tree.bytes_used) == (nodes, held)
    # A branch between two full nodes: when it goes they stay two.
    for size in range(LABEL + 1, 20 * (LABEL + 1), LABEL + 1):
        tree.add(b"x" * size + b"y")
        assert tree.nodes == nodes + 1
        tree.remove(b"x" * size + b"y")
        assert tree.nodes == nodes
    assert tree.match(b"x" * 10_000_000)


def test_every_topic_a_beginning_of_the_next():
    rng = random.Random(1)
    lengths = list(range(1, 1500))
    tree, fan = SubscriptionTree(), FanoutTree()
    rng.shuffle(lengths)
    for n in lengths:
        tree.add(b"a" * n)
        fan.add(n % 7, b"a" * n)
    assert sorted(map(len, tree.topics())) == sorted(lengths)
    assert sorted(fan.match(b"a" * 6)) == [1, 2, 3, 4, 5, 6]
    assert sorted(fan.match(b"a" * 2000)) == list(range(7))
    rng.shuffle(lengths)
    for i, n in enumerate(lengths):
        assert tree.remove(b"a" * n) == 1
        assert tree.match(b"a" * n) == (min(lengths[i + 1 :], default=n + 1) < n)
    for slot in range(7):
        ended, gone = fan.remove_slot(slot)
        assert sorted(map(len, gone)) == [n for n in range(1, 1500) if n % 7 == slot]
        assert ended == len(gone)
    assert tree.bytes_used == fan.bytes_used == 0


def test_all_topics_of_two_bytes():
    rng = random.Random(2)
    every = [bytes([i, j]) for i in range(256) for j in range(256)]
    rng.shuffle(every)
    tree, fan = SubscriptionTree(), FanoutTree()
    for topic in every:
        tree.add(topic)
        fan.add(topic[0], topic)
    assert all(tree.match(topic + b"!") for topic in every)
    assert all(fan.match(topic) == [topic[0]] for topic in every)
    assert not tree.match(b"\x01")
    assert tree.nodes == 65_536 + 256 + 1
    for slot in range(256):
        assert fan.remove_slot(slot)[0] == 256
    for topic in every[1:]:
        assert tree.remove(topic) == 1
    assert tree.topics() == every[:1]
    assert tree.nodes == 2
    assert tree.remove(every[0]) == 1
    assert tree.bytes_used == fan.bytes_used == 0


def test_many_subscribers_of_one_topic():
    rng = random.Random(3)
    peers = list(range(10_000))
    rng.shuffle(peers)
    fan = FanoutTree()
    for slot in peers:
        assert fan.add(slot, b"t")[1]
        if slot % 3 == 0:
            fan.add(slot, b"")
        if slot % 1000 == 0:
            fan.add(slot, b"topic/%d" % slot)
    assert sorted(fan.match(b"topic")) == sorted(peers)
    assert sorted(fan.match(b"x")) == list(range(0, 10_000, 3))
    assert fan.subscribers(b"t") == 10_000
    for slot in peers[:5000]:
        assert fan.remove(slot, b"t") == (False, True)
    assert set(fan.match(b"t")) == set(peers[5000:]) | set(range(0, 10_000, 3))
    for slot in peers:
        fan.remove_slot(slot)
    assert len(fan) == fan.bytes_used == 0


def test_slots_out_of_range():
    fan = FanoutTree()
    with pytest.raises(ValueError, match="slot"):
        fan.add(0x1000000, b"t")
    assert fan.bytes_used == 0
    assert fan.remove(2**32 - 1, b"t") == (False, False)
    assert fan.remove_slot(2**32 - 1) == (0, [])
    assert fan.slot_topics(2**32 - 1) == []
    assert not fan.has(2**32 - 1, b"t")


def test_a_slot_given_again_starts_empty():
    fan = FanoutTree()
    fan.add(1, b"a")
    fan.add(2, b"a")
    fan.remove_slot(1)
    assert fan.match(b"a") == [2]
    fan.add(1, b"b")
    assert fan.slot_topics(1) == [b"b"]
    assert fan.match(b"a") == [2]


# ---- memory


def grow(make):
    """Adds until done, each time with the least memory that will do; what failed before must have changed nothing."""
    tree, steps = make()
    for step in steps:
        before = (tree.topics(), tree.bytes_used)
        for spare in range(0, 20_000, 8):
            tree.limit = max(1, before[1] + spare)
            try:
                step(tree)
                break
            except MemoryError:
                assert sorted(tree.topics()) == sorted(before[0])
                assert tree.bytes_used <= tree.limit
        else:
            pytest.fail("never enough memory")
    tree.limit = 0
    return tree


def test_every_allocation_may_fail_for_a_subscriber():
    wanted = [
        b"abcdef",
        b"abcxyz",
        b"abc",
        b"",
        b"q" * 5000,
        b"q" * 2500,
        b"q" * 2048 + b"z",
        b"ab",
        *(b"%c" % i for i in range(9)),
    ]
    tree = grow(lambda: (SubscriptionTree(), [lambda t, topic=topic: t.add(topic) for topic in wanted]))
    assert sorted(tree.topics()) == sorted(wanted)
    for topic in wanted:
        assert tree.remove(topic) == 1
    assert tree.bytes_used == 0


def test_every_allocation_may_fail_for_a_publisher():
    wanted = [
        (slot, topic)
        for topic in (b"abcdef", b"abcx", b"abc", b"", b"q" * 5000, b"q" * 2500)
        for slot in (0, 1, 2, 9, 40)
    ]
    fan = grow(lambda: (FanoutTree(), [lambda t, pair=pair: t.add(*pair) for pair in wanted]))
    assert sorted(fan.topics()) == sorted(Counter(topic for _, topic in wanted).items())
    for slot in (0, 1, 2, 9, 40):
        assert fan.remove_slot(slot)[0] == 6
    assert fan.bytes_used == 0


def test_taking_away_needs_no_memory():
    rng = random.Random(4)
    wanted = [bytes(rng.choices(b"ab", k=rng.randrange(12))) for _ in range(300)]
    tree, fan = SubscriptionTree(), FanoutTree()
    for i, topic in enumerate(wanted):
        tree.add(topic)
        fan.add(i % 5, topic)
    tree.limit = fan.limit = 1
    rng.shuffle(wanted)
    for topic in wanted:
        assert tree.remove(topic) in (0, 1)
    for slot in range(5):
        fan.remove_slot(slot)
    assert tree.bytes_used == fan.bytes_used == 0


@pytest.mark.parametrize("size", [3, 8, 20, 100, 2000])
def test_memory_for_topics_without_likeness(size):
    rng = random.Random(size)
    wanted = {rng.randbytes(size) for _ in range(30_000 if size < 1000 else 2000)}
    tree, fan = SubscriptionTree(), FanoutTree()
    for i, topic in enumerate(wanted):
        tree.add(topic)
        fan.add(i % 50, topic)
    bound = len(wanted) * (3 * size + 40) + 5000
    assert tree.bytes_used <= bound
    assert fan.bytes_used <= bound + 10 * len(wanted)


def test_memory_for_topics_alike():
    wanted = {b"exchange/%03d/instrument/%05d/quote" % (i % 40, i) for i in range(30_000)}
    tree, fan = SubscriptionTree(), FanoutTree()
    for i, topic in enumerate(wanted):
        tree.add(topic)
        fan.add(i % 50, topic)
    assert tree.bytes_used <= sum(map(len, wanted)) + 40 * len(wanted)
    assert fan.bytes_used <= sum(map(len, wanted)) + 50 * len(wanted)
    assert tree.nodes <= 2 * len(wanted)


def test_memory_for_many_peers_with_the_same_topics():
    fan = FanoutTree()
    names = [b"channel/%d" % i for i in range(100)]
    for slot in range(1000):
        for name in names:
            fan.add(slot, name)
    assert fan.subscriptions == 100_000
    assert fan.bytes_used <= 100_000 * 26


def test_a_million_topics_come_and_go():
    rng = random.Random(5)
    tree = SubscriptionTree()
    wanted = list({rng.randbytes(rng.randrange(1, 24)) for _ in range(1_000_000)})
    for topic in wanted:
        tree.add(topic)
    assert len(tree) == len(wanted)
    assert tree.bytes_used <= 3 * sum(map(len, wanted)) + 40 * len(wanted)
    rng.shuffle(wanted)
    half = len(wanted) // 2
    for topic in wanted[:half]:
        assert tree.remove(topic) == 1
    assert tree.bytes_used <= 3 * sum(map(len, wanted[half:])) + 40 * half + 10_000
    for topic in wanted[half:]:
        assert tree.remove(topic) == 1
    assert tree.bytes_used == tree.nodes == len(tree) == 0
