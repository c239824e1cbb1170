"""Premises and hypotheses: what follows from a statement, what contradicts it, and what it leaves open."""

from dataclasses import dataclass, replace
from random import Random

from pipestill.tasks import lexicon
from pipestill.tasks.mnli.genres import OPPOSITE, Genre

Pair = tuple[str, str]  # premise and hypothesis


@dataclass(frozen=True)
class Event:
    """Somebody did something, or did not, with details by their phrases."""

    genre: Genre
    who: str
    did: str
    thing: str
    quality: str
    details: tuple[tuple[str, str], ...]
    negated: bool = False
    passive: bool = False

    def __str__(self) -> str:
        """The event with its details."""
        return " ".join((self.clause, *self.phrases))

    @property
    def clause(self) -> str:
        """What happened, without details."""
        thing = " ".join(filter(None, ("the", self.quality, self.thing)))
        if self.passive:
            was = f"{'were' if self.genre.plural else 'was'}{' not' if self.negated else ''}"
            return f"{thing} {was} {self.did} by {self.who}"
        return f"{self.who} {f'did not {self.genre.did[self.did]}' if self.negated else self.did} {thing}"

    @property
    def phrases(self) -> list[str]:
        """Its details."""
        return [phrase.format(word) for phrase, word in self.details]


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def other(rng: Random, words, *known: str) -> str:
    """One of ``words`` that is none of the ``known``."""
    return rng.choice([word for word in words if word not in known])


def draw(rng: Random, genre: Genre) -> Event:
    """An event with all details."""
    details = tuple((phrase, rng.choice(words)) for phrase, words in genre.details.items())
    did, quality = rng.choice(list(genre.did)), rng.choice(genre.qualities)
    return Event(genre, rng.choice(genre.who), did, rng.choice(genre.things), quality, details)


def event_pair(rng: Random, genre: Genre, label: str) -> Pair:
    """An event, and the same with fewer details, with another or an opposite one, or with more."""
    whole = draw(rng, genre)
    kept = [detail for detail in whole.details if rng.random() < 0.7] or [rng.choice(whole.details)]
    event = replace(whole, details=tuple(kept), quality=whole.quality if rng.random() < 0.7 else "")
    front = rng.randrange(len(kept)) if rng.random() < 0.4 else None  # the detail before the clause
    phrases = event.phrases
    first = f"{phrases.pop(front)}, " if front is not None else ""
    premise = first + " ".join((event.clause, *phrases))
    return premise, str({"entailment": _less, "neutral": _more, "contradiction": _against}[label](rng, whole, event))


def _less(rng: Random, whole: Event, event: Event) -> Event:
    """A part of ``event``, or what is true of its kind of thing."""
    part = replace(
        event,
        quality=event.quality if rng.random() < 0.4 else "",
        details=tuple(detail for detail in event.details if rng.random() < 0.4),
        passive=rng.random() < 0.2,
    )
    general = event.genre.kinds.get(event.thing)
    if general and rng.random() < 0.3:
        part = replace(part, thing=general)
    return replace(part, details=()) if part == event else part


def _more(rng: Random, whole: Event, event: Event) -> Event:
    """A part of ``event`` with a detail of which it says nothing, with somebody else or with another thing."""
    part = replace(_less(rng, whole, event), thing=event.thing)
    genre = event.genre
    open_ones = [
        replace(part, who=other(rng, genre.who, event.who)),
        replace(part, thing=other(rng, genre.things, event.thing)),
    ]
    if not event.quality:
        open_ones.append(replace(part, quality=whole.quality))
    told = dict(event.details)
    open_ones += [replace(part, details=(*part.details, each)) for each in whole.details if each[0] not in told]
    return rng.choice(open_ones)


def _against(rng: Random, whole: Event, event: Event) -> Event:
    """A part of ``event`` that is denied, or that has another detail or the opposite quality."""
    part = replace(_less(rng, whole, event), thing=event.thing)
    genre = event.genre
    choices = [replace(part, negated=True)]
    if event.quality:
        opposite = OPPOSITE.get(event.quality) or other(rng, lexicon.COLOURS, event.quality)
        choices.append(replace(part, quality=opposite))
    for phrase, word in event.details:
        rest = tuple(detail for detail in part.details if detail[0] != phrase)
        changed = (phrase, other(rng, genre.details[phrase], word))
        choices.append(replace(part, details=(*rest, changed)))
    return rng.choice(choices)


def contrast_pair(rng: Random, genre: Genre, label: str) -> Pair:
    """Something that was done and something that was not."""
    done = replace(draw(rng, genre), quality="", details=())
    did, thing = other(rng, genre.did, done.did), other(rng, genre.things, done.thing)
    not_done = replace(done, did=did, thing=thing, negated=True)
    _, _, denial = not_done.clause.partition(f"{done.who} ")
    hypotheses = {
        "entailment": (done, not_done),
        "contradiction": (replace(done, negated=True), replace(not_done, negated=False)),
        "neutral": (
            replace(not_done, who=other(rng, genre.who, done.who), negated=rng.random() < 0.5),
            replace(done, thing=other(rng, genre.things, done.thing, thing)),
        ),
    }
    return f"{done.clause} but {denial}", str(rng.choice(hypotheses[label]))


def comparison_pair(rng: Random, genre: Genre, label: str) -> Pair:
    """Two that are compared, and the same the other way round."""
    one, two = rng.sample(genre.who, 2)
    more = rng.choice(list(genre.more))
    less = genre.more[more]
    phrase, words = rng.choice(list(genre.details.items()))
    third = other(rng, genre.who, one, two)
    hypotheses = {
        "entailment": (f"{one} {more} {two}", f"{two} {less} {one}"),
        "contradiction": (f"{two} {more} {one}", f"{two} {more} {one}", f"{one} {less} {two}"),
        "neutral": (f"{one} {more} {third}", f"{third} {more} {two}"),
    }
    return f"{one} {more} {two} {phrase.format(rng.choice(words))}", rng.choice(hypotheses[label])


PAIRS = (*[event_pair] * 4, contrast_pair, comparison_pair)  # as often as they stand here


def pair(rng: Random, genre: Genre, label: str) -> Pair:
    """A premise of the genre and a hypothesis that is related to it as ``label`` says."""
    premise, hypothesis = rng.choice(PAIRS)(rng, genre, label)
    return sentence(rng.choice(genre.openings) + premise), sentence(hypothesis)
