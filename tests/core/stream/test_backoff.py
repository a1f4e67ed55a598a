"""How long to wait before connecting again."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcore.backoff import waits

MS = 1_000_000


def test_no_reconnection():
    assert waits(1, 0, 0, 3) == waits(1, -1, 1000, 3) == [-1, -1, -1]


def test_constant_interval_plus_up_to_as_much_again():
    got = waits(7, 100, 0, 2000)
    assert all(100 * MS <= one <= 200 * MS for one in got)
    assert min(got) < 105 * MS
    assert max(got) > 195 * MS
    assert 145 * MS < statistics.mean(got) < 155 * MS


def test_doubling_up_to_the_cap():
    for seed in range(50):
        got = waits(seed, 100, 1000, 8)
        for one, window in zip(got, [200, 400, 800, 1000, 1000, 1000, 1000, 1000], strict=True):
            assert window / 2 * MS <= one <= window * MS


def test_waits_differ_at_the_cap_too():
    got = waits(3, 100, 1000, 100)[10:]
    assert len(set(got)) == len(got)


def test_reset():
    got = waits(3, 100, 100_000, 12, reset_after=(5,))
    assert got[5] > 1000 * MS
    assert got[6] <= 200 * MS


def test_the_seed_decides():
    assert waits(3, 100, 1000, 20) == waits(3, 100, 1000, 20)
    assert waits(3, 100, 1000, 20) != waits(4, 100, 1000, 20)


@pytest.mark.parametrize("ivl_max", [0, -1, 50, 99])
def test_a_cap_below_the_interval_is_none(ivl_max):
    assert waits(5, 100, ivl_max, 20) == waits(5, 100, 0, 20)


def test_a_cap_at_the_interval():
    assert all(50 * MS <= one <= 100 * MS for one in waits(5, 100, 100, 50))


@given(st.integers(0, 2**64 - 1), st.integers(1, 2**31 - 1), st.integers(-1, 2**31 - 1))
def test_bounds(seed, ivl, ivl_max):
    got = waits(seed, ivl, ivl_max, 70)
    least = ivl if ivl_max < ivl else min(ivl, ivl_max / 2)
    most = 2 * ivl if ivl_max < ivl else ivl_max
    assert all(least * MS <= one <= most * MS for one in got)
