"""The cost of calls: a journal of every call, and limits that are never exceeded."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipestill.annotation.journal import open_journal
from pipestill.annotation.pricing import kept_cost
from pipestill.errors import UserError
from pipestill.settings.annotation import PriceConfig

EXIT_CODE = 3


class BudgetReached(UserError):
    """The next call could cost more than is left."""

    exit_code = EXIT_CODE


class Budget:
    """A journal with two rows for each call: the most it can cost, before it is sent, and its cost, once it has ended.

    Both are kept over all runs. A call whose end was never written, since its process was killed, counts with the most
    it can have cost.

    Args:
        path: the journal, JSON Lines.
        max_cost: dollars that may be spent in all.
        max_requests: calls that may be sent in all.
    """

    def __init__(self, path: Path, max_cost: float | None = None, max_requests: int | None = None):
        self.journal = open_journal(path, ("request", "reserved"))
        self.max_cost, self.max_requests = max_cost, max_requests
        self.last = max((int(number) for number in self.journal.rows if number.isdecimal()), default=0)
        self.spent = sum(_counts(row) for row in self.calls())
        self.excess = max([1.0, *map(_excess, self.calls())])  # by which the price turned out too low
        self.reserved = 0.0  # dollars, by calls under way
        self.under_way = 0
        self.settled = threading.Condition()

    def calls(self) -> list[dict[str, Any]]:
        """The last row of each call, in the order of sending."""
        return list(self.journal.rows.values())

    def restore(self, answers: Mapping[str, Mapping[str, Any]], price: PriceConfig | None) -> None:
        """Enter the calls of answers that no call led to, as where the journal was lost and the ledger was not.

        Args:
            answers: the ledger.
            price: for answers that do not say what they cost.
        """
        known = {call["request"] for call in self.calls()}
        for request, row in ((key, row) for key, row in answers.items() if key not in known):
            cost = kept_cost(row, price)
            ends = [("lost", 0.0)] * (row["attempts"] - 1) + [("ok", cost)]
            for outcome, dollars in ends:
                facts = {"outcome": outcome, "cost": dollars, "cost_source": "ledger"}
                self.journal.append([(self._next(), {"request": request, "reserved": dollars, **facts})])
            self.spent += cost

    def _next(self) -> str:
        """A number that no call has had, also where lines of the journal are gone."""
        self.last += 1
        return str(self.last)

    def open(self, request: str, most: float) -> str:
        """Reserve the money for a call and return the call's number.

        If the money is short only because of calls under way, wait for their end.

        Args:
            request: the request's key.
            most: dollars that the call can cost, by the price; more is reserved once calls have cost more.

        Raises:
            BudgetReached: a limit is reached; the sentence says which, and what to do.
        """
        with self.settled:
            if self.max_requests is not None and self.last >= self.max_requests:
                raise BudgetReached(f"{self.max_requests} requests were sent: raise `max_requests` to go on")
            most *= self.excess
            while self.max_cost is not None and self.spent + self.reserved + most > self.max_cost:
                if not self.under_way:
                    raise BudgetReached(
                        f"${self.spent:.6f} of ${self.max_cost:.6f} are spent, and the next request may cost "
                        f"${most:.6f}: raise `max_cost` to go on"
                    )
                self.settled.wait()
            call = self._next()
            self.journal.append([(call, {"request": request, "reserved": most})])
            self.reserved += most
            self.under_way += 1
            return call

    def close(self, call: str, outcome: str, cost: float, **facts: Any) -> None:
        """Record the outcome of a call and its cost in dollars."""
        with self.settled:
            opened, counts = self.journal.rows[call], cost
            self.reserved -= opened["reserved"]
            self.under_way -= 1
            try:
                self.journal.append([(call, {**opened, "outcome": outcome, "cost": cost, **facts})])
                self.excess = max(self.excess, _excess(self.journal.rows[call]))
            except OSError:
                counts = opened["reserved"]  # as on the disk
                raise
            finally:
                self.spent += counts
                self.settled.notify_all()


def _counts(row: dict[str, Any]) -> float:
    return row["cost"] if "outcome" in row else row["reserved"]


def _excess(row: dict[str, Any]) -> float:
    """How many times more than reserved a call has cost."""
    return row.get("cost", 0.0) / row["reserved"] if row["reserved"] else 0.0
