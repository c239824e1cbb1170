"""Codecs: what is stored of a teacher's distribution over the next token, and what a loss gets back.

======  ====================================================================  =======================================
codec   stored for each supervised token                                      serves
======  ====================================================================  =======================================
full    every log-probability in float32                                      every divergence, exactly
topk    ids and log-probabilities (8 bits) of the k likeliest tokens, and     every divergence, approximately
        the mass of the others
sample  the tokens that N systematic draws hit, and how often                 fkl, with the exact gradient on average
labels  of the first token of an answer: log-probabilities of the labels      every divergence, over classes
======  ====================================================================  =======================================

All of them store the exact log-probability of the gold token too. Formats: ``docs/distributions.md``.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.losses import IGNORED
from pipestill.losses.classes import LabelsTarget, check_labels
from pipestill.losses.divergences import blocks
from pipestill.losses.sparse import BucketTarget, SampledTarget, UnigramTarget
from pipestill.losses.targets import LogitsTarget, Target
from pipestill.settings.distributions import CaptureSettings
from pipestill.teacher.distributions.shard import Array, Layout, Row

LOWEST = -100.0  # what `topk` stores for lower log-probabilities, which would make its steps coarse
LEVELS = 255  # of a quantised log-probability, beside 0
PLANE = 1 << 16  # ids below it take two bytes
Words = Callable[[], tuple[list[int], list[int]]]
FIXED_POINT = 2.0**40  # of sums of probabilities: as integers they do not depend on the order of their terms


class Codec(Protocol):
    """One way to store distributions.

    Attributes:
        layout: arrays that it adds to a shard.
        description: its name and options, for manifests.
        has_tail: whether it stores the mass of tokens that it does not store.
    """

    layout: Layout
    description: Json
    has_tail: bool
    own_tokens: bool
    """Whether the teacher may have other tokens than the student, and each reads its own."""
    over: Sequence[int] | None
    """The student's tokens that the distributions are over, at the first token of an answer; none: all, at each one."""
    outcomes: str | None
    """What a divergence without a guess about the tail is over, where that is less than the vocabulary: ``bucket``, the
    stored tokens and all others as one; ``labels``, or ``labels and rest``."""

    @staticmethod
    def options(settings: CaptureSettings, words: Words) -> Json:
        """Its options, of a job that captures distributions.

        Args:
            settings: of the job.
            words: gives the first tokens of ``settings.labels``, the student's and the teacher's.
        """

    def encode(self, log_probs: Tensor, key: str, start: int) -> Row:
        """Arrays of consecutive tokens of one row.

        Args:
            log_probs: [tokens, vocab], float32.
            key: of the row.
            start: index of the first of these tokens among the row's.
        """

    def target(
        self,
        rows: Row,
        tokens: Sequence[int],
        temperature: float,
        prior: Tensor | None,
        device: str | torch.device,
    ) -> Target:
        """What a loss compares the student with.

        Args:
            rows: joined arrays of the layout.
            tokens: supervised tokens of each row.
            temperature: that the distributions were captured at.
            prior: [vocab], log-probabilities that the tail is spread in proportion to; none: one bucket.
            device: of the student's logits.
        """

    def top_ids(self, rows: Row, tokens: Sequence[int]) -> np.ndarray:
        """The likeliest token of each distribution, [tokens] of int64; ``IGNORED`` where none is stored."""

    def columns(self, rows: Row) -> dict[str, np.ndarray]:
        """What is stored, decoded, as flat columns of a table."""


class Full:
    """Every log-probability."""

    has_tail = False
    own_tokens = False
    over = None
    outcomes = None

    def __init__(self, vocab: int):
        self.layout = {"log_probs": Array("token", "f4", (vocab,))}
        self.description = {"name": "full"}

    @staticmethod
    def options(settings: CaptureSettings, words: Words) -> Json:
        """See :class:`Codec`."""
        return {}

    def encode(self, log_probs: Tensor, key: str, start: int) -> Row:
        """See :class:`Codec`."""
        return {"log_probs": log_probs.cpu().numpy()}

    def target(
        self,
        rows: Row,
        tokens: Sequence[int],
        temperature: float,
        prior: Tensor | None,
        device: str | torch.device,
    ) -> Target:
        """See :class:`Codec`; there is no tail."""
        return LogitsTarget(torch.from_numpy(rows["log_probs"]).to(device) * temperature)

    def top_ids(self, rows: Row, tokens: Sequence[int]) -> np.ndarray:
        """See :class:`Codec`."""
        return rows["log_probs"].argmax(1)

    def columns(self, rows: Row) -> dict[str, np.ndarray]:
        """Log-probabilities of the whole vocabulary, token by token."""
        return {"log_probs": rows["log_probs"].ravel()}


class TopK:
    """The k likeliest tokens and the mass of the others.

    Ids ascend, so that their high bits are but the number of ids in each plane of 65,536. Log-probabilities are stored
    as their distance from the highest one, quantised evenly in its square root; the highest one has the only 0.
    """

    has_tail = True
    own_tokens = False
    over = None
    outcomes = "bucket"

    def __init__(self, vocab: int, k: int):
        if k >= vocab:
            raise UserError(f"`topk` keeps fewer tokens than the vocabulary has, but k is {k} of {vocab}: use `full`")
        self.vocab, self.k = vocab, k
        self.layout = {
            "ids": Array("token", "u2", (k,)),
            "planes": _planes(vocab, k),
            "distances": Array("token", "u1", (k,)),
            "highest": Array("token", "f2"),
            "range": Array("token", "f2"),
            "tail": Array("token", "f4"),
        }
        self.description = {"name": "topk", "k": k}

    @staticmethod
    def options(settings: CaptureSettings, words: Words) -> Json:
        """See :class:`Codec`."""
        return {"k": settings.k}

    def encode(self, log_probs: Tensor, key: str, start: int) -> Row:
        """See :class:`Codec`."""
        found = log_probs.topk(self.k).indices
        ids = found.sort(1).values
        tail = torch.cat([_without(log_probs[block], ids[block]).sum(1) for block in blocks(log_probs)]).log()
        best = (ids == found[:, :1]).int().argmax(1)
        return self.pack(*(values.cpu().numpy() for values in (ids, log_probs.gather(1, ids), tail, best)))

    def pack(self, ids: np.ndarray, log_probs: np.ndarray, tail: np.ndarray, best: np.ndarray) -> Row:
        """Arrays of tokens whose k likeliest are known.

        Args:
            ids: [tokens, k], ascending.
            log_probs: [tokens, k] of float32.
            tail: [tokens] of float32, log of the mass of all other tokens.
            best: [tokens], which of the k is the likeliest.
        """
        log_probs = np.maximum(log_probs, LOWEST)
        highest = log_probs.max(1, keepdims=True).astype("f2").astype("f4")
        distances = np.maximum(highest - log_probs, 0)
        span = distances.max(1, keepdims=True).astype("f2").astype("f4")
        levels = np.rint(LEVELS * np.sqrt(distances / np.maximum(span, np.finfo("f2").tiny)))
        levels = np.clip(levels, 1, LEVELS)
        np.put_along_axis(levels, best[:, None], 0, 1)
        low, planes = _split(ids, self.layout["planes"])
        return {
            "ids": low,
            "planes": planes,
            "distances": levels.astype("u1"),
            "highest": highest[:, 0].astype("f2"),
            "range": span[:, 0].astype("f2"),
            "tail": np.maximum(tail, LOWEST),
        }

    def tail_sums(self, log_probs: Tensor) -> np.ndarray:
        """Sum over tokens of what the tails are made of, [vocab] of int64, in units of 2^-40."""
        found = log_probs.topk(self.k).indices
        sums = sum(_without(log_probs[block], found[block]).sum(0) for block in blocks(log_probs))
        return np.rint(sums.cpu().numpy().astype("f8") * FIXED_POINT).astype("i8")

    def decode(self, rows: Row) -> tuple[np.ndarray, np.ndarray]:
        """Ids [tokens, k] of int64, and log-probabilities [tokens, k] of float32."""
        place = np.arange(self.k, dtype=rows["planes"].dtype)
        high = np.zeros(rows["ids"].shape, "u1")
        for end in rows["planes"].T:
            high += place >= end[:, None]
        ids = np.multiply(high, PLANE, dtype="i8")
        ids += rows["ids"]
        log_probs = rows["distances"].astype("f4")
        log_probs *= log_probs
        log_probs *= rows["range"].astype("f4")[:, None] / LEVELS**2
        return ids, np.subtract(rows["highest"].astype("f4")[:, None], log_probs, out=log_probs)

    def target(
        self,
        rows: Row,
        tokens: Sequence[int],
        temperature: float,
        prior: Tensor | None,
        device: str | torch.device,
    ) -> Target:
        """See :class:`Codec`."""
        stored = [torch.from_numpy(values).to(device) for values in (*self.decode(rows), rows["tail"])]
        if prior is None:
            return BucketTarget(*stored)
        return UnigramTarget(*stored, prior.to(device), temperature)

    def top_ids(self, rows: Row, tokens: Sequence[int]) -> np.ndarray:
        """See :class:`Codec`."""
        place = rows["distances"].argmin(1)
        return np.take_along_axis(self.decode(rows)[0], place[:, None], 1)[:, 0]

    def columns(self, rows: Row) -> dict[str, np.ndarray]:
        """Ids and log-probabilities, k for each token, and the log of each token's tail."""
        ids, log_probs = self.decode(rows)
        return {"ids": ids.ravel(), "log_probs": log_probs.ravel(), "tail_log_probs": rows["tail"]}


class Sample:
    """Systematic draws: N points at equal distances on the cumulated distribution, moved together at random.

    A token of probability p is hit N p times on average, and never more than one time more or less than that. The draws
    of a row depend only on its key.
    """

    has_tail = False
    own_tokens = False
    over = None
    outcomes = None

    def __init__(self, vocab: int, draws: int):
        self.vocab, self.draws = vocab, draws
        self.layout = {
            "ids": Array("entry", "u2"),
            "planes": _planes(vocab, draws),
            "starts": Array("token", "u1", (-(-draws // 8),)),
            "entropy": Array("token", "f4"),
            "likeliest": Array("token", "i4"),
        }
        self.description = {"name": "sample", "draws": draws}

    @staticmethod
    def options(settings: CaptureSettings, words: Words) -> Json:
        """See :class:`Codec`."""
        return {"draws": settings.draws}

    def encode(self, log_probs: Tensor, key: str, start: int) -> Row:
        """See :class:`Codec`."""
        if log_probs.device.type == "mps":  # has no double precision
            log_probs = log_probs.cpu()
        shift = np.random.default_rng([start, int(key, 16)]).random((len(log_probs), 1))
        points = torch.from_numpy((np.arange(self.draws) + shift) / self.draws).to(log_probs.device)
        hit, entropy = [], []
        for block in blocks(log_probs):
            probs = log_probs[block].exp()
            cumulated = probs.cumsum(1, dtype=torch.float64)
            hit.append(torch.searchsorted(cumulated, points[block] * cumulated[:, -1:], right=True))
            entropy.append(torch.special.entr(probs).sum(1))
        ids = torch.cat(hit).clamp_max(self.vocab - 1).cpu().numpy()
        starts = np.diff(ids, axis=1, prepend=-1) != 0
        low, planes = _split(ids, self.layout["planes"], starts)
        return {
            "ids": low[starts],
            "planes": planes,
            "starts": np.packbits(starts, axis=1, bitorder="little"),
            "entropy": torch.cat(entropy).cpu().numpy(),
            "likeliest": log_probs.argmax(1).int().cpu().numpy(),
        }

    def decode(self, rows: Row) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids [entries] of int64 and their shares of the draws, and offsets [tokens + 1] of each token's entries."""
        starts = np.unpackbits(rows["starts"], axis=1, count=self.draws, bitorder="little")
        counts = starts.sum(1, dtype="i8")
        offsets = np.concatenate([[0], counts.cumsum()])
        hits = np.diff(np.flatnonzero(starts), append=starts.size)
        ids = rows["ids"].astype("i8")
        place = np.arange(len(ids)) - np.repeat(offsets[:-1], counts)
        for end in rows["planes"].T:
            ids += (place >= np.repeat(end, counts)) * PLANE
        return ids, (hits / self.draws).astype("f4"), offsets

    def target(
        self,
        rows: Row,
        tokens: Sequence[int],
        temperature: float,
        prior: Tensor | None,
        device: str | torch.device,
    ) -> Target:
        """See :class:`Codec`; there is no tail."""
        ids, shares, offsets = map(torch.from_numpy, self.decode(rows))
        entropy = torch.from_numpy(rows["entropy"]).to(device)
        return SampledTarget(ids.to(device), shares.to(device), offsets, entropy)

    def top_ids(self, rows: Row, tokens: Sequence[int]) -> np.ndarray:
        """See :class:`Codec`."""
        return rows["likeliest"].astype("i8")

    def columns(self, rows: Row) -> dict[str, np.ndarray]:
        """Ids that were drawn and their shares of the draws, how many of them each token has, and its entropy."""
        ids, shares, offsets = self.decode(rows)
        return {"ids": ids, "shares": shares, "counts": np.diff(offsets), "entropy": rows["entropy"]}


class Labels:
    """Log-probabilities, among all tokens, of those that the labels begin with, only for an answer's first token.

    Only classes are compared, so the teacher may have other tokens than the student.
    """

    has_tail = False
    own_tokens = True

    def __init__(self, vocab: int, labels: list[str], ids: list[int], teacher_ids: list[int], rest_bucket: bool):
        for each in (ids, teacher_ids):
            check_labels(labels, each)
        self.over, self.teacher_ids, self.rest_bucket = ids, teacher_ids, rest_bucket
        self.outcomes = "labels and rest" if rest_bucket else "labels"
        self.layout = {"class_log_probs": Array("row", "f4", (len(ids),))}
        if rest_bucket:
            self.layout["rest"] = Array("row", "f4")
        self.description = {
            "name": "labels",
            "labels": labels,
            "ids": ids,
            "teacher_ids": teacher_ids,
            "rest_bucket": rest_bucket,
        }

    @staticmethod
    def options(settings: CaptureSettings, words: Words) -> Json:
        """See :class:`Codec`."""
        ids, teacher_ids = words()
        return {
            "labels": settings.labels,
            "ids": ids,
            "teacher_ids": teacher_ids,
            "rest_bucket": settings.rest_bucket,
        }

    def encode(self, log_probs: Tensor, key: str, start: int) -> Row:
        """See :class:`Codec`."""
        first = log_probs[: 1 if start == 0 else 0]
        found = {"class_log_probs": first[:, self.teacher_ids].cpu().numpy()}
        if self.rest_bucket:
            rest = _without(first, torch.tensor(self.teacher_ids, device=first.device).expand(len(first), -1))
            found["rest"] = np.maximum(rest.sum(1).log().cpu().numpy(), LOWEST)
        return found

    def target(
        self,
        rows: Row,
        tokens: Sequence[int],
        temperature: float,
        prior: Tensor | None,
        device: str | torch.device,
    ) -> Target:
        """See :class:`Codec`; there is no tail."""
        stored = {name: torch.from_numpy(rows[name]).to(device) for name in self.layout}
        return LabelsTarget(
            torch.tensor(self.over, device=device),
            torch.from_numpy(_firsts(tokens)).to(device),
            sum(tokens),
            stored["class_log_probs"],
            stored.get("rest"),
        )

    def top_ids(self, rows: Row, tokens: Sequence[int]) -> np.ndarray:
        """See :class:`Codec`; the likeliest label's first token."""
        found = np.full(sum(tokens), IGNORED)
        found[_firsts(tokens)] = np.array(self.over)[rows["class_log_probs"].argmax(1)]
        return found

    def columns(self, rows: Row) -> dict[str, np.ndarray]:
        """Log-probabilities of the labels, and of all other tokens together."""
        rest = {"rest_log_probs": rows["rest"]} if self.rest_bucket else {}
        return {"class_log_probs": rows["class_log_probs"].ravel(), **rest}


CODECS: dict[str, type[Codec]] = {"full": Full, "topk": TopK, "sample": Sample, "labels": Labels}


def describe(settings: CaptureSettings, words: Words) -> Json:
    """Description (see :class:`Codec`) of the codec that a job asks for; ``words`` as for its ``options``."""
    return {"name": settings.codec, **CODECS[settings.codec].options(settings, words)}


def make_codec(description: Json, vocab: int) -> Codec:
    """The codec that ``description`` is about, for a vocabulary of ``vocab`` ids."""
    options = dict(description)
    return CODECS[options.pop("name")](vocab, **options)


def _firsts(tokens: Sequence[int]) -> np.ndarray:
    """Where the first token of each row lies among those of all rows."""
    return np.cumsum([0, *tokens[:-1]], dtype="i8")


def _without(log_probs: Tensor, ids: Tensor) -> Tensor:
    """Probabilities [tokens, vocab] with 0 at ``ids``."""
    return log_probs.exp().scatter_(1, ids, 0.0)


def _planes(vocab: int, count: int) -> Array:
    """How many of a token's ids, which ascend, lie below each multiple of :data:`PLANE`."""
    return Array("token", "u1" if count < 256 else "u2", ((vocab - 1) // PLANE,))


def _split(ids: np.ndarray, planes: Array, counted: np.ndarray | bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Low 16 bits of ascending ids [tokens, n], and the numbers of those ``counted`` below each plane's end."""
    ends = PLANE * np.arange(1, planes.width[0] + 1)
    below = ((ids[:, :, None] < ends) & np.broadcast_to(counted, ids.shape)[:, :, None]).sum(1)
    return (ids % PLANE).astype("u2"), below.astype(planes.dtype)
