"""Texts that repeat themselves to their end, as a model does that has lost the thread."""

TIMES = 3  # that a part comes one after the other
LEAST = 20  # characters of all of them together


def repeats_to_the_end(text: str) -> bool:
    """True if the end of ``text`` is some part again and again, the last one whole or cut.

    What ends in repeats of a part of p characters has a long common beginning with itself without the first p
    characters, read from behind; all of these lengths are found in one pass (the Z-algorithm, Gusfield 1997).
    """
    backwards = text.rstrip()[::-1]
    size = len(backwards)
    same = [0] * size  # characters from each place that are those of the beginning
    left = right = 0  # of the match that reaches furthest
    for place in range(1, size):
        known = min(right - place, same[place - left]) if place < right else 0
        while place + known < size and backwards[known] == backwards[place + known]:
            known += 1
        same[place] = known
        if place + known > right:
            left, right = place, place + known
        if place + known + 1 >= max(TIMES * place, LEAST):  # a space that parts it from the next one may be gone
            return True
    return False
