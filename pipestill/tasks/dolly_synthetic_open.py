"""Open instructions with longer answers, and instructions that combine two skills.

Training rows have short answers and the combinations of ``COMBINED``; longer answers and other combinations are kept
for test sets.
"""

from random import Random

from pipestill.tasks import lexicon
from pipestill.tasks.dolly_synthetic_scenes import Case, Skill, events, joined, mixed_kinds, with_article
from pipestill.tasks.dolly_synthetic_skills import ORDERS
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


def _numbered(words: list[str]) -> str:
    return "\n".join(f"{number}. {word}" for number, word in enumerate(words, 1))


def _listed(rng: Random, arrange, low: int = 3, high: int = 4) -> Case:
    kind, wanted, mixed = mixed_kinds(rng, rng.randint(low, high), 2)
    return Case(", ".join(mixed), (arrange(wanted),), {"kind": kind})


def _ordered(rng: Random, arrange) -> Case:
    name, words = rng.choice(list(ORDERS.items()))
    chosen = rng.sample(words, rng.randint(3, 4))
    return Case(", ".join(chosen), (arrange(sorted(chosen, key=words.index)),), {"what": name})


def _moved(rng: Random, begin: str) -> Case:
    event, other = events(rng, 2)
    text = event.sentence("who")
    return Case(text, (event.sentence(begin).replace(event.who, other.who),), {"old": event.who, "new": other.who})


def _translated(rng: Random, arrange) -> Case:
    words = rng.sample(list(lexicon.TRANSLATIONS), 3)
    return Case(", ".join(words), (arrange([lexicon.TRANSLATIONS[word] for word in words]),))


def _reported(rng: Random) -> Case:
    scene = events(rng, 2)
    event, receiver = rng.choice(scene), rng.choice(lexicon.LAST_NAMES)
    text = " ".join(each.sentence("who") for each in scene)
    answer = f"Dear {receiver}, {event.who} {event.verb} {event.things} in {event.city}."
    return Case(text, (answer,), {"who": event.who, "receiver": receiver})


COMBINED = (
    Skill("members, numbered", ("Find the {kind}s and number them.",), (), lambda rng: _listed(rng, _numbered)),
    Skill("order, numbered", ("Put the {what} in order and number them.",), (), lambda rng: _ordered(rng, _numbered)),
    Skill(
        "replace, day first",
        ("Write the text with {new} in place of {old}, and begin with the day.",),
        (),
        lambda rng: _moved(rng, "day"),
    ),
)
UNSEEN = (
    Skill(
        "members, sorted",
        ("Find the {kind}s and write them in the order of the alphabet.",),
        (),
        lambda rng: _listed(rng, lambda words: ", ".join(sorted(words))),
    ),
    Skill(
        "members, with articles",
        ("Find all {kind}s and write them in a sentence that begins with: The box has",),
        (),
        lambda rng: _listed(rng, lambda words: f"The box has {joined([with_article(word) for word in words])}."),
    ),
    Skill(
        "order, backwards",
        ("Put the {what} in order, but from last to first.",),
        (),
        lambda rng: _ordered(rng, lambda words: ", ".join(words[::-1])),
    ),
    Skill(
        "replace, city first",
        ("Write the text with {new} in place of {old}, and begin with the city.",),
        (),
        lambda rng: _moved(rng, "city"),
    ),
    Skill(
        "translate, numbered",
        ("Write the words in Spanish and number them.",),
        (),
        lambda rng: _translated(rng, _numbered),
    ),
    Skill("extract, letter", ("Write a letter to {receiver} that says what {who} did.",), (), _reported),
)
