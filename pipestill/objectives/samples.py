"""Which of a teacher's answers to a prompt are learnt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from pipestill.answers.base import Lessons
from pipestill.errors import UserError
from pipestill.io.records import Json, Record
from pipestill.objectives.base import Sources
from pipestill.settings.samples import Keep
from pipestill.settings.section import Section


class Kept(Section):
    """The teacher's answers in a training file."""

    keep: Keep
    """Which of them are learnt."""
    prompts: int = 0
    """Prompts."""
    learnt: int = 0
    """Prompts of which some answer is learnt."""
    answers: int = 0
    """Answers to them."""
    verified: int = 0
    """Answers that are verified."""
    kept: int = 0
    """Answers that are learnt."""

    def notes(self) -> list[str]:
        """A sentence for tables."""
        done = {"all": "All are learnt", "best": "The best of each prompt is learnt"}.get(self.keep)
        done = done or f"These are learnt, each once: {self.kept}, to {self.learnt} prompts"
        share = self.verified / self.answers if self.answers else 0
        return [
            f"The teacher gave {self.answers} answers to {self.prompts} prompts, of which {share:.0%} are verified. "
            f"{done}."
        ]


@dataclass(frozen=True)
class Judged:
    """A teacher's answers to one prompt.

    Attributes:
        outputs: the likeliest first.
        verified: of each, whether it is right, or where that cannot be seen, whether it stands for all.
        agreement: of each, how much the others are like it, from 0 to 1.
    """

    outputs: Sequence[str]
    verified: Sequence[bool]
    agreement: Sequence[float]

    @classmethod
    def of(cls, outputs: Sequence[str], lessons: Lessons, record: Record, gold: str | None) -> "Judged":
        """Judge answers.

        Args:
            outputs: to the prompt of ``record``.
            lessons: of their kind.
            record: without a gold output where it has none.
            gold: words of it.
        """
        places = range(len(outputs))
        agreement = [
            fmean([lessons.alike(outputs[place], outputs[other]) for other in places if other != place] or [1.0])
            for place in places
        ]
        found = [lessons.check(record, output, gold) for output in outputs]
        seen = all(each is not None for each in found)
        return cls(outputs, [bool(each) for each in found] if seen else lessons.agreed(agreement), agreement)

    def learnt(self, keep: Keep) -> list[str]:
        """Those that are learnt; of equal ones that are verified, one."""
        if keep == "all":
            return list(self.outputs)
        if keep == "verified":
            right = zip(self.outputs, self.verified, strict=True)
            return list(dict.fromkeys(output for output, verified in right if verified))
        places = range(len(self.outputs))
        return [self.outputs[max(places, key=lambda place: (self.verified[place], self.agreement[place], -place))]]


def with_kept(records: Iterable[Record], sources: Sources, keep: Keep) -> tuple[list[Record], dict[str, Json], Kept]:
    """A record for each answer of the teacher that is learnt, what the teacher says to it, and counts.

    The first record of a prompt has its id; further ones are told apart by a number behind it.

    Raises:
        UserError: there is nothing to learn.
    """
    found: list[Record] = []
    outputs: dict[str, Json] = {}
    counts = dict.fromkeys(("prompts", "learnt", "answers", "verified", "kept"), 0)
    for record in records:
        said = sources.said(record)
        gold = sources.prompt.word(record.target) if record.labelled else None
        judged = Judged.of(said["outputs"], sources.lessons, record, gold)
        learnt = judged.learnt(keep)
        for name, output in _named(record.id, learnt):
            found.append(replace(record, id=name))
            outputs[name] = {**said, "id": name, "outputs": [output]}
        now = (1, bool(learnt), len(judged.outputs), sum(judged.verified), len(learnt))
        counts = {name: count + more for (name, count), more in zip(counts.items(), now, strict=True)}
    if not found:
        raise UserError(
            f"none of {counts['answers']} answers of the teacher is verified, so `kd` has nothing to learn: raise "
            "`samples` of the study's `kd`, or set its `keep` to `best`"
        )
    return found, outputs, Kept(keep=keep, **counts)


def _named(name: str, outputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, output in enumerate(outputs, 1):
        yield (name if number == 1 else f"{name}#{number}"), output
