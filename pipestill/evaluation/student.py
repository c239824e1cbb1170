"""Student's t distribution, for any degrees of freedom from 1; SciPy takes longer to import than an evaluation."""

from math import atan2, cos, exp, lgamma, pi, sqrt, tan

import numpy as np

NODES, WEIGHTS = np.polynomial.legendre.leggauss(96)
CLOSE = 1e-14


def share_within(t: float, degrees: float) -> float:
    """Probability of a value between ``-t`` and ``t``."""
    return _within(atan2(t, sqrt(degrees)), degrees)


def quantile(share: float, degrees: float) -> float:
    """The ``t`` that a ``share`` of the values lies within, on both sides."""
    angle, step = 0.0, 1.0
    while step > CLOSE:  # Newton's method: the density falls, so that no step goes too far
        step = (share - _within(angle, degrees)) / (_scale(degrees) * cos(angle) ** (degrees - 1))
        angle += step
    return sqrt(degrees) * tan(angle)


def _within(angle: float, degrees: float) -> float:
    """Probability of a ``t`` up to ``sqrt(degrees) tan(angle)``; the density of the angle is a power of its cosine."""
    areas = WEIGHTS @ np.cos(angle / 2 * (NODES + 1)) ** (degrees - 1)
    return min(1.0, _scale(degrees) * angle / 2 * float(areas))


def _scale(degrees: float) -> float:
    return 2 * exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(pi)
