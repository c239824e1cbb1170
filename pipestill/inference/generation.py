"""Answers to prompts, greedy or sampled, in batches of similar length that rows leave as soon as they are finished."""

import random
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch

from pipestill.errors import UserError
from pipestill.inference.decoding import Choose, chooser
from pipestill.inference.prefix import MIN_PREFIX, common_prefix_length, read_prefix
from pipestill.inference.rows import Hear, Written, ends_of, read_prompts
from pipestill.io.normal import clean
from pipestill.settings.generation import GenerationConfig
from pipestill.text.marker import split

if TYPE_CHECKING:
    from pipestill.inference.cache import SharedPrefix

BATCH_TOKENS = 16384  # prompts, padding and room for answers
GREEDY = GenerationConfig()


@dataclass(frozen=True)
class Answer:
    """What a model answered.

    Attributes:
        text: without special tokens and surrounding spaces, in the normal form of texts; by a constraint, as written.
        tokens: how many were generated, the end included.
        rationale: what was written before it and the marker, where that was asked for; none without a marker.
        ended: by the model itself; false for one that was cut or dropped.
        read: tokens of the prompt that were read for it, where whoever wrote it says so.
    """

    text: str
    tokens: int
    rationale: str | None = None
    ended: bool = True
    read: int | None = None


class Constraint(Protocol):
    """What answers follow; :class:`pipestill.inference.constrained.constraint.Constraint` is one."""

    def answer_batch(
        self,
        model,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        choose: Choose,
        draws: Sequence[random.Random],
        prefix: "SharedPrefix | None" = None,
        hear: Hear | None = None,
    ) -> Iterator[tuple[int, Written]]:
        """Answers to one batch; see :func:`answer_batch`."""

    def text(self, tokens: Sequence[int]) -> str:
        """The text of an answer."""


def length_sorted_batches(lengths: Sequence[int], new_tokens: int, token_budget: int) -> list[list[int]]:
    """Indices of prompts in batches, longest first; rows times (longest prompt + new tokens) stay within the budget.

    A prompt that exceeds the budget by itself is a batch of its own.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if not batches or (len(batches[-1]) + 1) * (lengths[batches[-1][0]] + new_tokens) > token_budget:
            batches.append([])
        batches[-1].append(index)
    return batches


def generate(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    decoding: GenerationConfig = GREEDY,
    keys: Sequence[str] = (),
    token_budget: int | None = None,
    done: Container[int] = (),
    after_rationale: bool = False,
    shared: int = 0,
    constraint: Constraint | None = None,
    hear: Hear | None = None,
) -> Iterator[list[tuple[int, Answer]]]:
    """Answer ``prompts``, batch by batch, longest prompts first.

    What a row draws depends only on its key, not on the rows beside it, on threads or on what an earlier process
    finished; only a draw that falls between two tokens by less than the rounding of their probabilities can differ.
    Decoding is as ``decoding`` says: of a model's own generation config nothing counts but the ends of sequence.

    Args:
        model: a causal model or an encoder-decoder of transformers (or a peft or quantised one) in eval mode.
        prompts: token ids of each prompt; of :func:`~pipestill.models.prompts.encode_source` for an encoder.
        max_new_tokens: where an answer without an end is cut.
        decoding: greedy, or how to sample. As everywhere in transformers, ``no_repeat_ngram_size`` counts the n-grams
            of the prompt too, where one model reads both.
        keys: what the random stream of each row is made from, such as its sampling seed and id; for sampling.
        token_budget: tokens per batch, padding and answers included. After an out-of-memory error of the accelerator
            the batch is halved, tried again, and later ones are no larger. Default: :data:`BATCH_TOKENS`.
        done: indices of prompts that an earlier process has finished. Batches are composed as if nothing were, so
            that a resumed run gives the same answers as one that was not stopped.
        after_rationale: what is generated is a rationale, a marker and the answer; see :mod:`pipestill.text.marker`.
        shared: tokens that all prompts begin with and that are read once, see :func:`shared_length`. Logits behind them
            are those of whole prompts but for rounding.
        constraint: what answers follow; they are JSON then, and their text is as it was written.
        hear: is told the index of a prompt and the tokens of its answer so far, after each token of those that go on;
            where it says false, the answer ends there.

    Returns:
        Iterator over batches of (index of the prompt, its answer). With ``hear`` each answer comes by itself, as soon
        as it has ended.

    Raises:
        UserError: a prompt is empty or too long for the model, the model's output is not a number, or one prompt does
            not fit in memory.
    """
    check_lengths(model, prompts, max_new_tokens)
    if decoding.sampling and len(keys) != len(prompts):
        raise ValueError(f"{len(keys)} keys for {len(prompts)} prompts")
    if constraint and after_rationale:
        raise UserError("an answer after a rationale cannot follow a schema: use `decoding: free`")
    prefix = read_prefix(model, prompts[0][:shared]) if shared else None
    budget = token_budget or BATCH_TOKENS
    drawn = keys if decoding.sampling else ()
    how = prefix, constraint, hear
    batches = _generate(model, prompts, max_new_tokens, chooser(decoding), drawn, budget, done, *how)

    def answer(written: Written) -> Answer:
        text = constraint.text(written.tokens) if constraint else text_of(tokenizer, written.tokens)
        answer = Answer(text, len(written.tokens), ended=written.ended)
        return without_rationale(answer) if after_rationale else answer

    return ([(index, answer(written)) for index, written in batch] for batch in batches)


def write(
    model,
    prompts: Sequence[Sequence[int]],
    rooms: Sequence[int],
    decoding: GenerationConfig,
    keys: Sequence[str],
    vocabulary: int,
) -> dict[int, Written]:
    """Tokens of an answer that is drawn to each of ``prompts``, by index, as :func:`generate` draws them.

    Args:
        model: as there.
        prompts: token ids of each prompt.
        rooms: of each prompt, tokens at which its answer is cut.
        decoding: how to sample.
        keys: what the random stream of each row is made from.
        vocabulary: ids of the tokenizer; what a head has beyond is padding, and never drawn.

    Raises:
        UserError: the model's output is not a number, or one prompt does not fit in memory.
    """
    draw = chooser(decoding)

    def choose(tokens: torch.Tensor, logits: torch.Tensor, draws: Sequence[random.Random]) -> torch.Tensor:
        return draw(tokens, logits[:, :vocabulary], draws)

    def fits(index: int, tokens: Sequence[int]) -> bool:
        return len(tokens) < rooms[index]

    how = choose, keys, BATCH_TOKENS, (), None, None, fits
    return dict(each for batch in _generate(model, prompts, max(rooms, default=0), *how) for each in batch)


def shared_length(model, prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with, if a model can be asked behind keys and values of them; else 0.

    Encoders and layers with a sliding window read every prompt whole.
    """
    from pipestill.inference.cache import has_room, roomy_cache

    length = common_prefix_length(prompts)
    if length < MIN_PREFIX or model.config.is_encoder_decoder or not has_room(roomy_cache(model.config, 1)):
        return 0
    return length


def text_of(tokenizer, tokens: Sequence[int]) -> str:
    """The text of an answer: without special tokens and surrounding spaces, in the normal form of texts."""
    return clean(tokenizer.batch_decode([tokens], skip_special_tokens=True)[0]).strip()


def without_rationale(answer: Answer) -> Answer:
    """An answer that is a rationale, a marker and the answer, in its parts."""
    rationale, text = split(answer.text)
    return replace(answer, text=text, rationale=rationale)


def _generate(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Choose,
    keys: Sequence[str],
    token_budget: int,
    done: Container[int],
    prefix: "SharedPrefix | None",
    constraint: Constraint | None,
    hear: Hear | None,
) -> Iterator[list[tuple[int, Written]]]:
    lengths = [len(prompt) for prompt in prompts]
    waiting, told = length_sorted_batches(lengths, max_new_tokens, token_budget), set()
    answering = constraint.answer_batch if constraint else answer_batch

    while waiting:
        batch = waiting[0]
        wanted = [row for row, index in enumerate(batch) if index not in done]
        if wanted:
            draws = [random.Random(keys[index]) for index in batch] if keys else []
            asked = [prompts[index] for index in batch]
            heard = hear and (lambda row, tokens, batch=batch: hear(batch[row], tokens))
            answers: dict[int, Written] | None = {}
            try:
                for row, written in answering(model, asked, max_new_tokens, choose, draws, prefix, heard):
                    answers[row] = written
                    if hear:
                        told.add(batch[row])
                        yield [(batch[row], written)]
            except torch.OutOfMemoryError:
                answers = None  # try again outside of this block, where the failed pass no longer holds its tensors
            if answers is None:
                if len(batch) == 1:
                    raise UserError(
                        f"prompt {batch[0]} ({lengths[batch[0]]} tokens) and its answer do not fit in the "
                        "accelerator's memory: shorten it or use a smaller or quantised model"
                    )
                torch.cuda.empty_cache()
                rest = [index for later in waiting for index in later if index not in told]
                token_budget = len(batch) // 2 * (lengths[batch[0]] + max_new_tokens)
                smaller = length_sorted_batches([lengths[index] for index in rest], max_new_tokens, token_budget)
                waiting = [[rest[place] for place in places] for places in smaller]
                continue
            if not hear:
                yield [(batch[row], answers[row]) for row in wanted]
        waiting = waiting[1:]


def check_lengths(model, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    """Refuse prompts that a model cannot answer.

    Raises:
        UserError: one is empty, or too long.
    """
    limit = getattr(model.config.get_text_config(decoder=True), "max_position_embeddings", None)
    for index, prompt in enumerate(prompts):
        if len(prompt) == 0:
            raise UserError(f"prompt {index} has no tokens: an answer needs at least one before it")
        together = max if model.config.is_encoder_decoder else sum  # encoder and decoder count positions apart
        if limit and together((len(prompt), max_new_tokens)) > limit:
            raise UserError(
                f"prompt {index} has {len(prompt)} tokens and its answer up to {max_new_tokens}, but the model reads "
                f"at most {limit}: shorten the prompt or lower `max_new_tokens`"
            )


@torch.inference_mode()
def answer_batch(
    model,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    choose: Choose,
    draws: Sequence[random.Random],
    prefix: "SharedPrefix | None" = None,
    hear: Hear | None = None,
) -> Iterator[tuple[int, Written]]:
    """Answers to one batch of prompts, each as soon as it has ended; equal prompts are read once.

    Args:
        choose: see :func:`~pipestill.inference.decoding.chooser`.
        draws: random stream of each row, for sampling.
        prefix: keys and values of what all prompts begin with, of a causal model.
        hear: is told the row and the tokens so far of each answer that goes on; where it says false, it ends there.

    Returns:
        Iterator over (row of the prompt, its answer).
    """
    ends = ends_of(model)
    rows, logits = read_prompts(model, prompts, max_new_tokens, prefix)
    answers: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))  # prompts whose answers go on, in the order of the rows
    while True:
        chosen = choose(rows.tokens, logits, [draws[index] for index in going] if draws else [])
        for index, token in zip(going, chosen.tolist(), strict=True):
            answers[index].append(token)
        rows.append(chosen)
        places = []
        for place, index in enumerate(going):
            tokens = answers[index]
            ended = tokens[-1] in ends
            if ended or len(tokens) == max_new_tokens or (hear and not hear(index, tokens)):
                yield index, Written(tokens, ended)
            else:
                places.append(place)
        if not places:
            return
        if len(places) < len(going):
            rows.keep(places)
            going = [going[place] for place in places]
        logits = rows.read(1)
