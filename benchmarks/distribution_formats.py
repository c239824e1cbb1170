"""Ways to store teacher distributions: formats of others, and ours; ``distribution_cache.py`` compares them."""

import json
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipestill.io.files import sha256, write_json
from pipestill.teacher.distributions.codecs import make_codec
from pipestill.teacher.distributions.manifest import FORMAT, write_manifest
from pipestill.teacher.distributions.shard import Row, sizes_of, write_shard
from pipestill.teacher.distributions.store import DistributionStore
from pipestill.teacher.distributions.tails import NAME

VOCAB, LENGTH = 151_936, 128
BITS = (VOCAB - 1).bit_length()
SPREAD = 4.5  # of logits around Zipf's law: what makes the entropy that of hard text
DENSE = 4  # sequences whose log-probabilities are kept, for formats that store them all


class Sequences:
    """Distributions of sequences: the 128 likeliest tokens, what was drawn, and, of some, everything."""

    def __init__(self, sequences: int):
        generator = torch.Generator().manual_seed(0)
        zipf = -torch.arange(2, VOCAB + 2).log()
        sample = make_codec({"name": "sample", "draws": 50}, VOCAB)
        self.dense: list[Tensor] = []
        self.drawn: list[Row] = []
        self.top: list[tuple[np.ndarray, np.ndarray]] = []  # ids and log-probabilities [tokens, 128], by rank
        self.draw_seconds = 0.0
        for number in range(sequences):
            log_probs = (zipf + SPREAD * torch.randn(LENGTH, VOCAB, generator=generator)).log_softmax(1)
            found = log_probs.topk(128)
            self.top.append((found.indices.numpy(), found.values.numpy()))
            start = time.process_time()
            self.drawn.append(sample.encode(log_probs, f"{number:064x}", 0))
            self.draw_seconds += time.process_time() - start
            if number < DENSE:
                self.dense.append(log_probs)
        self.entropy = statistics.mean(float(row["entropy"].mean()) for row in self.drawn)

    def __len__(self) -> int:
        """Sequences."""
        return len(self.top)


class Format(ABC):
    """One way to store distributions.

    Attributes:
        name: in the table.
        count: sequences that it stores.
        extra_seconds: of writing, that were spent when the data were made.
    """

    name = ""
    extra_seconds = 0.0

    def __init__(self, data: Sequences, directory: Path):
        self.data, self.path, self.count = data, directory / self.name.replace(" ", "_"), len(data)

    @abstractmethod
    def write(self) -> None:
        """Store all sequences."""

    @abstractmethod
    def open(self) -> None:
        """Get ready to read."""

    @abstractmethod
    def read(self, index: int) -> Any:
        """Ids and log-probabilities of one sequence."""

    def bytes_per_token(self) -> float:
        """Of the file."""
        return self.path.stat().st_size / LENGTH / self.count


class FullHalf(Format):
    """Logits in half precision."""

    name = "full fp16"

    def __init__(self, data: Sequences, directory: Path):
        super().__init__(data, directory)
        self.count = len(data.dense)

    def write(self) -> None:
        """To one file."""
        from safetensors.torch import save_file

        save_file({str(index): values.half() for index, values in enumerate(self.data.dense)}, self.path)

    def open(self) -> None:
        """A lazy reader."""
        from safetensors import safe_open

        self.file = safe_open(self.path, "pt")

    def read(self, index: int) -> Tensor:
        """In single precision."""
        return self.file.get_tensor(str(index)).float()


class JsonLines(Format):
    """The ten likeliest tokens as a JSON object."""

    name = "JSON top-10"

    def write(self) -> None:
        """A line per sequence."""
        with open(self.path, "w") as file:
            for ids, log_probs in self.data.top:
                pairs = zip(ids[:, :10].tolist(), np.exp(log_probs[:, :10]).tolist(), strict=True)
                file.write(
                    json.dumps([dict(zip(map(str, token), probs, strict=True)) for token, probs in pairs]) + "\n"
                )

    def open(self) -> None:
        """The whole file into memory, as its reader does."""
        self.lines = self.path.read_text().splitlines()

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Parse a line."""
        tokens = json.loads(self.lines[index])
        ids = torch.tensor([list(map(int, token)) for token in tokens])
        return ids, torch.tensor([list(token.values()) for token in tokens]).log()


class ListColumns(Format):
    """Ids and log-probabilities as lists of lists."""

    name, read_as = "list columns", "torch"

    def columns(self) -> dict[str, list[np.ndarray]]:
        """By name, an array [tokens, width] of each sequence."""
        return {
            "ids": [ids[:, :50].astype("i4") for ids, _ in self.data.top],
            "log_probs": [log_probs[:, :50] for _, log_probs in self.data.top],
        }

    def write(self) -> None:
        """A row per sequence."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = {}
        for name, arrays in self.columns().items():
            values = np.concatenate(arrays)
            tokens = pa.ListArray.from_arrays(np.arange(0, values.size + 1, values.shape[1], "i4"), values.ravel())
            table[name] = pa.ListArray.from_arrays(np.arange(0, len(values) + 1, LENGTH, "i4"), tokens)
        pq.write_table(pa.table(table), self.path, compression="zstd")

    def open(self) -> None:
        """A data set, which maps Arrow files into memory."""
        from datasets import Dataset

        self.rows = Dataset.from_parquet(str(self.path), cache_dir=f"{self.path}.cache").with_format(self.read_as)

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """A row."""
        row = self.rows[index]
        return row["ids"], row["log_probs"]


class DistillKit(ListColumns):
    """Ids packed by bits, and a curve over ranks."""

    name, read_as = "DistillKit recommended", "numpy"
    k, exact = 128, 16

    def terms(self) -> np.ndarray:
        """Of the curve, [k - exact, terms]."""
        t = np.arange(self.exact, self.k) / self.k
        return np.stack([t**0, t, t**2, t**3, t**4, np.sqrt(t)], 1)

    def columns(self) -> dict[str, list[np.ndarray]]:
        """Packed bytes of each token."""
        fit = np.linalg.pinv(self.terms())
        packed: dict[str, list[np.ndarray]] = {"ids": [], "log_probs": []}
        for ids, log_probs in self.data.top:
            bits = (ids[:, : self.k, None] >> np.arange(BITS)) & 1
            packed["ids"].append(np.packbits(bits.reshape(len(ids), -1).astype("u1"), axis=1, bitorder="little"))
            bfloat16 = (log_probs[:, : self.exact].copy().view("u4") >> 16).astype("u2")
            curve = (log_probs[:, self.exact : self.k] @ fit.T).astype("f4")
            packed["log_probs"].append(np.concatenate([bfloat16.view("u1"), curve.view("u1")], 1))
        return packed

    def open(self) -> None:
        """The data set, and what the curve is multiplied by."""
        super().open()
        self.curve = self.terms().T.astype("f4")
        self.weights = 1 << np.arange(BITS, dtype="i4")

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """Unpack a row."""
        row = self.rows[index]
        ids, values = (np.stack(row[name]).astype("u1", copy=False) for name in ("ids", "log_probs"))
        bits = np.unpackbits(ids, axis=1, count=self.k * BITS, bitorder="little").reshape(len(ids), self.k, BITS)
        first = (values[:, : 2 * self.exact].copy().view("u2").astype("u4") << 16).view("f4")
        others = values[:, 2 * self.exact :].copy().view("f4") @ self.curve
        return torch.from_numpy(bits @ self.weights).long(), torch.from_numpy(np.concatenate([first, others], 1))


class DistillKitBudget(DistillKit):
    """The smaller of its recommendations."""

    name = "DistillKit budget"
    k, exact = 50, 1

    def terms(self) -> np.ndarray:
        """Of the curve."""
        t = np.arange(self.exact, self.k) / self.k
        return np.stack([t**0, t, np.sqrt(t)], 1)


class TopK(Format):
    """A store of one shard."""

    name = "topk"
    options: dict[str, Any] = {"k": 50}

    def __init__(self, data: Sequences, directory: Path):
        super().__init__(data, directory)
        self.codec = make_codec({"name": self.name, **self.options}, VOCAB)
        self.keys = [f"{number:064x}" for number in range(self.count)]

    def encoded(self) -> Iterator[Row]:
        """Arrays of each sequence."""
        for ids, log_probs in self.data.top:
            order = ids[:, :50].argsort(1)
            tail = np.log1p(-np.exp(log_probs[:, :50]).sum(1))
            found = (np.take_along_axis(values[:, :50], order, 1) for values in (ids, log_probs))
            yield self.codec.pack(*found, tail, order.argmin(1))

    def write(self) -> None:
        """Shard, facts and manifest."""
        gold = np.zeros(LENGTH, "f4")
        rows = [
            {**row, "gold": gold, "keys": np.frombuffer(bytes.fromhex(key), "u1")[None]}
            for key, row in zip(self.keys, self.encoded(), strict=True)
        ]
        shard, facts = self.path / "shard_0.safetensors", self.path / "shard_0.json"
        sums = {NAME: np.ones(VOCAB, "i8")} if self.codec.has_tail else {}
        write_shard(shard, self.codec.layout, rows, [sizes_of(row, self.codec.layout) for row in rows], sums)
        numbers = {"rows": len(rows), "tokens": LENGTH * len(rows), "bytes": shard.stat().st_size}
        common = {"shard": 0, "shards": 1, "format": FORMAT, "teacher": {"fingerprint": ""}, "max_length": LENGTH}
        common |= {"vocabulary": {"size": VOCAB}, "codec": self.codec.description, "temperature": 1.0}
        write_json(facts, {**common, **numbers, "data": [], "versions": {}, "sha256": sha256(shard)})
        write_manifest([facts], self.path / "manifest.json")

    def open(self) -> None:
        """The store; every shard is hashed."""
        self.store = DistributionStore(self.path / "manifest.json")

    def read(self, index: int) -> Any:
        """What a loss gets."""
        return self.store.target([self.keys[index]])

    def bytes_per_token(self) -> float:
        """Of the shard, without what it holds once."""
        fixed = 8 * VOCAB if self.codec.has_tail else 0
        return ((self.path / "shard_0.safetensors").stat().st_size - fixed) / LENGTH / self.count


class Sample(TopK):
    """Draws."""

    name, options = "sample", {"draws": 50}

    @property
    def extra_seconds(self) -> float:
        """Of drawing."""
        return self.data.draw_seconds

    def encoded(self) -> Iterator[Row]:
        """What was drawn when the data were made."""
        yield from self.data.drawn


class Full(TopK):
    """Everything."""

    name, options = "full", {}

    def __init__(self, data: Sequences, directory: Path):
        super().__init__(data, directory)
        self.count = len(data.dense)
        self.keys = self.keys[: self.count]

    def encoded(self) -> Iterator[Row]:
        """Dense rows."""
        for key, log_probs in zip(self.keys, self.data.dense, strict=True):
            yield self.codec.encode(log_probs, key, 0)


FORMATS = (FullHalf, JsonLines, DistillKit, DistillKitBudget, ListColumns, TopK, Sample, Full)
