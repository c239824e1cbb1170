"""Demonstrations: solved records before a question, as equal per stratum as they can be."""

from collections import deque
from collections.abc import Sequence
from random import Random

from pipestill.answers.base import Answers
from pipestill.errors import UserError
from pipestill.io.records import Record


class Demonstrations:
    """A seeded order of records, in which the strata take turns; fewer demonstrations are the first of more.

    Args:
        records: to draw from.
        answers: say what the strata are.
        seed: of the draw.
    """

    def __init__(self, records: Sequence[Record], answers: Answers, seed: int):
        members = {
            stratum: [each for each in records if answers.stratum(each) == stratum] for stratum in answers.strata
        }
        for stratum, found in members.items():
            Random(f"demonstrations {seed} {stratum}").shuffle(found)
        self._answers = answers
        waiting = {stratum: deque(found) for stratum, found in members.items() if found}
        rng, self.ordered = Random(f"turns {seed}"), []
        while waiting:
            turn = sorted(waiting, key=str)
            rng.shuffle(turn)
            self.ordered += [waiting[stratum].popleft() for stratum in turn]
            waiting = {stratum: found for stratum, found in waiting.items() if found}

    def take(self, shots: int, without: str | None = None) -> list[Record]:
        """The first ``shots`` demonstrations.

        Args:
            shots: how many.
            without: id of a record that is not one of them, since it is what is asked. The next one of its stratum
                stands in its place, so that the strata of the others do not tell which one it has.

        Raises:
            UserError: there are not as many records.
        """
        found, others = self.ordered[:shots], self.ordered[shots:]
        place = next((place for place, record in enumerate(found) if record.id == without), None)
        if place is not None:
            own = self._answers.stratum(found.pop(place))
            instead = next((record for record in others if self._answers.stratum(record) == own), None)
            if instead or others:
                found.insert(place, instead or others[0])
        if len(found) < shots:
            raise UserError(
                f"{shots} demonstrations are asked for, and there are {len(found)} training rows; ask for fewer"
            )
        return found
