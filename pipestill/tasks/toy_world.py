"""A toy world whose facts never change: homes, jobs and likes of its people."""

from functools import cache
from random import Random

from pipestill.tasks import lexicon

WORLD_SEED = 7


@cache
def people() -> dict[str, dict[str, str]]:
    """The inhabitants: name -> city, job, pet, favourite fruit and colour."""
    rng = Random(WORLD_SEED)
    return {
        name: {
            "city": rng.choice(lexicon.CITIES),
            "job": rng.choice(lexicon.PEOPLE),
            "pet": rng.choice(lexicon.ANIMALS),
            "fruit": rng.choice(lexicon.FRUITS),
            "colour": rng.choice(lexicon.COLOURS),
        }
        for name in lexicon.FIRST_NAMES
    }
