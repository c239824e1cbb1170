"""The only dispatch on what writes answers: every engine is a module of its name."""

from importlib import import_module
from types import ModuleType


def engine_name(engine: str) -> str:
    """Name of the module of an engine."""
    return f"pipestill.inference.engines.{engine}"


def engine_of(engine: str) -> ModuleType:
    """The module of an engine; see :mod:`pipestill.inference.engines`."""
    return import_module(engine_name(engine))
