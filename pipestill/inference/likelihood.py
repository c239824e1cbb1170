"""How likely a model finds the references of a test set, read word by word; for perplexity and token accuracy."""

from collections.abc import Iterable, Mapping
from itertools import takewhile
from types import MappingProxyType

import torch
from torch.nn.functional import cross_entropy

from pipestill.inference.answer_logits import AnswerLogits, batches
from pipestill.inference.devices import input_device
from pipestill.inference.loaded import Loaded
from pipestill.io.records import Json, Record
from pipestill.job.progress import Progress
from pipestill.losses import IGNORED
from pipestill.models.kinds import reading
from pipestill.models.prompts import encode_answer, encode_label
from pipestill.models.rows import Row, supervised
from pipestill.settings.jobs import Asking
from pipestill.text.marker import join


def likelihoods(
    loaded: Loaded,
    asking: Asking,
    records: Iterable[Record],
    label: str,
    rationales: Mapping[str, str] = MappingProxyType({}),
) -> list[Json]:
    """A row ``{"id", "nll", "correct", "tokens"}`` for each record: of its target and the end, the sum of the negative
    log-likelihoods in nats, how many tokens the model finds likeliest, and how many there are.

    Logits are held for a few tokens at a time, never for a row or a batch.

    Args:
        loaded: a causal model or an encoder-decoder.
        asking: how it is asked; prompts that are too long lose the end of their text.
        records: to ask about.
        label: what the progress line says.
        rationales: by id, what the model itself wrote before its answer; the target is read after it.
    """
    start, prompts, tokenizer = reading(loaded.model.config).start, loaded.encoder(asking.prompt), loaded.tokenizer

    def encode(record: Record) -> Row:
        """As a training row; what is before the answer is read, and not scored."""
        prompt, rationale = (
            prompts(asking.prompt.fill(record.inputs), asking.max_prompt_tokens),
            rationales.get(record.id),
        )
        before = "" if rationale is None else join(rationale, "")
        said = encode_answer(tokenizer, before + asking.prompt.answer(record.target))  # in one piece, as in training
        pairs = zip(encode_label(tokenizer, before), said, strict=False)
        shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
        read, answer = said[:shared], said[shared:]
        if start is not None:
            decoder = [start, *read]
            labels = [IGNORED] * len(decoder) + answer
            return {"id": record.id, "input_ids": prompt, "decoder_input_ids": decoder + answer, "labels": labels}
        return {"id": record.id, "input_ids": prompt + read + answer, "labels": [IGNORED] * len(prompt + read) + answer}

    rows = [encode(record) for record in records]
    found: dict[str, Json] = {row["id"]: {"id": row["id"], "nll": 0.0, "correct": 0, "tokens": 0} for row in rows}
    forward = AnswerLogits(loaded.model, tokenizer.pad_token_id, len(tokenizer))
    progress = Progress(len(rows), "references", label)
    for batch in batches(rows, input_device(loaded.model).type):
        for index, first, logits in forward(batch):
            labels, entry = batch[index]["labels"], found[batch[index]["id"]]
            places = supervised(labels)[first : first + len(logits)]
            gold = torch.tensor([labels[place] for place in places], device=logits.device)
            entry["nll"] += float(cross_entropy(logits.double(), gold, reduction="sum"))
            entry["correct"] += int((logits.argmax(dim=-1) == gold).sum())
            entry["tokens"] += len(gold)
        progress.update(len(batch))
    return list(found.values())
