"""The books of sockets, and what they and the queues must be under each policy of the high-water mark."""

from collections import Counter


def ledgers(stats):
    """Every set of books inside what stats() returns, wherever it stands."""
    if isinstance(stats, dict):
        if "accepted" in stats and "dropped" in stats:
            yield stats
        for value in stats.values():
            yield from ledgers(value)
    elif isinstance(stats, (list, tuple)):
        for value in stats:
            yield from ledgers(value)


def check_books(made):
    """accepted = delivered + queued + everything dropped, in every ledger; returns the ledgers."""
    found = list(ledgers(made.stats()))
    assert found, made.stats()
    for one in found:
        assert one["accepted"] == one["delivered"] + one["queued"] + sum(one["dropped"].values()), one
    return found


class Model:
    """A queue under a policy, message by message; `held` messages stand before it and cannot be dropped."""

    def __init__(self, policy, held=0):
        self.policy = policy
        self.limit = policy.messages
        self.held = held
        self.queue = []
        self.full = False
        self.accepted = 0
        self.dropped = Counter()

    def put(self, parts):
        """Whether the message was taken (or dropped): not when the writer has to wait."""
        return getattr(self, f"_{self.policy.kind}")(parts)

    def take(self):
        """What a reader gets; from half of the limit on a writer may go on."""
        parts = self.queue.pop(0)
        if len(self.queue) <= self.limit // 2:
            self.full = False
        return parts

    def _over(self):
        return bool(self.limit) and len(self.queue) + self.held >= self.limit

    def _append(self, parts):
        self.accepted += 1
        self.queue.append(parts)
        return True

    def _block(self, parts):
        self.full = self.full or self._over()
        if self.full:
            return False
        self._append(parts)
        self.full = self._over()
        return True

    _disconnect = _block

    def _drop_newest(self, parts):
        if self._over():
            self.accepted += 1
            self.dropped["newest"] += 1
            return True
        return self._append(parts)

    def _drop_oldest(self, parts):
        while self.queue and self._over():
            del self.queue[0]
            self.dropped["oldest"] += 1
        return self._append(parts)

    def _keep_last(self, parts):
        def key(one):
            return one[0] if self.policy.key == "first_frame" else one[0][: self.policy.key or 0]

        for index, known in enumerate(self.queue):
            if key(known) == key(parts):
                self.queue[index] = parts  # the place that its predecessor had
                self.accepted += 1
                self.dropped["replaced"] += 1
                return True
        if self.limit and len(self.queue) >= self.limit:
            del self.queue[0]
            self.dropped["oldest"] += 1
        return self._append(parts)
