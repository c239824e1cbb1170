"""Genres of synthetic sentence pairs: what their sentences are about, and how they are put."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipestill.tasks import lexicon

PLURALS = tuple(product for product in lexicon.PRODUCTS if product.endswith("s"))
ROOMS = tuple(place for place in lexicon.PLACES if place != "bridge")
STOPS = tuple(place for place in lexicon.PLACES if place not in ("garden", "park", "kitchen"))
OPPOSITE = {
    one: other
    for pair in lexicon.OPPOSITES.items()
    for one, other in (pair, pair[::-1])
    if {one, other} <= set(lexicon.ADJECTIVES)
}  # both ways


@dataclass(frozen=True)
class Genre:
    """A genre.

    Attributes:
        name: in the rows.
        who: subjects of its sentences.
        did: verbs in the past, which are their participles too, and their plain forms.
        things: objects.
        kinds: what objects are, for those that are of a kind.
        plural: whether objects are.
        qualities: of objects; each is a colour or has an opposite.
        details: phrases with a gap, by the words that fill it.
        more: comparisons of two subjects, and their converses.
        openings: of what is written or said, before the sentence.
    """

    name: str
    who: Sequence[str]
    did: Mapping[str, str]
    things: Sequence[str]
    qualities: Sequence[str]
    details: Mapping[str, Sequence[str]]
    more: Mapping[str, str]
    kinds: Mapping[str, str] = field(default_factory=dict)
    plural: bool = False
    openings: Sequence[str] = ("",)


def _of_kind(kind: str) -> dict[str, str]:
    return dict.fromkeys(lexicon.KINDS[kind], kind)


def _the(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"the {word}" for word in words)


READ = (  # of training rows and of the test set `matched`
    Genre(
        name="trade",
        who=lexicon.FIRST_NAMES,
        did={"sold": "sell", "bought": "buy", "packed": "pack", "ordered": "order", "lost": "lose"},
        things=PLURALS,
        plural=True,
        qualities=(*lexicon.COLOURS, "old", "new", "heavy", "light"),
        details={"at the {}": STOPS, "on {}": lexicon.DAYS},
        more={"paid more than": "paid less than", "came earlier than": "came later than"},
    ),
    Genre(
        name="home",
        who=_the(lexicon.PEOPLE),
        did={"washed": "wash", "dropped": "drop", "kept": "keep", "peeled": "peel", "found": "find"},
        things=lexicon.FRUITS,
        kinds=_of_kind("fruit"),
        qualities=(*lexicon.COLOURS, "small", "large", "cold", "warm"),
        details={"in the {}": ROOMS, "at {} o'clock": lexicon.NUMBER_WORDS[1:]},
        more={"slept longer than": "slept less than", "worked more than": "worked less than"},
    ),
    Genre(
        name="road",
        who=_the(lexicon.ANIMALS),
        did={"chased": "chase", "passed": "pass", "followed": "follow", "watched": "watch", "left": "leave"},
        things=lexicon.VEHICLES,
        kinds=_of_kind("vehicle"),
        qualities=(*lexicon.COLOURS, "clean", "dirty", "quick", "slow"),
        details={"near the {}": lexicon.PLACES, "in {}": lexicon.MONTHS},
        more={"ran faster than": "ran slower than", "jumped higher than": "jumped lower than"},
    ),
)
UNREAD = (  # of the test set `mismatched` alone
    Genre(
        name="letters",
        who=("my brother", "my sister", "my mother", "my father", "my uncle", "my friend", "the neighbour"),
        did={"sent": "send", "received": "receive", "repaired": "repair", "cleaned": "clean", "stored": "store"},
        things=("house", "book", "table", "door", "letter", "clock", "radio", "violin"),
        qualities=("small", "large", "old", "new", "quiet", "loud", "clean", "dirty"),
        details={"in {}": lexicon.CITIES, "last {}": lexicon.DAYS},
        more={"wrote more than": "wrote less than", "waited longer than": "waited less than"},
        openings=tuple(f"Dear {name}, " for name in lexicon.FIRST_NAMES),
    ),
    Genre(
        name="talk",
        who=tuple(f"{title} {name}" for title in ("Mr", "Mrs") for name in lexicon.LAST_NAMES),
        did={"rented": "rent", "parked": "park", "missed": "miss", "borrowed": "borrow", "crashed": "crash"},
        things=lexicon.VEHICLES,
        kinds=_of_kind("vehicle"),
        qualities=(*lexicon.COLOURS, "quick", "slow", "quiet", "loud"),
        details={"outside the {}": ("museum", "bank", "hotel", "theatre", "airport"), "in {}": lexicon.MONTHS},
        more={"drove faster than": "drove slower than", "spoke more than": "spoke less than"},
        openings=("Well, ", "You know, ", "I tell you, ", "Listen, "),
    ),
    Genre(
        name="business",
        who=tuple(f"{stem} {kind}" for stem in lexicon.COMPANY_STEMS for kind in lexicon.COMPANY_KINDS),
        did={"hired": "hire", "paid": "pay", "trained": "train", "dismissed": "dismiss", "praised": "praise"},
        things=lexicon.PEOPLE,
        qualities=("old", "new", "quick", "slow", "short", "tall"),
        details={"in {}": lexicon.CITIES, "early in {}": lexicon.MONTHS},
        more={"earned more than": "earned less than", "grew quicker than": "grew slower than"},
        openings=("", "As reported, ", "According to the papers, "),
    ),
)
