"""Open instructions of several small skills: listing, extracting, rewriting, sorting, answering from a passage."""

from random import Random

from pipestill.pretraining.corpus.document import Document, chat
from pipestill.tasks import lexicon

POOL = (*lexicon.FRUITS, *lexicon.ANIMALS, *lexicon.VEHICLES, *lexicon.COLOURS, *lexicon.PRODUCTS, *lexicon.PLACES)


def _words(rng: Random, low: int = 3, high: int = 6) -> list[str]:
    return rng.sample(POOL, rng.randint(low, high))


def _sort(rng: Random) -> tuple[str, str]:
    chosen = _words(rng)
    return f"{rng.choice(('Sort by the alphabet', 'Alphabetical order, please'))}: {', '.join(chosen)}", ", ".join(
        sorted(chosen)
    )


def _upper(rng: Random) -> tuple[str, str]:
    text = " ".join(_words(rng, 1, 4))
    return f"{rng.choice(('In capital letters', 'Write in upper case'))}: {text}", text.upper()


def _reverse(rng: Random) -> tuple[str, str]:
    chosen = _words(rng, 2, 5)
    return f"{rng.choice(('Words in reverse order', 'Backwards, word by word'))}: {' '.join(chosen)}", " ".join(
        chosen[::-1]
    )


def _bullets(rng: Random) -> tuple[str, str]:
    chosen = _words(rng, 2, 6)
    text = f"{', '.join(chosen[:-1])} and {chosen[-1]}"
    if rng.random() < 0.5:
        return f"{rng.choice(('Make bullet points', 'As a list'))}: {text}", "\n".join(f"- {word}" for word in chosen)
    return f"{rng.choice(('Numbered list', 'Number these'))}: {text}", "\n".join(
        f"{i}. {word}" for i, word in enumerate(chosen, 1)
    )


def _pick(rng: Random) -> tuple[str, str]:
    chosen = _words(rng, 3, 6)
    place, i = rng.choice((("first", 0), ("second", 1), ("third", 2), ("last", -1)))
    return f"{rng.choice(('Which word is the', 'Give the'))} {place} in: {' '.join(chosen)}", chosen[i]


def _count(rng: Random) -> tuple[str, str]:
    chosen = _words(rng, 2, 7)
    return f"How many words: {' '.join(chosen)}", str(len(chosen))


def _kind(rng: Random) -> tuple[str, str]:
    kind, members = rng.choice(list(lexicon.KINDS.items()))
    others = [word for name, group in lexicon.KINDS.items() if name != kind for word in group]
    wanted = rng.sample(members, rng.randint(1, 3))
    mixed = wanted + rng.sample(others, rng.randint(1, 3))
    rng.shuffle(mixed)
    plural = f"{kind}s"
    return f"{rng.choice(('Only the', 'Pick out the'))} {plural}: {', '.join(mixed)}", ", ".join(
        w for w in mixed if w in wanted
    )


def _name_some(rng: Random) -> tuple[str, str]:
    """The first members of a kind, in the order of the lexicon, so that there is one answer."""
    kind, members = rng.choice(list(lexicon.KINDS.items()))
    n = rng.randint(2, 4)
    return f"{rng.choice(('Name', 'Tell me'))} {lexicon.NUMBER_WORDS[n]} {kind}s.", ", ".join(members[:n])


def _sentence(rng: Random) -> tuple[str, dict[str, str]]:
    parts = {
        "who": rng.choice(lexicon.FIRST_NAMES),
        "what": f"{rng.choice(lexicon.COLOURS)} {rng.choice(lexicon.PRODUCTS)}",
        "where": rng.choice(lexicon.CITIES),
        "when": rng.choice(lexicon.DAYS),
    }
    text = rng.choice(
        (
            "{who} bought {what} in {where} on {when}.",
            "On {when}, {who} found {what} in {where}.",
            "In {where}, {who} lost {what} last {when}.",
        )
    )
    return text.format(**parts), parts


def _passage(rng: Random) -> tuple[str, str]:
    stories = [_sentence(rng) for _ in range(rng.randint(1, 3))]
    text = " ".join(sentence for sentence, _ in stories)
    _, parts = rng.choice(stories)
    if sum(other["who"] == parts["who"] for _, other in stories) > 1:
        return _passage(rng)
    verb = {
        "what": "What about {who}: which things?",
        "where": "In which city was {who}?",
        "when": "On which day, {who}?",
    }
    field = rng.choice(list(verb))
    return f"{text}\n{verb[field].format(**parts)}", parts[field]


def _rewrite(rng: Random) -> tuple[str, str]:
    sentence, parts = _sentence(rng)
    field = rng.choice(("who", "where", "when"))
    pool = {"who": lexicon.FIRST_NAMES, "where": lexicon.CITIES, "when": lexicon.DAYS}[field]
    new = rng.choice(pool)
    return f"Change {parts[field]} to {new}: {sentence}", sentence.replace(parts[field], new)


def _short(rng: Random) -> tuple[str, str]:
    sentence, parts = _sentence(rng)
    return (
        f"{rng.choice(('Who and where, in a few words', 'Person and city only'))}: {sentence}",
        f"{parts['who']}, {parts['where']}",
    )


def _label(rng: Random) -> tuple[str, str]:
    happy = rng.random() < 0.5
    words = ("happy", "clean", "warm", "good", "bright") if happy else ("dirty", "cold", "bad", "broken", "wrong")
    text = f"The {rng.choice(lexicon.PRODUCTS)} from {rng.choice(lexicon.CITIES)} were {rng.choice(words)}."
    return (
        f"{rng.choice(('Feeling of the review', 'Is this positive or negative'))}: {text}",
        "positive" if happy else "negative",
    )


SKILLS = (
    _sort,
    _upper,
    _reverse,
    _bullets,
    _pick,
    _count,
    _kind,
    _name_some,
    _passage,
    _passage,
    _rewrite,
    _short,
    _label,
)


def instruction(rng: Random) -> Document:
    """One to three instructions of any skill."""
    return chat("instructions", *(rng.choice(SKILLS)(rng) for _ in range(rng.randint(1, 3))))
