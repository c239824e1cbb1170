"""Quicker imports: without what libraries import on the chance that it is installed, and without collecting garbage."""

import gc
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


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, nothing is looked through for garbage, and what is there at the end never will be.

    For imports and the loading of models, whose objects stay: to look through those of torch and transformers takes
    0.4 s each time, and Python does it again and again while there are more and more of them.
    """
    if not gc.isenabled():  # inside another one
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
