"""What calls return is what asyncio takes for a future."""

import asyncio
import contextvars
import gc
import inspect

import pytest

import pyzq


def test_it_is_a_future(run, pair):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (push, pull):
            waiting, done, failed = pull.recv(), push.send(b"x"), pull.send(b"x")
            for future in (waiting, done, failed):
                assert asyncio.isfuture(future)
                assert inspect.isawaitable(future)
                assert future.get_loop() is loop
                assert asyncio.ensure_future(future) is future
                assert not future.cancelled()
                assert repr(future)
            assert not waiting.done()
            for look in (waiting.result, waiting.exception):
                with pytest.raises(asyncio.InvalidStateError):
                    look()
            assert done.done()
            assert done.result() is None
            assert done.exception() is None
            assert not done.cancel()
            assert failed.done()
            assert isinstance(failed.exception(), pyzq.ZMQError)
            with pytest.raises(pyzq.ZMQError):
                failed.result()
            assert await waiting == b"x"
            assert await waiting == b"x"
            cancelled = pull.recv()
            assert cancelled.cancel("why")
            assert not cancelled.cancel()
            assert cancelled.done()
            assert cancelled.cancelled()
            for look in (cancelled.result, cancelled.exception):
                with pytest.raises(asyncio.CancelledError, match="why"):
                    look()
            with pytest.raises(asyncio.CancelledError):
                await cancelled

    run(main())


def test_all_that_asyncio_does_with_futures(run, pair):
    async def main():
        with pair(pyzq.PAIR, pyzq.PAIR) as (a, b):
            assert await asyncio.gather(a.send(b"1"), b.recv(), b.send(b"2"), a.recv()) == [None, b"1", None, b"2"]
            first, second = a.recv(), b.recv()
            done, pending = await asyncio.wait([first, second], timeout=0.001)
            assert not done
            assert pending == {first, second}
            b.send(b"x")
            done, pending = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
            assert done == {first}
            assert pending == {second}
            shielded = asyncio.shield(second)
            shielded.cancel()
            with pytest.raises(asyncio.CancelledError):
                await shielded
            a.send(b"y")
            assert await second == b"y"
            assert await asyncio.wait_for(a.send(b"z"), 5) is None
            assert await asyncio.wait_for(b.recv(), 5) == b"z"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(b.recv(), 0.001)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(b.recv(), 0)
            calls = [b.recv() for _ in range(3)]
            for number in range(3):
                a.send(b"%d" % number)
            assert sorted([await future for future in asyncio.as_completed(calls)]) == [b"0", b"1", b"2"]
            group = asyncio.gather(b.recv(), b.recv())
            await asyncio.sleep(0)
            group.cancel()
            with pytest.raises(asyncio.CancelledError):
                await group
            a.send(b"not lost")
            assert await b.recv() == b"not lost"
            results = await asyncio.gather(a.send("text"), a.send(b"w"), return_exceptions=True)
            assert isinstance(results[0], TypeError)
            assert results[1] is None

    run(main())


def test_one_future_for_many_tasks(run, pair):
    async def main():
        with pair() as (push, pull):
            future = pull.recv()

            async def wait():
                return await future

            tasks = [asyncio.create_task(wait()) for _ in range(5)]
            await asyncio.sleep(0)
            push.send(b"x")
            assert await asyncio.gather(*tasks) == [b"x"] * 5
            # a cancelled task cancels what it awaits, and so do those beside it
            future = pull.recv()
            tasks = [asyncio.create_task(wait()) for _ in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)

    run(main())


def test_callbacks(run, pair):
    variable = contextvars.ContextVar("variable", default="none")

    async def main():
        with pair() as (push, pull):
            seen = []

            def note(future):
                seen.append((future.result(), variable.get()))

            def other(future):
                seen.append("other")

            variable.set("outer")
            waiting = pull.recv()
            waiting.add_done_callback(other)
            waiting.add_done_callback(note)
            context = contextvars.copy_context()
            context.run(variable.set, "inner")
            waiting.add_done_callback(note, context=context)
            waiting.add_done_callback(other)
            assert waiting.remove_done_callback(other) == 2
            assert waiting.remove_done_callback(other) == 0
            variable.set("later")
            await push.send(b"x")
            await waiting
            await asyncio.sleep(0)
            assert sorted(seen) == [(b"x", "inner"), (b"x", "outer")]
            waiting.add_done_callback(other)  # too late: called soon
            assert len(seen) == 2
            await asyncio.sleep(0)
            assert seen[-1] == "other"

            cancelled = pull.recv()
            cancelled.add_done_callback(lambda future: seen.append(future.cancelled()))
            cancelled.cancel()
            assert seen[-1] == "other"
            await asyncio.sleep(0)
            assert seen[-1] is True

    run(main())


def test_a_callback_that_raises_is_reported(pair):
    reported = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        with pair() as (push, pull):
            waiting = pull.recv()
            waiting.add_done_callback(lambda _: 1 / 0)
            second = pull.recv()
            await push.send(b"x")
            await push.send(b"y")
            assert await second == b"y"

    asyncio.run(main())
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


def test_a_failure_that_nobody_asks_for_is_reported(pair):
    reported = []

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        with pair() as (push, pull):
            push.send("text")
            pull.rcvtimeo = 1
            pull.recv()
            await asyncio.wait([pull.recv()])
            pull.rcvtimeo = -1
            heard = push.send("text")
            assert heard.exception()
            del heard
            gc.collect()

    asyncio.run(main())
    assert [type(context["exception"]) for context in reported] == [TypeError, pyzq.Again, pyzq.Again]


def test_contexts_of_tasks_stay_theirs(run, pair):
    variable = contextvars.ContextVar("variable")

    async def main():
        with pair() as (push, pull):

            async def receive(name):
                variable.set(name)
                for _ in range(5):
                    await pull.recv()
                    assert variable.get() == name

            tasks = [asyncio.create_task(receive(name)) for name in range(4)]
            for _ in range(20):
                await push.send(b"x")
            await asyncio.gather(*tasks)

    run(main())
