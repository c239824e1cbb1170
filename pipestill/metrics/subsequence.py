"""Longest common subsequences in bit operations: an integer holds a whole column of the usual table."""

from collections.abc import Sequence


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004)."""
    *_, column = _columns(a, b)
    return len(a) - column.bit_count()


def common_positions(a: Sequence[str], b: Sequence[str]) -> int:
    """The positions of ``a`` (bits of the result) that make up one of the longest common subsequences.

    Of several, the one that is met on the way back through the table from its end, a shorter ``a`` going before a
    shorter ``b`` where both are as good: the choice of the original ROUGE and of the rouge-score library.
    """
    columns = _columns(a, b)
    i, j, positions = len(a), len(b), 0
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            positions |= 1 << i
        elif _length(columns[j - 1], i) > _length(columns[j], i - 1):
            j -= 1
        else:
            i -= 1
    return positions


def _columns(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """For each prefix of ``b`` the column of its table: bit i is 0 where the length grows from i to i + 1."""
    places: dict[str, int] = {}
    for index, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << index
    whole = (1 << len(a)) - 1
    columns = [whole]
    for token in b:
        column = columns[-1]
        matches = column & places.get(token, 0)
        columns.append(((column + matches) | (column - matches)) & whole)
    return columns


def _length(column: int, i: int) -> int:
    """Length of the longest common subsequence of the first ``i`` tokens and the column's prefix."""
    return i - (column & ((1 << i) - 1)).bit_count()
