"""No test of this folder may leave a descriptor behind."""

import gc

import pytest

from zcore.selftest_stream import Listener

from .driver import open_descriptors


@pytest.fixture(autouse=True)
def nothing_left_open():
    gc.collect()  # what earlier tests left in cycles must not go in the middle of this one
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def listeners():
    """Makes listeners that end with the test."""
    made = []

    def listen(text, *args, **kw):
        made.append(Listener(text, *args, **kw))
        return made[-1]

    yield listen
    for one in made:
        one.close()
