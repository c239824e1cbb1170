"""Open instructions with longer answers, and instructions that combine two skills.

Training rows have short answers and the combinations of ``COMBINED``; longer answers and other combinations are kept
for test sets.
"""

from random import Random

from pipestill.tasks import lexicon
from pipestill.tasks.dolly.scenes import Case, Skill, events, joined, mixed_kinds
from pipestill.tasks.dolly.skills import ORDERS
from pipestill.tasks.toy_world import people

FACTS = {
    "city": "lives in {value}",
    "job": "is a {value}",
    "pet": "has a {value}",
    "fruit": "likes {value}",
    "colour": "wears {value}",
}


def _portrait(rng: Random, n: int) -> Case:
    name, facts = rng.choice(list(people().items()))
    fields = rng.sample(list(FACTS), n)
    answer = " ".join(f"{name} {FACTS[field].format(value=facts[field])}." for field in fields)
    return Case("", (answer,), {"who": name, "fields": joined(fields)})


def _contrast(rng: Random, n: int) -> Case:
    one, two = rng.sample(list(people()), 2)
    first, second = people()[one], people()[two]
    fields = [field for field in rng.sample(list(FACTS), len(FACTS)) if first[field] != second[field]][:n]
    answer = " ".join(
        f"{one} {FACTS[field].format(value=first[field])}, but {two} {FACTS[field].format(value=second[field])}."
        for field in fields
    )
    return Case("", (answer,), {"one": one, "two": two, "fields": joined(fields)})


def _plan(rng: Random, n: int) -> Case:
    places, things = rng.sample(lexicon.PLACES, n), rng.sample(lexicon.PRODUCTS, n)
    stops = [f"to the {place} for {thing}" for place, thing in zip(places, things, strict=True)]
    starts = ["First go", *["Then go"] * (n - 2), "Last, go"]
    text = ", ".join(f"{thing}: {place}" for place, thing in zip(places, things, strict=True))
    return Case(text, (" ".join(f"{start} {stop}." for start, stop in zip(starts, stops, strict=True)),))


def _story(rng: Random, n: int) -> Case:
    scene = events(rng, n)
    finders = rng.sample([name for name in lexicon.FIRST_NAMES if name not in {event.who for event in scene}], n)
    parts, sentences = [], []
    for event, finder in zip(scene, finders, strict=True):
        parts.append(f"{event.who}, {finder} and {event.things} in {event.city} on {event.day}")
        sentences.append(f"On {event.day}, {event.who} lost {event.things} in {event.city}.")
        sentences.append(f"{finder} found the {event.product}.")
    return Case("", (" ".join(sentences),), {"parts": "; ".join(parts)})


_PORTRAIT = ("Describe {who}: {fields}.", "Tell me about {who}: {fields}.")
_CONTRAST = ("Compare {one} and {two}: {fields}.", "What is different, {one} or {two}: {fields}?")
_PLAN = ("Make a plan for the day.", "Where do we go for these things?")
_STORY = ("Write a story of {parts}.", "Tell how things are lost and found: {parts}.")

SHORT = (
    Skill("portrait", _PORTRAIT, ("Who is {who}? I want to know: {fields}.",), lambda rng: _portrait(rng, 2)),
    Skill("contrast", _CONTRAST, ("How are {one} and {two} not the same: {fields}?",), lambda rng: _contrast(rng, 1)),
    Skill("plan", _PLAN, ("In which order should we do this?",), lambda rng: _plan(rng, 2)),
    Skill("story", _STORY, ("{parts}: what was lost and found?",), lambda rng: _story(rng, 1)),
)
LONG = (
    Skill("long portrait", _PORTRAIT, (), lambda rng: _portrait(rng, rng.randint(3, 4))),
    Skill("long contrast", _CONTRAST, (), lambda rng: _contrast(rng, 2)),
    Skill("long plan", _PLAN, (), lambda rng: _plan(rng, rng.randint(3, 4))),
    Skill("long story", _STORY, (), lambda rng: _story(rng, 2)),
)


def _picked(rng: Random) -> tuple[str, list[str], dict[str, str]]:
    kind, wanted, mixed = mixed_kinds(rng, rng.randint(3, 4), 2)
    return ", ".join(mixed), wanted, {"kind": kind}


def _ordered(rng: Random) -> tuple[str, list[str], dict[str, str]]:
    name, words = rng.choice(list(ORDERS.items()))
    chosen = rng.sample(words, rng.randint(3, 4))
    return ", ".join(chosen), sorted(chosen, key=words.index), {"what": name}


def _translated(rng: Random) -> tuple[str, list[str], dict[str, str]]:
    words = rng.sample(list(lexicon.TRANSLATIONS), 3)
    return ", ".join(words), [lexicon.TRANSLATIONS[word] for word in words], {}


SOURCES = {
    "members": ("Find the {kind}s", _picked),
    "order": ("Put the {what} in order", _ordered),
    "translate": ("Write the words in Spanish", _translated),
}  # a skill that makes a list of words: input, list and slots
ARRANGEMENTS = {
    "numbered": ("number them", lambda words: "\n".join(f"{n}. {word}" for n, word in enumerate(words, 1))),
    "backwards": ("write them from last to first", lambda words: ", ".join(words[::-1])),
    "then": ("say: first, then", lambda words: f"first {words[0]}, then {joined(words[1:])}"),
}


def _combination(source: str, arrangement: str) -> Skill:
    """Make a list by one skill and write it by another."""
    (first, make), (second, arrange) = SOURCES[source], ARRANGEMENTS[arrangement]

    def draw(rng: Random) -> Case:
        text, words, slots = make(rng)
        return Case(text, (arrange(words),), slots)

    return Skill(f"{source}, {arrangement}", (f"{first} and {second}.",), (), draw)


def _moved(begin: str) -> Skill:
    """Write a sentence with another person and in another order."""

    def draw(rng: Random) -> Case:
        event, other = events(rng, 2)
        answer = event.sentence(begin).replace(event.who, other.who)
        return Case(event.sentence("who"), (answer,), {"old": event.who, "new": other.who})

    wording = f"Write the text with {{new}} in place of {{old}}, and begin with the {begin}."
    return Skill(f"replace, {begin} first", (wording,), (), draw)


COMBINED = (
    _combination("members", "numbered"),
    _combination("members", "then"),
    _combination("order", "numbered"),
    _combination("order", "backwards"),
    _combination("translate", "backwards"),
    _moved("day"),
)
UNSEEN = (
    _combination("members", "backwards"),
    _combination("order", "then"),
    _combination("translate", "numbered"),
    _combination("translate", "then"),
    _moved("city"),
)
