"""Summaries without a model: sentences of the text itself, the first ones or the most central ones."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipestill.answers.generated import Generated
from pipestill.errors import UserError
from pipestill.io.files import fresh_directory, write_json
from pipestill.io.records import Record, of_split, read_records, write_jsonl
from pipestill.job.cost import CostMeter
from pipestill.job.versions import versions
from pipestill.metrics.rouge import rouge_l
from pipestill.text.sentences import Splitter, split_sentences
from pipestill.text.tokens import unicode_tokens

DAMPING = 0.85
MOST = 10  # sentences that a summary may have

Ranking = Callable[[Sequence[str]], list[int]]  # sentences to their indices, the best first


def lead(sentences: Sequence[str]) -> list[int]:
    """Sentences as they come."""
    return list(range(len(sentences)))


def text_rank(sentences: Sequence[str]) -> list[int]:
    """Sentences by their PageRank in the graph of common words (Mihalcea and Tarau, "TextRank", 2004).

    Two sentences are as similar as their common words, divided by the logarithms of their lengths; equal ranks go by
    position.
    """
    words = [set(unicode_tokens(sentence)) for sentence in sentences]
    similarity = np.zeros((len(words), len(words)))
    for i, one in enumerate(words):
        for j, other in enumerate(words[:i]):
            scale = math.log(len(one) or 1) + math.log(len(other) or 1)
            if scale > 0:
                similarity[i, j] = similarity[j, i] = len(one & other) / scale
    ranks = page_rank(similarity)
    return sorted(range(len(sentences)), key=lambda index: (-round(ranks[index], 12), index))


def page_rank(weights: np.ndarray) -> np.ndarray:
    """Stationary probabilities of a walk over a graph with symmetric ``weights`` ``[nodes, nodes]`` that jumps anywhere
    with probability 1 - ``DAMPING``; a node without edges jumps always."""
    nodes = len(weights)
    totals = weights.sum(axis=1, keepdims=True)
    moves = np.divide(weights, totals, out=np.full_like(weights, 1 / max(nodes, 1)), where=totals > 0)
    step = DAMPING * moves.T + (1 - DAMPING) / max(nodes, 1)
    return np.linalg.solve(np.eye(nodes) - step + 1 / max(nodes, 1), np.full(nodes, 1 / max(nodes, 1)))


RANKINGS: dict[str, Ranking] = {"lead": lead, "textrank": text_rank}


def extract(record: Record, ranking: Ranking, count: int, splitter: Splitter = "sentencex") -> str:
    """The ``count`` best sentences of a record's only input, in their order."""
    (text,) = record.inputs.values()
    sentences = split_sentences(text, record.test_set, splitter)
    return " ".join(sentences[index] for index in sorted(ranking(sentences)[:count]))


def choose_count(records: Sequence[Record], ranking: Ranking, splitter: Splitter = "sentencex") -> int:
    """How many sentences give the highest mean ROUGE-L on validation records; the fewest of equals.

    Raises:
        UserError: there is no validation record.
    """
    held_out = of_split(records, "validation")
    if not held_out:
        raise UserError("there are no validation rows to choose the number of sentences on; set `splits.val_frac`")

    def score(count: int) -> float:
        return sum(rouge_l(extract(record, ranking, count, splitter), record.references) for record in held_out)

    return max(range(1, MOST + 1), key=score)


def extract_rows(
    records: Sequence[Record], documents: Sequence[Record], name: str, splitter: Splitter = "sentencex"
) -> tuple[list[Generated], int]:
    """Predictions of one of ``RANKINGS`` for the test records of ``documents``, and how many sentences they have.

    Args:
        records: those of the task; the validation records choose the number.
        documents: what is summarised; the records of the task too, or those of a challenge.
        name: key of ``RANKINGS``.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.
    """
    ranking = RANKINGS[name]
    count = choose_count(records, ranking, splitter)
    rows = [
        Generated.to(record, extract(record, ranking, count, splitter), sampling_seed=None)
        for record in of_split(documents, "test")
    ]
    return rows, count


def extract_experiment(
    records: Path, documents: Path, name: str, seed: int, output: Path, splitter: Splitter = "sentencex"
) -> None:
    """Write the predictions of one of ``RANKINGS`` in the layout of a model's: one run.

    Args:
        records: cropped records of the task, so that it reads what models read.
        documents: records to summarise; may be the same file.
        name: key of ``RANKINGS``.
        seed: what the run is called by; nothing here is random.
        output: directory to write: ``seed_<n>/predictions.jsonl``, ``job.json`` with the number of ``sentences``,
            ``hardware.json``, ``versions.json``, ``cost.json``.
        splitter: see :func:`pipestill.text.sentences.split_sentences`.

    Raises:
        UserError: there is no validation record to choose the number of sentences on.
    """
    with fresh_directory(output) as directory:
        cost = CostMeter(directory / "cost.json")
        rows, count = extract_rows(read_records(records), read_records(documents), name, splitter)
        write_jsonl(directory / f"seed_{seed}" / "predictions.jsonl", rows)
        write_json(directory / "job.json", {"method": name, "sentences": count})
        write_json(directory / "hardware.json", {"device": "cpu", "threads": 1})
        write_json(directory / "versions.json", versions())
        cost.save()
    print(f"{name}: {count} of the sentences, the best number on validation rows")
