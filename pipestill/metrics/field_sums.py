"""F1, precision and recall of fields, from the sums of those that are right, found and expected."""

import numpy as np


def field_f1(sums: np.ndarray) -> np.ndarray:
    """F1 ``[...]`` of sums of right, found and expected fields ``[..., 3]``; 1 of none at all."""
    right, found, expected = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    return np.divide(2 * right, found + expected, out=np.ones_like(right), where=found + expected > 0)


def share(sums: np.ndarray) -> np.ndarray:
    """Precision or recall ``[...]`` of sums of right and found or expected fields ``[..., 2]``; 0 of none."""
    right, of = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    return np.divide(right, of, out=np.zeros_like(right), where=of > 0)
