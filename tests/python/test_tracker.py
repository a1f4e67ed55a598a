"""Trackers over events, other trackers and frames."""

from threading import Event, Thread

import pytest

from pyzq import MessageTracker, NotDone
from pyzq.sugar.tracker import _FINISHED_TRACKER


def test_nothing_to_follow_is_done():
    assert MessageTracker().done
    assert MessageTracker().wait() is None
    assert _FINISHED_TRACKER.done


def test_done_when_all_are():
    first, second = Event(), Event()
    inner = MessageTracker(first)
    outer = MessageTracker(inner, second)
    assert not inner.done
    first.set()
    assert inner.done
    assert not outer.done
    with pytest.raises(NotDone):
        outer.wait(0.001)
    with pytest.raises(NotDone):
        outer.wait(0)
    second.set()
    assert outer.done
    outer.wait(0)


def test_wait_ends_with_the_event():
    event = Event()
    tracker = MessageTracker(MessageTracker(event))
    waited = []
    thread = Thread(target=lambda: waited.append(tracker.wait()))
    thread.start()
    event.set()
    thread.join(10)
    assert waited == [None]


def test_refuses_other_things():
    with pytest.raises(TypeError):
        MessageTracker(5)

    class Untracked:
        tracker = None

    with pytest.raises(ValueError, match="not tracked"):
        MessageTracker(Untracked())


def test_takes_what_has_a_tracker():
    class Tracked:
        tracker = MessageTracker(Event())

    assert not MessageTracker(Tracked()).done
    Tracked.tracker.events.pop().set()
    assert MessageTracker(Tracked()).done
