"""Training files to tokens, and tokens to padded batches."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipestill.errors import UserError, shortened
from pipestill.io.records import Json, read_jsonl
from pipestill.losses import IGNORED
from pipestill.models.kinds import Reading
from pipestill.models.prompts import CHAT, PromptEncoder, encode_answer, encode_label, encode_whole
from pipestill.models.text_encoder import text_encoder
from pipestill.settings.prompts import Form
from pipestill.text.marker import join

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]
CAUSAL = Reading()
PLACE = "place"  # of a row in its training file
LISTED = 10  # lines with faults that a message names


@dataclass
class RowEncoder:
    """Encodes the rows of a training file for one model.

    Attributes:
        tokenizer: of the model.
        max_length: tokens of prompt and answer together; a longer prompt loses the end of its text.
        reading: how the model reads prompt and answer.
        form: of the prompts.
        prompts: encodes and counts the prompts.
    """

    tokenizer: "PreTrainedTokenizerBase"
    max_length: int
    reading: Reading = CAUSAL
    form: Form = CHAT
    prompts: PromptEncoder = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.prompts = PromptEncoder(self.tokenizer, self.reading.kind, self.form)

    def answer(self, prompt: str, output: str) -> Row:
        """See :func:`encode_row`."""
        return encode_row(self.prompts, prompt, output, self.max_length, self.reading)

    def pair(self, prompt: str, chosen: str, rejected: str) -> Row:
        """``{"prompt_ids", "chosen_ids", "rejected_ids"}``: both answers have their end of sequence, and the prompt is
        cut so that the longer one fits.

        Raises:
            UserError: an answer does not fit, or is rejected in favour of itself.
        """
        better, worse = encode_answer(self.tokenizer, chosen), encode_answer(self.tokenizer, rejected)
        if better == worse:
            raise UserError("`chosen` and `rejected` are the same, so there is nothing to prefer")
        prompt_ids = _fit_prompt(self.prompts, prompt, [better, worse], self.max_length)
        return {"prompt_ids": prompt_ids, "chosen_ids": better, "rejected_ids": worse}


def read_answers(path: Path, encoder: RowEncoder, column: str = "output") -> list[Row]:
    """Rows ``{"input", column}`` as those of :meth:`RowEncoder.answer`, each with its ``id``.

    Raises:
        UserError: the file is missing, empty or broken, or an answer does not fit; names file and line.
    """

    def encode(row: Json) -> Row:
        return {"id": row.get("id"), **encoder.answer(_text(row, "input"), _text(row, column))}

    rows = _encode_file(path, encode, encoder)
    if encoder.reading.kind == "masked":
        _check_masks(path, rows)
    return rows


def read_classes(path: Path, encoder: RowEncoder, classes: Mapping[str, int], column: str = "output") -> list[Row]:
    """Rows ``{"input", column}`` as ``{"id", "input_ids", "class"}``: the prompt alone, and the number of its answer.

    Args:
        path: the file.
        encoder: of the job; a prompt may take all tokens of its rows.
        classes: numbers by answer.
        column: of the answers.

    Raises:
        UserError: the file is missing, empty or broken, or an answer is none of ``classes``; names file and line.
    """

    def encode(row: Json) -> Row:
        answer = _text(row, column)
        if answer not in classes:
            raise UserError(f"the answer {shortened(answer)!r} is none of {', '.join(map(repr, classes))}")
        prompt = encode_whole(encoder.prompts, _text(row, "input"), encoder.max_length)
        return {"id": row.get("id"), "input_ids": prompt, "class": classes[answer]}

    return _encode_file(path, encode, encoder)


def read_explained(path: Path, encoder: RowEncoder) -> list[Row]:
    """Rows ``{"input", "output", "rationale_prompt", "rationale"}`` as those of :func:`read_answers`, each with a
    second one, ``rationale``, in which the rationale is the answer; ``None`` where a row has no rationale.

    Raises:
        UserError: as in :func:`read_answers`.
    """

    def encode(row: Json) -> Row:
        explained = row.get("rationale") is not None
        rationale = encoder.answer(_text(row, "rationale_prompt"), _text(row, "rationale")) if explained else None
        answer = encoder.answer(_text(row, "input"), _text(row, "output"))
        return {"id": row.get("id"), **answer, "rationale": rationale}

    return _encode_file(path, encode, encoder)


def read_joined(path: Path, encoder: RowEncoder) -> list[Row]:
    """Rows of the files of :func:`read_explained` as those of :func:`read_answers`: rationale and answer are one text.

    Raises:
        UserError: as in :func:`read_answers`, or an answer could not be told from its rationale.
    """

    def encode(row: Json) -> Row:
        rationale = _text(row, "rationale") if row.get("rationale") is not None else None
        text = join(rationale, _text(row, "output"))
        return {"id": row.get("id"), **encoder.answer(_text(row, "input"), text)}

    return _encode_file(path, encode, encoder)


def read_pairs(path: Path, encoder: RowEncoder) -> list[Row]:
    """Rows ``{"prompt", "chosen", "rejected"}`` as those of :meth:`RowEncoder.pair`.

    Raises:
        UserError: as in :func:`read_answers`, or an answer is rejected in favour of itself.
    """

    def encode(row: Json) -> Row:
        return encoder.pair(*(_text(row, name) for name in ("prompt", "chosen", "rejected")))

    return _encode_file(path, encode, encoder)


def written_row(row: Row, answer: Sequence[int], text: str) -> Json:
    """A student's own answer to the prompt of a row with its place, in the form of a file for :func:`read_written`:
    both as tokens, since a text may have others, and the text for whoever looks at it."""
    return {"id": row["id"], PLACE: row[PLACE], "prompt": prompt_of(row), "answer": list(answer), "text": text}


def read_written(path: Path, reading: Reading) -> list[Row]:
    """Rows of a student's own answers as those of :func:`encode_row`, each with its ``id`` and the place of the row
    that it answers. There may be none.

    Raises:
        UserError: the file is missing, or has other rows; names file and line.
    """
    found = []
    for number, row in enumerate(read_jsonl(path), 1):
        prompt, answer = (row.get(name) for name in ("prompt", "answer"))
        if not all(isinstance(each, list) and each for each in (prompt, answer)) or PLACE not in row:
            raise UserError(f"{path}, line {number}: a `{PLACE}` and tokens of `prompt` and `answer` are expected")
        found.append({"id": row.get("id"), PLACE: row[PLACE], **_row_of(prompt, answer, reading.start)})
    return found


def placed(rows: Sequence[Row]) -> list[Row]:
    """The rows of a training file, each with its place there."""
    return [row | {PLACE: place} for place, row in enumerate(rows)]


def _encode_file(path: Path, encode: Callable[[Json], Row], encoder: RowEncoder) -> list[Row]:
    rows = read_jsonl(path)
    if not rows:
        raise UserError(f"{path} is empty: there is nothing to train on")
    encoded, faults = [], {}
    for number, row in enumerate(rows, 1):
        try:
            encoded.append(encode(row))
        except UserError as error:
            faults[number] = error
    if faults:
        first, *others = faults
        lines = ", ".join(map(str, others[:LISTED])) + (", ..." if len(others) > LISTED else "")
        more = f" ({len(others)} more rows have such faults: lines {lines})" if others else ""
        raise UserError(f"{path}, line {first}: {faults[first]}{more}")
    encoder.prompts.report(str(path))
    return encoded


def _check_masks(path: Path, rows: list[Row]) -> None:
    """Refuse answers whose number of masks tells which one it is."""
    counts = [len(supervised(row["labels"])) for row in rows]
    other = next((number for number, count in enumerate(counts, 1) if count != counts[0]), None)
    if other is not None:
        raise UserError(
            f"{path}: the answers of the lines 1 and {other} take {counts[0]} and {counts[other - 1]} masks, which "
            "would tell a masked model the answer: give labels words of one length in `verbalizers` of the prompt"
        )


def _text(row: Json, key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        problem = "is missing" if key not in row else f"is {type(value).__name__}, not text"
        raise UserError(f"`{key}` {problem}; the keys are {', '.join(row)}")
    return value


def encode_row(prompts: PromptEncoder, prompt: str, output: str, max_length: int, reading: Reading) -> Row:
    """One prompt and its answer as ``{"input_ids", "labels"}``.

    The tokens are the prompt's, the answer's and the end of sequence; labels are those of the last two, the prompt has
    :data:`IGNORED`. A prompt that does not fit into ``max_length`` loses its end.

    For an encoder-decoder ``input_ids`` are the prompt's, and ``decoder_input_ids`` and ``labels`` are those of the
    decoder's start, the answer and its end. The decoder so reads the last token for nothing, but each label stands
    where the token itself does, and is predicted one position before, in every kind. Rows of masked models:
    :func:`masked_row`.

    Raises:
        UserError: the answer does not fit.
    """
    if reading.kind == "masked":
        answer = encode_label(prompts.tokenizer, output)
        prompt_ids = _fit_prompt(prompts, prompt, [masked_row(prompts.tokenizer, [], answer)["input_ids"]], max_length)
        return masked_row(prompts.tokenizer, prompt_ids, answer)
    answer = encode_answer(prompts.tokenizer, output)
    prompt_ids = _fit_prompt(prompts, prompt, [answer], max_length)
    return _row_of(prompt_ids, answer, reading.start)


def _row_of(prompt: Sequence[int], answer: Sequence[int], start: int | None) -> Row:
    if start is not None:
        return {"input_ids": list(prompt), "decoder_input_ids": [start, *answer], "labels": [IGNORED, *answer]}
    return {"input_ids": [*prompt, *answer], "labels": [*[IGNORED] * len(prompt), *answer]}


def masked_row(tokenizer: "PreTrainedTokenizerBase", prompt: list[int], answer: list[int]) -> Row:
    """A prompt, a mask for each token of its answer, and what the tokenizer puts behind a text, as ``{"input_ids",
    "labels"}``.

    The label of a mask stands one position behind it, so that it is predicted where the mask is: one position before
    its own, as in every kind.

    Raises:
        UserError: the tokenizer has no mask.
    """
    if tokenizer.mask_token_id is None:
        raise UserError("the tokenizer of the masked model names no mask: set mask_token in its config")
    behind = text_encoder(tokenizer).behind
    labels = [IGNORED] * (len(prompt) + 1) + answer + [IGNORED] * (len(behind) - 1)
    return {"input_ids": [*prompt, *[tokenizer.mask_token_id] * len(answer), *behind], "labels": labels}


def _fit_prompt(prompts: PromptEncoder, prompt: str, answers: list[list[int]], max_length: int) -> list[int]:
    longest = max(map(len, answers))
    if longest >= max_length:
        raise UserError(
            f"the answer takes {longest} tokens and leaves no room for a prompt in `max_length` {max_length}: "
            "raise training.max_length or shorten the answer"
        )
    return prompts(prompt, max_length - longest)


def prompt_of(row: Row) -> list[int]:
    """Tokens of a row's prompt, of a model that writes."""
    return row["input_ids"] if "decoder_input_ids" in row else row["input_ids"][: supervised(row["labels"])[0]]


def answered(row: Row, answer: Sequence[int]) -> Row:
    """A row of :func:`encode_row`, of a model that writes, with the tokens of another answer; an end among them is a
    label like the others, and where they have none, none is learnt."""
    start = row["decoder_input_ids"][0] if "decoder_input_ids" in row else None
    return row | _row_of(prompt_of(row), answer, start)


def row_length(row: Row) -> int:
    """Tokens of prompt and answer of a row of :func:`encode_row`."""
    return len(row["input_ids"]) + len(row.get("decoder_input_ids", ()))


def supervised(labels: Sequence[int]) -> list[int]:
    """Positions of the tokens that have a label; that of position t is predicted at t - 1."""
    return [position for position, label in enumerate(labels) if label != IGNORED and position > 0]


def collate(rows: list[Row], pad_token_id: int) -> dict[str, "torch.Tensor"]:
    """Pad rows on the right.

    Returns:
        ``input_ids``, ``attention_mask`` and ``labels``, each [batch, seq] of int64. Of an encoder-decoder, the first
        two are [batch, source], and there are ``decoder_input_ids`` and ``decoder_attention_mask`` of [batch, seq].
    """
    batch = _padded(rows, pad_token_id)
    if "decoder_input_ids" in rows[0]:
        batch["decoder_input_ids"] = _pad(rows, "decoder_input_ids", pad_token_id)
        batch["decoder_attention_mask"] = _mask(rows, "decoder_input_ids")
    return batch | {"labels": _pad(rows, "labels", IGNORED)}


def collate_classes(rows: list[Row], pad_token_id: int) -> dict[str, "torch.Tensor"]:
    """Pad rows of :func:`read_classes` on the right.

    Returns:
        ``input_ids`` and ``attention_mask``, each [batch, seq] of int64, and ``classes``, [batch] of int64.
    """
    import torch

    classes = torch.tensor([row["class"] for row in rows])
    return {**_padded(rows, pad_token_id), "classes": classes}


def pad_prompts(prompts: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, "torch.Tensor"]:
    """``input_ids`` and ``attention_mask`` of prompts alone, each [batch, seq] of int64, padded on the right."""
    return _padded([{"input_ids": prompt} for prompt in prompts], pad_token_id)


def _padded(rows: list[Row], pad_token_id: int) -> dict[str, "torch.Tensor"]:
    return {"input_ids": _pad(rows, "input_ids", pad_token_id), "attention_mask": _mask(rows, "input_ids")}


def _pad(rows: list[Row], name: str, value: int) -> "torch.Tensor":
    import torch

    padded = torch.full((len(rows), max(len(row[name]) for row in rows)), value)
    for index, row in enumerate(rows):
        padded[index, : len(row[name])] = torch.tensor(row[name])
    return padded


def _mask(rows: list[Row], name: str) -> "torch.Tensor":
    import torch

    lengths = torch.tensor([len(row[name]) for row in rows])
    return (torch.arange(int(lengths.max())) < lengths[:, None]).long()


def collate_explained(rows: list[Row], pad_token_id: int) -> dict[str, "torch.Tensor"]:
    """Pad rows of :func:`read_explained`: their predictions, and below them the rationales that they have.

    Returns:
        What :func:`collate` does, and ``explains`` [batch] of bool: which sequences are rationales.
    """
    import torch

    rationales = [row["rationale"] for row in rows if row["rationale"]]
    explains = torch.arange(len(rows) + len(rationales)) >= len(rows)
    return collate(rows + rationales, pad_token_id) | {"explains": explains}
