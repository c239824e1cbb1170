"""Halves: the part of a kind of answers or an objective in one stage, a module named after the stage.

A stage imports the half that it runs, so that a digest of its code (:mod:`pipestill.io.digests`), which follows
imports, does not change when another stage's half does.
"""

from importlib import import_module
from types import ModuleType


def half_name(owner: object, stage: str) -> str:
    """Dotted name of the module that does the work of ``stage`` for ``owner``."""
    return f"{type(owner).__module__}.{stage}"


def half(owner: object, stage: str) -> ModuleType:
    """The module that does the work of ``stage``, such as ``predict``, ``score``, ``card``, ``show`` or ``train``."""
    return import_module(half_name(owner, stage))
