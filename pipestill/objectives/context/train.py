"""Training on stored distributions of a teacher that has read a context."""

from pipestill.objectives.divergence.train import read, trainer

__all__ = ["read", "trainer"]
