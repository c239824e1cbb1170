"""Imports that libraries make on the chance that something is installed, and that a job can do without."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

OF_NLTK = ("sklearn", "scipy", "pandas", "matplotlib")  # what nltk looks for


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Inside, the packages ``names`` look as if they were not installed, unless they are imported already.

    Libraries ask once, when they are imported, what else is there; ``import bitsandbytes`` alone takes 0.8 s.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # an entry of None is Python's own way to say: not there
    try:
        yield
    finally:
        for name in hidden:
            if sys.modules.get(name, ...) is None:
                del sys.modules[name]
