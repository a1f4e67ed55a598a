"""Event loops of asyncio for tests: the stock one, the same in debug mode, and uvloop when it is installed."""

import asyncio
import gc
import warnings
from importlib.util import find_spec

import pytest

LOOPS = [
    "stock",
    "debug",
    pytest.param("uvloop", marks=pytest.mark.skipif(not find_spec("uvloop"), reason="uvloop is not installed")),
]


def new_loop(kind):
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    loop = asyncio.new_event_loop()
    if kind == "debug":
        loop.set_debug(True)
        loop.slow_callback_duration = 5  # a busy machine is no fault of ours
    return loop


def run(kind, main, timeout=30):
    """Runs a coroutine in a new loop; nothing may be reported to the loop, warned of, or left behind in it."""
    loop = new_loop(kind)
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context))

    async def whole():
        result = await asyncio.wait_for(main, timeout)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ResourceWarning)
            asyncio.set_event_loop(loop)
            try:
                result = loop.run_until_complete(whole())
                loop.run_until_complete(loop.shutdown_asyncgens())
            finally:
                asyncio.set_event_loop(None)
                loop.close()
        if kind == "debug":
            gc.collect()
        assert not reported, reported
        return result
    finally:
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False


def readers(loop):
    """Descriptors that a loop reads for somebody, its own left out; None for a loop that does not tell."""
    selector = getattr(loop, "_selector", None)
    if selector is None:
        return None
    return set(selector.get_map()) - {loop._ssock.fileno()}
