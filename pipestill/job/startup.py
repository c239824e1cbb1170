"""A quick start: what libraries import on the chance that it is installed stays out, and no garbage is looked for."""

import gc
import sys

UNUSED = ("scipy", "sklearn", "datasets", "bitsandbytes", "torchao")  # 0.5 to 2 s of imports each


def hide_unused() -> None:
    """From here on the packages :data:`UNUSED` look as if they were not installed, to nltk, transformers and peft."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # Python's own way to say: not there


def need(*names: str) -> None:
    """Show packages again that were hidden. Libraries ask once, when they are imported, so this comes before."""
    for name in names:
        if sys.modules.get(name, ...) is None:
            del sys.modules[name]


def settle() -> None:
    """Collect garbage again, after a start without, but never among what is there now: the modules, which stay."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
