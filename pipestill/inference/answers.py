"""Generated answers to prompts, which survive a kill."""

from collections import Counter
from collections.abc import Mapping
from functools import partial

from pipestill.inference.generation import Answer, Constraint, generate, shared_length
from pipestill.inference.loaded import Loaded
from pipestill.inference.queries import query, timed
from pipestill.inference.work import Work
from pipestill.io.records import Json
from pipestill.job.progress import Progress
from pipestill.settings.generation import GenerationConfig
from pipestill.settings.jobs import Asking


def answer_prompts(
    loaded: Loaded,
    asking: Asking,
    decoding: GenerationConfig,
    prompts: Mapping[str, str],
    work: Work,
    constraint: Constraint | None = None,
) -> dict[str, Json]:
    """Generate an answer to each prompt; those that the log ``answers`` of the work holds are not asked again.

    Args:
        loaded: a causal model or an encoder-decoder, or what writes in its place.
        asking: the prompt that they were made by, length limits, and whether each answer comes after a rationale and a
            marker.
        decoding: how tokens are chosen.
        prompts: by key; what is drawn for an answer depends on its key. Equal prompts side by side are read once; so is
            a context, with which all begin.
        work: keeps the answers.
        constraint: what answers follow.

    Returns:
        ``{"text", "query"}`` by key, see :func:`~pipestill.inference.queries.query`; after a rationale the
        ``rationale`` too, none where the marker is missing.
    """
    keys, log, encoder = list(prompts), work.log("answers"), loaded.encoder(asking.prompt)
    encoded = {text: encoder(text, asking.max_prompt_tokens) for text in set(prompts.values())}
    encoder.report(work.label)
    tokens = [encoded[prompts[key]] for key in keys]
    done = {index for index, key in enumerate(keys) if key in log.rows}
    progress = Progress(len(keys), "answers", work.label, done=len(done))
    explained, asked = asking.rationale_tokens > 0, Counter(prompts.values())
    shared = shared_length(loaded.model, tokens) if loaded.context else 0

    def row(index: int, answer: Answer, ms: float) -> Json:
        length = len(tokens[index])
        rationale = {"rationale": answer.rationale} if explained else {}
        read = answer.read
        if read is None:
            read = (length - shared) / asked[prompts[keys[index]]] + shared / len(keys)
        took = query(length, read, ms, answer.tokens)
        return {"text": asking.prompt.said(answer.text, bool(loaded.context.demonstrations))} | rationale | took

    write = loaded.writer or partial(generate, loaded.model, loaded.tokenizer)
    batches = write(
        tokens,
        max_new_tokens=asking.max_new_tokens,
        decoding=decoding,
        keys=keys,
        done=done,
        after_rationale=explained,
        shared=shared,
        constraint=constraint,
    )
    for batch, ms in timed(batches):
        log.append((keys[index], row(index, answer, ms / len(batch))) for index, answer in batch)
        work.cost.tokens += sum(len(tokens[index]) + answer.tokens for index, answer in batch)
        work.cost.save()
        progress.update(len(batch))
    return log.rows
