"""Contexts and sockets for the length of a call."""

import pytest

import pyzq
from pyzq.decorators import context, socket


def test_context_is_new_and_ended():
    seen = []

    @context()
    def work(before, made, keyword=None):
        seen.append(made)
        assert (before, keyword, made.closed) == (1, 2, False)
        return "done"

    assert work(1, keyword=2) == work(1, keyword=2) == "done"
    assert seen[0] is not seen[1]
    assert all(made.closed for made in seen)


@pytest.mark.parametrize("decorator", [context("ctx", 5), context(name="ctx", io_threads=5)])
def test_context_by_name(decorator):
    @decorator
    def work(*, ctx):
        assert ctx.IO_THREADS == 5

    work()


def test_sockets_belong_to_the_context_of_the_call():
    @context()
    @socket(pyzq.PUSH)
    @socket("pull", pyzq.PULL)
    def work(ctx, push, pull):
        assert push.context is pull.context is ctx
        assert (push.type, pull.type) == (pyzq.PUSH, pyzq.PULL)
        return push, pull

    assert all(made.closed for made in work())


def test_sockets_of_a_named_context():
    @socket(pyzq.PUSH, name="push", context_name="mine")
    def work(mine=None, push=None):
        return push.context

    with pyzq.Context() as mine:
        assert work(mine=mine) is mine
    shared = work(mine=None)
    assert shared is pyzq.Context.instance()
    shared.term()


def test_mistakes_are_type_errors():
    @context("ctx")
    def takes_none():
        """Has no such keyword."""

    @context("ctx")
    def takes_it(ctx):
        """Is given it twice."""

    @context()
    @socket("push")
    def without_type(ctx, push):
        """The socket has no type."""

    for call in (takes_none, lambda: takes_it(5), without_type):
        with pytest.raises(TypeError):
            call()


def test_closed_when_the_call_fails():
    seen = []

    @context()
    @socket(pyzq.PUSH)
    def fail(ctx, push):
        seen.extend((ctx, push))
        raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert all(made.closed for made in seen)
    assert fail.__name__ == "fail"
