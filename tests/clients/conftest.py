"""The fixture that starts programs and sees them out."""

import pytest


@pytest.fixture
def programs(request, watchdog):
    from clients.running import Programs

    made = Programs()
    yield made
    made.close(getattr(request.node, "failed", False))
