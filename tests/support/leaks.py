"""Descriptors, threads and memory of this process."""

import gc
import os
import time

import psutil
import pytest

_process = psutil.Process()


def descriptors():
    """{number: what it is} of every open descriptor."""
    found = {}
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
    return found


def threads():
    return _process.num_threads()


def resident():
    """Bytes of resident memory."""
    return _process.memory_info().rss


class Baseline:
    """What is open now; ``check`` waits until no more than that is open again."""

    def __init__(self):
        gc.collect()
        self.descriptors = descriptors()
        self.threads = threads()

    def check(self, timeout=5.0, slack_descriptors=0, slack_threads=0):
        end = time.monotonic() + timeout
        while True:
            now, running = descriptors(), threads()
            if len(now) <= len(self.descriptors) + slack_descriptors and running <= self.threads + slack_threads:
                return
            if time.monotonic() > end:
                extra = {fd: name for fd, name in now.items() if fd not in self.descriptors}
                pytest.fail(f"left behind: descriptors {extra}, threads {running - self.threads}")
            gc.collect()
            time.sleep(0.005)
