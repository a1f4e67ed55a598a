"""What the messages contain, and how a receiver knows that it got what was sent.

Before the clock starts, a burst of messages with varied contents is compared byte for byte. While it runs, messages
carry one body; the last message of each chunk is a marker that cycles through `MARKS` values, so a lost, repeated or
reordered message shifts the chunk and is noticed at its end. The last two messages of every chunk are compared.
"""

from __future__ import annotations

import random

MARKS = 8
_LARGE = 1 << 16  # above it a comparison looks at both ends and the middle instead of at every byte
_SAMPLE = 64
VERIFIED = 24  # messages of the untimed check

CHUNKS = ((1 << 10, 1000), (1 << 14, 200), (1 << 16, 50), (1 << 20, 8))
"""(largest size, messages per chunk): a chunk is what passes between two looks at the clock."""


def chunk_of(size: int) -> int:
    """Messages per chunk for a message size."""
    return next((count for limit, count in CHUNKS if size <= limit), 2)


class Payload:
    """All messages of a run of one size: every side builds the same ones."""

    def __init__(self, size: int) -> None:
        block = bytes(range(32, 127))
        self.size = size
        self.body = (block * (size // len(block) + 1))[:size]
        self.probe = b"?" * size
        self.stop = b"!" * size
        kinds = MARKS if size <= _LARGE else 2
        self.marks = [b"%07d." % k + self.body[8:] for k in range(kinds)]

    def distinct(self, count: int) -> list[bytes]:
        """Messages that differ in their first eight bytes, and only there."""
        return [b"%07d;" % k + self.body[8:] for k in range(count)]

    def mark(self, number: int) -> bytes:
        """The marker that ends chunk `number`."""
        return self.marks[number % len(self.marks)]

    def varied(self) -> list[bytes]:
        """The messages of the untimed check: different from each other and from everything else."""
        source = random.Random(self.size)
        count = VERIFIED if self.size <= _LARGE else 3
        return [b"%07d," % k + source.randbytes(self.size - 8) for k in range(count)]


def same(got: bytes, wanted: bytes) -> bool:
    """Whether two messages are equal; large ones are sampled at both ends and in the middle."""
    if len(wanted) <= _LARGE:
        return got == wanted
    middle = len(wanted) // 2
    return (
        len(got) == len(wanted)
        and got[:_SAMPLE] == wanted[:_SAMPLE]
        and got[-_SAMPLE:] == wanted[-_SAMPLE:]
        and got[middle : middle + _SAMPLE] == wanted[middle : middle + _SAMPLE]
    )


class ContentError(AssertionError):
    """A message was lost, repeated, reordered or changed."""
