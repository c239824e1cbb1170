"""Sentence-pair episodes: does the first sentence make the second one true?

An episode keeps one convention for what counts as Yes ("must be true" or "could be true"), which shows only in its
solved items or in a guideline sentence, so that the model learns to read the convention from the context.
"""

from dataclasses import dataclass, replace
from random import Random

from pipestill.pretraining.corpus.document import END_OF_TEXT, Document, chat
from pipestill.tasks import lexicon

TRANSITIVE = {
    "carried": "carry", "washed": "wash", "painted": "paint", "moved": "move", "sold": "sell", "found": "find",
    "bought": "buy", "lost": "lose", "opened": "open", "cleaned": "clean", "took": "take", "left": "leave",
}  # fmt: skip
PASSIVE = {"took": "taken"}
SOCIAL = {
    "saw": "see",
    "called": "call",
    "helped": "help",
    "thanked": "thank",
    "followed": "follow",
    "visited": "visit",
}
OBJECTS = {
    "apple": "fruit", "lemon": "fruit", "pear": "fruit", "car": "vehicle", "bicycle": "vehicle", "boat": "vehicle",
    "chair": "thing", "table": "thing", "lamp": "thing", "dog": "animal", "horse": "animal", "cat": "animal",
}  # fmt: skip
TRAITS = ("tall", "young", "happy", "quiet", "old")
MUST = (
    "Answer {yes} only if the second sentence must be true.",
    "{yes} means that the second sentence follows for certain; otherwise {no}.",
)
COULD = (
    "Answer {yes} if the second sentence could be true.",
    "{no} means that the second sentence cannot be true; otherwise {yes}.",
)


DENIED_AGAIN = 0.75  # share of the pairs that a "not" tells apart for which another pair is drawn
INFLECTED = ("a", "an", "was", "did", "by")  # words that come with another form of the same sentence
FORMS = (
    ("{a} {b} ?", ("Yes", "No")),
    ("{a} question: {b} Yes or No? answer:", ("Yes", "No")),
    ("{a}\nQuestion: {b} True or False?\nAnswer:", ("True", "False")),
)


@dataclass(frozen=True)
class Event:
    """An agent does something to a thing, with optional details."""

    agent: str
    verb: str
    thing: str
    trait: str = ""
    colour: str = ""
    place: str = ""
    day: str = ""
    negated: bool = False
    passive: bool = False
    also: str = ""

    def __str__(self) -> str:
        """The event as a sentence."""
        agent = " ".join(filter(None, ("the", self.trait, self.agent))) + (f" and the {self.also}" if self.also else "")
        article = "an" if not self.colour and self.thing[0] in "aeiou" else "a"
        thing = " ".join(filter(None, (article, self.colour, self.thing)))
        if self.passive:
            done = PASSIVE.get(self.verb, self.verb)
            middle = f"{thing} was {'not ' if self.negated else ''}{done} by {agent}"
        else:
            done = f"did not {TRANSITIVE[self.verb]}" if self.negated else self.verb
            middle = f"{agent} {done} {thing}"
        tail = (f" in the {self.place}" if self.place else "") + (f" on {self.day}" if self.day else "")
        return f"{middle[0].upper()}{middle[1:]}{tail}."


def _event(rng: Random) -> Event:
    return Event(
        agent=rng.choice(lexicon.PEOPLE),
        verb=rng.choice(list(TRANSITIVE)),
        thing=rng.choice(list(OBJECTS)),
        trait=rng.choice(TRAITS) if rng.random() < 0.4 else "",
        colour=rng.choice(lexicon.COLOURS) if rng.random() < 0.5 else "",
        place=rng.choice(lexicon.PLACES) if rng.random() < 0.6 else "",
        day=rng.choice(lexicon.DAYS) if rng.random() < 0.5 else "",
        passive=rng.random() < 0.25,
    )


def _other(rng: Random, values, value: str) -> str:
    return rng.choice([option for option in values if option != value])


def _entailed(rng: Random, event: Event) -> Event:
    kept = replace(
        event,
        trait=event.trait if rng.random() < 0.4 else "",
        colour=event.colour if rng.random() < 0.4 else "",
        place=event.place if rng.random() < 0.5 else "",
        day=event.day if rng.random() < 0.5 else "",
        passive=event.passive != (rng.random() < 0.3),
    )
    return replace(kept, thing=OBJECTS[event.thing]) if rng.random() < 0.35 else kept


def _contradicted(rng: Random, event: Event) -> Event:
    kept = _entailed(rng, event)
    choices = [replace(kept, thing=event.thing, negated=True)] * 2
    if event.colour:
        choices.append(replace(kept, colour=_other(rng, lexicon.COLOURS, event.colour)))
    if event.place:
        choices.append(replace(kept, place=_other(rng, lexicon.PLACES, event.place)))
    if event.day:
        choices.append(replace(kept, day=_other(rng, lexicon.DAYS, event.day)))
    return rng.choice(choices)


def _open(rng: Random, event: Event) -> Event:
    kept = _entailed(rng, event)
    choices = [replace(kept, also=_other(rng, lexicon.PEOPLE, event.agent))]
    if not event.trait:
        choices.append(replace(kept, trait=rng.choice(TRAITS)))
    if not event.colour:
        choices.append(replace(kept, colour=rng.choice(lexicon.COLOURS), thing=event.thing))
    if not event.place:
        choices.append(replace(kept, place=rng.choice(lexicon.PLACES)))
    if not event.day:
        choices.append(replace(kept, day=rng.choice(lexicon.DAYS)))
    return rng.choice(choices)


def _meeting(rng: Random, relation: str) -> tuple[str, str]:
    """Two people: the passive follows, exchanged roles are open, a negation contradicts."""
    one, two = rng.sample(lexicon.PEOPLE, 2)
    verb = rng.choice(list(SOCIAL))
    trait = rng.choice(("", "", *TRAITS))
    premise = f"The {trait} {one} {verb} the {two}.".replace("  ", " ")
    done = {"saw": "seen"}.get(verb, verb)
    follows = (f"The {one} {verb} the {two}.", f"The {two} was {done} by the {one}.")
    is_open = (f"The {two} {verb} the {one}.", f"The {one} was {done} by the {two}.")
    contradicts = (f"The {one} did not {SOCIAL[verb]} the {two}.", f"The {two} was not {done} by the {one}.")
    return premise, rng.choice({"follows": follows, "open": is_open, "contradicts": contradicts}[relation])


def _pair(rng: Random, relation: str) -> tuple[str, str]:
    if rng.random() < 0.25:
        return _meeting(rng, relation)
    event = _event(rng)
    make = {"follows": _entailed, "open": _open, "contradicts": _contradicted}[relation]
    return str(event), str(make(rng, event))


def difference(rng: Random) -> Document:
    """One pair, with the first word of the second sentence that the first one has not, or with what follows."""
    if rng.random() < 0.5:
        a, b = _pair(rng, rng.choice(("follows", "follows", "contradicts", "open", "open")))
        known = {*_words(a), *INFLECTED}
        new = next((word for word in _words(b) if word not in known), "none")
        return Document("differences", ((f"{a} question: {b} Which word is new? answer:", False), (f" {new}", True)))
    follows = rng.random() < 0.5
    a, b = _pair(rng, "follows" if follows else "contradicts")
    while not follows and "not" in _words(b) and rng.random() < DENIED_AGAIN:
        a, b = _pair(rng, "contradicts")
    form, words = rng.choice(FORMS)
    return Document("differences", ((form.format(a=a, b=b), False), (f" {words[0 if follows else 1]}", True)))


def _words(text: str) -> list[str]:
    return text.lower().removesuffix(".").split()


def episode(rng: Random) -> Document:
    """One to eight pairs, now and then up to sixteen, under one convention in one form; only answers are learnt."""
    must = rng.random() < 0.5
    words = rng.choice((("Yes", "No"), ("Yes", "No"), ("True", "False")))
    form = {
        ("Yes", "No"): ("{a} {b} ?", "{a} question: {b} Yes or No? answer:"),
        ("True", "False"): ("{a}\nQuestion: {b} True or False?\nAnswer:",) * 2,
    }[words][rng.randrange(2)]
    guideline = rng.choice(MUST if must else COULD).format(yes=words[0], no=words[1]) if rng.random() < 0.35 else ""
    items = []
    for _ in range(rng.randint(9, 16) if rng.random() < 0.1 else rng.randint(1, 8)):
        relation = rng.choice(("follows", "follows", "contradicts", "contradicts", "open"))
        a, b = _pair(rng, relation)
        holds = relation == "follows" or (relation == "open" and not must)
        items.append((form.format(a=a, b=b), words[0] if holds else words[1]))
    if rng.random() < 0.25:
        question, answer = items[0]
        return chat("pairs", (f"{guideline}\n{question}".strip(), answer), *items[1:4])
    segments: list[tuple[str, bool]] = [(f"{guideline}\n\n", False)] if guideline else []
    for question, answer in items:
        segments += [(question, False), (f" {answer}", True), ("\n\n", False)]
    segments[-1] = (END_OF_TEXT, False)
    return Document("pairs", tuple(segments))
