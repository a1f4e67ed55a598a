"""The heap of timers against a model that is a plain sorted list."""

from hypothesis import given, settings
from hypothesis import strategies as st

from zcore import selftest_poller as sp

COUNT = 24
indices = st.integers(0, COUNT - 1)
times = st.integers(-50, 50)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), indices, times),
        st.tuples(st.just("cancel"), indices),
        st.tuples(st.just("run"), times, st.integers(1, COUNT)),
        st.tuples(st.just("script"), indices, st.none() | indices, times, st.none() | indices),
    ),
    max_size=120,
)


class Model:
    def __init__(self):
        self.armed = {}
        self.scripts = {}
        self.seq = 0
        self.floor = None

    def set(self, index, due):
        self.seq += 1
        self.armed[index] = (due if self.floor is None else max(due, self.floor), self.seq)

    def cancel(self, index):
        self.armed.pop(index, None)

    def run(self, now, most):
        fired = []
        newest = self.seq
        self.floor = now
        while self.armed and len(fired) < most:
            index = min(self.armed, key=self.armed.get)
            due, seq = self.armed[index]
            if due > now or seq > newest:
                break
            del self.armed[index]
            fired.append(index)
            set_index, set_due, cancel_index = self.scripts.get(index, (None, 0, None))
            if set_index is not None:
                self.set(set_index, set_due)
            if cancel_index is not None:
                self.cancel(cancel_index)
        self.floor = None
        return fired


@settings(max_examples=300, deadline=None)
@given(steps)
def test_model(operations):
    model, heap = Model(), sp.HeapProbe(COUNT)
    for operation, *arguments in operations:
        if operation == "set":
            model.set(*arguments)
            heap.set(*arguments)
        elif operation == "cancel":
            model.cancel(*arguments)
            heap.cancel(*arguments)
        elif operation == "script":
            index, set_index, due, cancel_index = arguments
            model.scripts[index] = (set_index, due, cancel_index)
            heap.script(index, set_index, due, cancel_index)
        else:
            assert heap.run(*arguments) == model.run(*arguments)
        assert heap.is_sound()
        assert len(heap) == len(model.armed)
        assert heap.next() == (min(model.armed.values())[0] if model.armed else 2**63 - 1)
        for index in range(COUNT):
            assert heap.armed(index) == (index in model.armed)


def test_order_by_time_then_by_setting():
    heap = sp.HeapProbe(5)
    for index, due in [(0, 30), (1, 10), (2, 20), (3, 10), (4, 40)]:
        heap.set(index, due)
    assert heap.run(30) == [1, 3, 2, 0]
    assert heap.next() == 40
    assert heap.run(100) == [4]


def test_setting_again_moves():
    heap = sp.HeapProbe(3)
    for index in range(3):
        heap.set(index, 10)
    heap.set(0, 20)
    heap.set(2, 5)
    assert heap.run(100) == [2, 1, 0]


def test_one_that_sets_itself_into_the_past_runs_once_per_call_and_starves_nobody():
    heap = sp.HeapProbe(3)
    heap.script(0, set_index=0, due=-1000)
    heap.set(0, 0)
    heap.set(1, 5)
    heap.set(2, 6)
    assert heap.run(10) == [0, 1, 2]
    heap.set(1, 8)
    assert heap.run(20, 1) == [1]
    assert heap.run(20, 1) == [0]


def test_cancelled_by_one_that_is_due_at_the_same_time():
    heap = sp.HeapProbe(2)
    heap.script(0, cancel_index=1)
    heap.set(0, 1)
    heap.set(1, 1)
    assert heap.run(1) == [0]
    assert len(heap) == 0


def test_many():
    import random

    rng = random.Random(4)
    heap = sp.HeapProbe(5000)
    dues = [rng.randrange(10**12) for _ in range(5000)]
    for index, due in enumerate(dues):
        heap.set(index, due)
    for index in range(0, 5000, 3):
        heap.cancel(index)
    kept = [index for index in range(5000) if index % 3]
    assert heap.run(10**12) == sorted(kept, key=lambda index: dues[index])
