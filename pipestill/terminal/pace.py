"""How long the rest of a run takes: jobs of a rule take as long as those before them."""

import time
from collections import Counter
from collections.abc import Callable, Mapping


class Pace:
    """Jobs of a run, waiting, running and done.

    Args:
        counts: jobs by rule.
        clock: gives seconds.
    """

    def __init__(self, counts: Mapping[str, int], clock: Callable[[], float] = time.monotonic):
        self.waiting = Counter(counts)
        self.total, self.done = sum(counts.values()), 0
        self._clock, self._begun = clock, clock()
        self._running: dict[int, tuple[str, float]] = {}
        self._took: dict[str, list[float]] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._begun

    def start(self, job: int, rule: str) -> None:
        """A job begins."""
        self.waiting[rule] -= 1
        self._running[job] = rule, self._clock()

    def finish(self, job: int) -> None:
        """A job ends."""
        rule, begun = self._running.pop(job)
        self._took.setdefault(rule, []).append(self._clock() - begun)
        self.done += 1

    def left(self) -> float | None:
        """Seconds that the rest takes, with as many jobs side by side as so far; none before one has ended."""
        spent = sum(map(sum, self._took.values()))
        if not spent or not self.elapsed:
            return None
        now = self._clock()
        going = {job: now - begun for job, (_, begun) in self._running.items()}
        rest = sum(max(0, count) * self._mean(rule) for rule, count in self.waiting.items())
        rest += sum(max(0.0, self._mean(rule) - going[job]) for job, (rule, _) in self._running.items())
        side_by_side = max(1.0, (spent + sum(going.values())) / self.elapsed)
        return rest / side_by_side

    def _mean(self, rule: str) -> float:
        """Seconds of a job of a rule: the mean of those that ended, or of all rules where none did."""
        own = self._took.get(rule) or [took for each in self._took.values() for took in each]
        return sum(own) / len(own)
