"""Every number, judged by a table of them that programs rely on."""

import enum
import errno
import json
from pathlib import Path

import pytest

import pyzq
from pyzq import constants

TABLE = json.loads((Path(__file__).parent / "constants.json").read_text())


def members(name):
    """Pairs of a member's name and number; the option type apart."""
    for member, value in TABLE[name]["members"].items():
        if value is None:
            value = getattr(errno, member)
        yield member, value[0] if isinstance(value, list) else value


def attribute(name, member):
    return member if member.startswith("PROTOCOL_ERROR") else TABLE[name]["prefix"] + member


@pytest.mark.parametrize("name", TABLE)
def test_enumeration(name):
    cls = getattr(constants, name)
    assert issubclass(cls, getattr(enum, TABLE[name]["base"]))
    assert {member: value.value for member, value in cls.__members__.items()} == dict(members(name))


@pytest.mark.parametrize("name", TABLE)
def test_attributes_are_the_members(name):
    cls = getattr(constants, name)
    for member, _ in members(name):
        assert getattr(constants, attribute(name, member)) is cls[member]
        assert getattr(pyzq, attribute(name, member)) is cls[member]


def test_option_types():
    for member, (_, kind) in TABLE["SocketOption"]["members"].items():
        assert constants.SocketOption[member]._opt_type is constants._OptType[kind]


def test_nothing_else_is_exported():
    expected = {attribute(name, member) for name in TABLE for member, _ in members(name)}
    expected |= set(TABLE) | {"Enum", "IntEnum", "IntFlag"}
    assert set(constants.__all__) == expected


def test_older_names_are_the_same_objects():
    assert pyzq.IDENTITY is pyzq.ROUTING_ID
    assert pyzq.XREQ is pyzq.DEALER
    assert pyzq.NOBLOCK is pyzq.DONTWAIT
    assert pyzq.EVENT_ALL is pyzq.EVENT_ALL_V1


def test_repr_names_the_member():
    assert repr(pyzq.PUSH) == "<SocketType.PUSH: 8>"
    assert "CONNECTED" in repr(pyzq.EVENT_CONNECTED | pyzq.EVENT_CLOSED)
