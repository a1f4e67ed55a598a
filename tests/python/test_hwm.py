"""Policies of the high-water mark as values."""

import copy
import pickle

import pytest

from pyzq.hwm import DEFAULT, Block, Disconnect, DropNewest, DropOldest, KeepLast, Policy, spec_of

NOTHING = {"timeout": -1, "messages": None, "bytes": None, "key": None, "after": 0}


@pytest.mark.parametrize(
    ("policy", "spec"),
    [
        (DEFAULT, {"kind": "default"}),
        (Block(), {"kind": "block"}),
        (Block(timeout=100, messages=5), {"kind": "block", "timeout": 100, "messages": 5}),
        (DropNewest(bytes=1 << 40), {"kind": "drop_newest", "bytes": 1 << 40}),
        (DropOldest(messages=0), {"kind": "drop_oldest", "messages": 0}),
        (KeepLast(), {"kind": "keep_last"}),
        (KeepLast(8), {"kind": "keep_last", "key": 8}),
        (KeepLast("first_frame", messages=100), {"kind": "keep_last", "key": "first_frame", "messages": 100}),
        (Disconnect(after=5000), {"kind": "disconnect", "after": 5000}),
    ],
)
def test_spec(policy, spec):
    assert spec_of(policy) == {**NOTHING, **spec}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Block(timeout=-2),
        lambda: Block(messages=-1),
        lambda: DropOldest(messages=2**31),
        lambda: DropNewest(bytes=-1),
        lambda: KeepLast(0),
        lambda: KeepLast(256),
        lambda: KeepLast("topic"),
        lambda: Disconnect(after=-1),
    ],
)
def test_out_of_range(make):
    with pytest.raises(ValueError, match="must be"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Block(timeout=1.5),
        lambda: Block(messages="5"),
        lambda: DropOldest(messages=True),
        lambda: KeepLast(2.0),
        lambda: Block(100),
        lambda: DropNewest(after=5),
        lambda: Policy(),
        lambda: spec_of(5),
        lambda: spec_of(DropOldest),
        lambda: spec_of({"kind": "block"}),
    ],
)
def test_wrong_type(make):
    with pytest.raises(TypeError):
        make()


def test_the_error_names_the_argument():
    with pytest.raises(ValueError, match="timeout must be from -1 to 2147483647, not -7"):
        Block(timeout=-7)
    with pytest.raises(TypeError, match=r"make one: DropOldest\(\)"):
        spec_of(DropOldest)


def test_a_policy_is_a_value():
    assert Block(messages=5) == Block(messages=5)
    assert Block(messages=5) != Block(messages=6)
    assert DropOldest() != DropNewest()
    assert len({KeepLast(3), KeepLast(3), KeepLast()}) == 2
    assert repr(Block(timeout=10, messages=5)) == "Block(messages=5, timeout=10)"
    assert repr(KeepLast()) == "KeepLast()"
    assert repr(DEFAULT) == "DEFAULT"
    assert pickle.loads(pickle.dumps(DEFAULT)) is copy.deepcopy(DEFAULT) is DEFAULT
    with pytest.raises(AttributeError):
        Block().timeout = 5
    with pytest.raises(AttributeError):
        del Block().messages
    with pytest.raises(AttributeError):
        Block().other = 5
    for policy in (Block(timeout=4), KeepLast("first_frame", messages=9), Disconnect(after=3)):
        assert copy.copy(policy) == copy.deepcopy(policy) == pickle.loads(pickle.dumps(policy)) == policy
