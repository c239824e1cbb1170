"""Facts of a toy world that never change: what small things are, and who lives where and does what."""

from random import Random

from pipestill.pretraining.corpus.document import Document, chat, plain
from pipestill.tasks import lexicon
from pipestill.tasks.toy_world import people

STATEMENTS = {
    "city": ("{name} lives in {value}.", "The home of {name} is {value}."),
    "job": ("{name} is a {value}.", "{name} works as a {value}."),
    "pet": ("{name} has a {value}.", "The pet of {name} is a {value}."),
    "fruit": ("{name} likes {value}.", "The favourite fruit of {name} is {value}."),
    "colour": ("{name} wears {value}.", "The colour of {name} is {value}."),
}
QUESTIONS = {
    "city": ("Where does {name} live?", "City of {name}?"),
    "job": ("What is the job of {name}?", "What does {name} do?"),
    "pet": ("Which pet has {name}?", "Pet of {name}?"),
    "fruit": ("Which fruit does {name} like?", "Favourite fruit of {name}?"),
    "colour": ("What colour does {name} wear?", "Colour of {name}?"),
}


def _question(rng: Random) -> tuple[str, str]:
    draw = rng.random()
    if draw < 0.55:
        name, facts = rng.choice(list(people().items()))
        field = rng.choice(list(facts))
        return rng.choice(QUESTIONS[field]).format(name=name), facts[field]
    if draw < 0.75:
        kind, members = rng.choice(list(lexicon.KINDS.items()))
        return rng.choice(("What kind of thing is {m}?", "Kind of {m}?")).format(m=rng.choice(members)), kind
    if draw < 0.9:
        pair = rng.choice(list(lexicon.OPPOSITES.items()))
        word, other = pair if rng.random() < 0.5 else pair[::-1]
        return rng.choice(("What is the opposite of {w}?", "Opposite of {w}?")).format(w=word), other
    english, spanish = rng.choice(list(lexicon.TRANSLATIONS.items()))
    if rng.random() < 0.5:
        return f"{english} in Spanish?", spanish
    return f"{spanish} in English?", english


def fact(rng: Random) -> Document:
    """A few facts as text, or a few questions."""
    if rng.random() < 0.25:
        name, facts = rng.choice(list(people().items()))
        fields = rng.sample(list(facts), rng.randint(2, 4))
        return plain(
            "facts", " ".join(rng.choice(STATEMENTS[field]).format(name=name, value=facts[field]) for field in fields)
        )
    return chat("facts", *(_question(rng) for _ in range(rng.randint(1, 5))))
