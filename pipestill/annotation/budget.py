"""The cost of calls: a journal of every call, and limits that are never exceeded."""

import threading
from pathlib import Path
from typing import Any

from pipestill.annotation.journal import open_journal
from pipestill.errors import UserError

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
        self.journal = open_journal(path)
        self.max_cost, self.max_requests = max_cost, max_requests
        self.spent = sum(_counts(row) for row in self.calls())
        self.reserved = 0.0  # dollars, by calls under way
        self.under_way = 0
        self.settled = threading.Condition()

    def calls(self) -> list[dict[str, Any]]:
        """The last row of each call, in the order of sending."""
        return list(self.journal.rows.values())

    def open(self, request: str, most: float) -> str:
        """Reserve the money for a call and return the call's number.

        If the money is short only because of calls under way, wait for their end.

        Args:
            request: the request's key.
            most: dollars that the call can cost.

        Raises:
            BudgetReached: a limit is reached; the sentence says which, and what to do.
        """
        with self.settled:
            if self.max_requests is not None and len(self.journal.rows) >= self.max_requests:
                raise BudgetReached(f"{self.max_requests} requests were sent: raise `max_requests` to go on")
            while self.max_cost is not None and self.spent + self.reserved + most > self.max_cost:
                if not self.under_way:
                    raise BudgetReached(
                        f"${self.spent:.6f} of ${self.max_cost:.6f} are spent, and the next request may cost "
                        f"${most:.6f}: raise `max_cost` to go on"
                    )
                self.settled.wait()
            call = str(len(self.journal.rows) + 1)
            self.journal.append([(call, {"request": request, "reserved": most})])
            self.reserved += most
            self.under_way += 1
            return call

    def close(self, call: str, outcome: str, cost: float, **facts: Any) -> None:
        """Record the outcome of a call and its cost in dollars."""
        with self.settled:
            opened = self.journal.rows[call]
            self.reserved -= opened["reserved"]
            self.spent += cost
            self.under_way -= 1
            self.journal.append([(call, {**opened, "outcome": outcome, "cost": cost, **facts})])
            self.settled.notify_all()


def _counts(row: dict[str, Any]) -> float:
    return row["cost"] if "outcome" in row else row["reserved"]
