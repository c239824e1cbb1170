"""Content of synthetic instructions: cases, small scenes, and the words that join them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from pipestill.tasks import lexicon

VERBS = ("bought", "found", "lost", "sold")


@dataclass(frozen=True)
class Case:
    """One case of a skill.

    Attributes:
        text: the input that goes with the instruction; may be empty.
        answers: acceptable answers, the one to learn first.
        slots: words for the gaps of the instruction's wording.
    """

    text: str
    answers: tuple[str, ...]
    slots: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Skill:
    """A kind of instruction.

    Attributes:
        name: in the manifest.
        wordings: of the instruction, with the slots of its cases; never empty.
        paraphrases: wordings used only in the paraphrased test set.
        draw: makes a case.
    """

    name: str
    wordings: tuple[str, ...]
    paraphrases: tuple[str, ...]
    draw: Callable[[Random], Case]


@dataclass(frozen=True)
class Event:
    """An event: a person, an action, things, a city and a day."""

    who: str
    verb: str
    colour: str
    product: str
    city: str
    day: str

    @property
    def things(self) -> str:
        """The things with their colour."""
        return f"{self.colour} {self.product}"

    def sentence(self, begin: str = "who") -> str:
        """The event in one sentence that begins with the person (``who``), the ``day`` or the ``city``."""
        deed = f"{self.who} {self.verb} {self.things}"
        if begin == "day":
            return f"On {self.day}, {deed} in {self.city}."
        if begin == "city":
            return f"In {self.city}, {deed} on {self.day}."
        return f"{deed} in {self.city} on {self.day}."


def events(rng: Random, n: int) -> list[Event]:
    """``n`` events that share no person, product, city or day."""
    columns = (lexicon.FIRST_NAMES, lexicon.COLOURS, lexicon.PRODUCTS, lexicon.CITIES, lexicon.DAYS)
    rows = zip(*(rng.sample(column, n) for column in columns), strict=True)
    return [Event(who, rng.choice(VERBS), *others) for who, *others in rows]


def told(rng: Random, scene: Sequence[Event]) -> str:
    """Events as a text, every sentence in a shape of its own."""
    return " ".join(event.sentence(rng.choice(("who", "day", "city"))) for event in scene)


def mixed_kinds(rng: Random, wanted: int, others: int) -> tuple[str, list[str], list[str]]:
    """A kind, ``wanted`` words of it, and these mixed with ``others`` words of other kinds (wanted ones in order)."""
    kind, members = rng.choice(list(lexicon.KINDS.items()))
    rest = [word for name, group in lexicon.KINDS.items() if name != kind for word in group]
    mixed = rng.sample(members, wanted) + rng.sample([word for word in rest if word not in members], others)
    rng.shuffle(mixed)
    return kind, [word for word in mixed if word in members], mixed


def kind_of(word: str) -> str:
    """The kind that ``word`` is of (an orange is a fruit)."""
    return next(kind for kind, members in lexicon.KINDS.items() if word in members)


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def with_article(word: str) -> str:
    """``a pear``, ``an orange``."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
