"""How likely a model finds the references of a test set, read word by word; for perplexity and token accuracy."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from pipestill.inference.answer_logits import AnswerLogits, batches
from pipestill.inference.devices import input_device
from pipestill.io.records import Record, of_split, write_jsonl
from pipestill.job.progress import Progress
from pipestill.losses import IGNORED
from pipestill.models.kinds import start_token
from pipestill.models.prompts import PromptEncoder, encode_answer, encode_label
from pipestill.models.rows import Row, encode_row, supervised
from pipestill.text.marker import join


def write_likelihoods(
    model: Any,
    tokenizer: Any,
    records: list[Record],
    max_prompt_tokens: int,
    path: Path,
    label: str,
    rationales: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write a row ``{"id", "nll", "correct", "tokens"}`` for each test record: of its gold output and the end, the sum
    of the negative log-likelihoods in nats, how many tokens the model finds likeliest, and how many there are.

    Logits are held for a few tokens at a time, never for a row or a batch.

    Args:
        model: in eval mode.
        tokenizer: of the model.
        records: records of the task.
        max_prompt_tokens: longer prompts lose the end of their text.
        path: JSON Lines file to write.
        label: what the progress line says.
        rationales: by id, what the model itself wrote before its answer; the gold output is read after it.
    """
    start = start_token(model.config)
    prompts = PromptEncoder(tokenizer, start is not None)

    def encode(record: Record) -> Row:
        length = max_prompt_tokens + len(encode_answer(tokenizer, record["target"]))
        row = encode_row(prompts, record["prompt"], record["target"], length, start)
        if record["id"] in rationales:
            _insert(row, encode_label(tokenizer, join(rationales[record["id"]], "")))
        return {"id": record["id"], **row}

    rows = [encode(record) for record in of_split(records, "test")]
    found = {row["id"]: {"id": row["id"], "nll": 0.0, "correct": 0, "tokens": 0} for row in rows}
    forward = AnswerLogits(model, tokenizer.pad_token_id, len(tokenizer))
    progress = Progress(len(rows), "references", label)
    for batch in batches(rows, input_device(model).type):
        for index, first, logits in forward(batch):
            labels, entry = batch[index]["labels"], found[batch[index]["id"]]
            places = supervised(labels)[first : first + len(logits)]
            gold = torch.tensor([labels[place] for place in places], device=logits.device)
            entry["nll"] += float(cross_entropy(logits.double(), gold, reduction="sum"))
            entry["correct"] += int((logits.argmax(dim=-1) == gold).sum())
            entry["tokens"] += len(gold)
        progress.update(len(batch))
    write_jsonl(path, found.values())


def _insert(row: Row, tokens: list[int]) -> None:
    """Put ``tokens`` before the answer of ``row``: they are read, and not scored."""
    place = supervised(row["labels"])[0]
    row["decoder_input_ids" if "decoder_input_ids" in row else "input_ids"][place:place] = tokens
    row["labels"][place:place] = [IGNORED] * len(tokens)
