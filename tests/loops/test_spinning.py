"""A receive of an event loop that looks again for a moment before it waits."""

import time

import pytest

import pyzq


def test_a_receive_looks_again_before_it_waits_unless_others_wait(run, context):
    """One wait in 512 tries it even where it has not paid, for as long as SPIN_BUDGET lasts."""

    async def most(budget):
        with context.socket(pyzq.PULL) as pull:
            pull.spin_budget = budget
            pull.rcvtimeo = 1
            for _ in range(511):
                await cpu_of_a_wait(pull)
            pull.rcvtimeo = 20
            return max([await cpu_of_a_wait(pull) for _ in range(4)])

    async def cpu_of_a_wait(pull):
        before = time.thread_time()
        with pytest.raises(pyzq.Again):
            await pull.recv()
        return time.thread_time() - before

    async def main():
        alone = await most(10_000)
        assert alone > 2 * await most(0)
        with context.socket(pyzq.PULL) as idle:
            waiting = idle.recv()
            assert alone > 2 * await most(10_000)
            waiting.cancel()

    run(main())
