"""The frame in which generated answers are asked for, once per sampling seed, and written."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipestill.answers.base import Said
from pipestill.answers.generated import Generated
from pipestill.inference.answers import answer_prompts
from pipestill.inference.generation import Constraint, generate
from pipestill.inference.loaded import Loaded
from pipestill.inference.queries import Queries
from pipestill.inference.question import Listen, Pieces, Question, pieces_of_json, pieces_of_text
from pipestill.inference.work import Work
from pipestill.io.files import dump_compact, write_json
from pipestill.io.records import Json, Record, write_jsonl
from pipestill.io.sequences import Spool
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking
from pipestill.text.repetition import repeats_to_the_end

Asked = dict[tuple[str, int | None], Json]  # answers by the key of their prompt and the sampling seed


def ask(
    loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work, **how: Any
) -> Asked:
    """Answer ``prompts`` by key, once per sampling seed; answers to one prompt stand side by side, so that it is read
    once.

    Args:
        loaded: a causal model or an encoder-decoder.
        asking: how it is asked.
        decoding: the options of the answers.
        prompts: by key.
        work: keeps the answers.
        how: see :func:`~pipestill.inference.answers.answer_prompts`.
    """
    names = {(key, seed): _name(key, seed) for key in prompts for seed in decoding.seeds()}
    said = answer_prompts(loaded, asking, decoding, {names[each]: prompts[each[0]] for each in names}, work, **how)
    return {each: said[name] for each, name in names.items()}


def ask_records(
    loaded: Loaded, asking: Asking, decoding: GenerationConfig, records: Iterable[Record], work: Work, **how: Any
) -> Asked:
    """Answer the prompts of ``records``; see :func:`ask`."""
    prompts = {record.id: asking.prompt.fill(record.inputs) for record in records}
    return ask(loaded, asking, decoding, prompts, work, **how)


def predict_records(
    loaded: Loaded,
    answer: Callable[[Sequence[Record], Work], Asked],
    records: Sequence[Record],
    work: Work,
    directory: Path,
) -> None:
    """Write ``predictions.jsonl``, a row per record and sampling seed, and ``queries.json``.

    Args:
        loaded: the model that answers.
        answer: answers some of the records.
        records: to be answered, a part of them at a time.
        work: keeps the answers.
        directory: to write into.
    """
    took, by_seed = Queries(), defaultdict(partial(Spool, _line, json.loads))
    for own, part in work.parts(records):
        asked = answer(part, own)
        for seed in dict.fromkeys(seed for _, seed in asked):
            for record in part:
                by_seed[seed].append(_row(record, seed, asked[record.id, seed]))
                took.add(asked[record.id, seed])
    write_jsonl(directory / "predictions.jsonl", (row for rows in by_seed.values() for row in rows))
    write_json(directory / "queries.json", took.means(loaded.model))


def _line(row: Json) -> bytes:
    return f"{dump_compact(row)}\n".encode()


def said_of(asked: Asked) -> dict[str, Said]:
    """The outputs to each prompt by its key, one a sampling seed."""
    found: dict[str, Said] = {}
    for (key, _), answer in asked.items():
        found.setdefault(key, Said(key, [])).outputs.append(answer["text"])
    return found


def drawn(
    loaded: Loaded, asking: Asking, decoding: GenerationConfig, prompts: Mapping[str, str], work: Work, **how: Any
) -> dict[str, list[str]]:
    """Texts of :func:`ask` by the key of their prompt, in the order of the seeds."""
    drawing = replace(work, label=f"{work.label}: further answers")
    return {key: said.outputs for key, said in said_of(ask(loaded, asking, decoding, prompts, drawing, **how)).items()}


def replies_to(
    loaded: Loaded,
    asking: Asking,
    decoding: GenerationConfig,
    questions: Sequence[Question],
    listen: Listen | None = None,
    constraint: Constraint | None = None,
) -> Iterator[tuple[int, Json]]:
    """Answer ``questions`` in batches, which change no answer.

    A reply says its ``prediction``, the ``sampling_seed`` if it was drawn, whether the prompt was cut (``cropped``),
    whether the answer repeats itself up to the limit of its length (``repeats``), whether the model itself ended it
    (``ended``), and the tokens of both (``prompt_tokens``, ``written_tokens``). A model that writes a ``rationale``
    before its answers adds it, none where no marker tells it from the answer.

    Args:
        loaded: a causal model or an encoder-decoder.
        asking: how it is asked.
        decoding: the options of the answers.
        questions: by hand.
        listen: follows the answers; the text behind a rationale comes in one piece, as a later marker could change it.
        constraint: what answers follow.

    Returns:
        Iterator over (place of a question, its reply); with ``listen``, each as soon as it is whole.
    """
    encoder, demonstrated = loaded.encoder(asking.prompt), bool(loaded.context.demonstrations)
    read = [question.read(encoder, asking.max_prompt_tokens) for question in questions]
    seeds = [_drawn(decoding, question) for question in questions]
    explained = asking.rationale_tokens > 0
    pieces = [_pieces(loaded, asking, constraint) for _ in questions] if listen else []
    batches = generate(
        loaded.model,
        loaded.tokenizer,
        [tokens for tokens, _ in read],
        max_new_tokens=asking.max_new_tokens,
        decoding=decoding,
        keys=[f"{seed}/{question.prompt}" for seed, question in zip(seeds, questions, strict=True)],
        after_rationale=explained,
        constraint=constraint,
        hear=listen and (lambda place, tokens: listen(place, partial(pieces[place].next, tokens))),
    )
    for batch in batches:
        for place, answer in batch:
            text, (tokens, cut) = asking.prompt.said(answer.text, demonstrated), read[place]
            if listen:
                listen(place, partial(pieces[place].rest, text))
            yield (
                place,
                {
                    "prediction": text,
                    **({"rationale": answer.rationale} if explained else {}),
                    "sampling_seed": seeds[place],
                    "cropped": cut,
                    "repeats": answer.tokens >= asking.max_new_tokens and repeats_to_the_end(answer.text),
                    "ended": answer.ended,
                    "prompt_tokens": len(tokens),
                    "written_tokens": answer.tokens,
                },
            )


def _drawn(decoding: GenerationConfig, question: Question) -> int | None:
    """The seed that an answer is drawn with, if it is."""
    if not decoding.sampling or question.sampling_seed is None:
        return decoding.seeds()[0]
    return question.sampling_seed


def _pieces(loaded: Loaded, asking: Asking, constraint: Constraint | None) -> Pieces:
    """Pieces of one answer."""
    demonstrated = bool(loaded.context.demonstrations)

    def certain(text: str) -> str:
        return "" if asking.rationale_tokens else asking.prompt.saying(text, demonstrated)

    return pieces_of_json(constraint, certain) if constraint else pieces_of_text(loaded.tokenizer, certain)


def _row(record: Record, seed: int | None, said: Json) -> Json:
    """A row of predictions; where answers come after rationales it has a ``rationale``, null without a marker."""
    rationale = {"rationale": said["rationale"]} if "rationale" in said else {}
    return Generated.to(record, said["text"], sampling_seed=seed).row() | rationale


def _name(key: str, seed: int | None) -> str:
    """Key of an answer, which says what is drawn for it."""
    return key if seed is None else f"{seed}/{key}"
