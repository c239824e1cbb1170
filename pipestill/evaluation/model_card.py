"""The model card of an experiment: ``results/<experiment>/README.md``, from its ``eval.json`` only."""

from pipestill.evaluation.card import Card, table
from pipestill.evaluation.evaluation import AnnotationCost, Closeness, Cost, Evaluation, Provenance, QueryCost
from pipestill.evaluation.formats import MISSING, count, dollars, megabytes, milliseconds, number, plural, seconds, size
from pipestill.job.halves import half
from pipestill.tasks import task_of
from pipestill.tasks.base import ANSWER


def model_card(evaluation: Evaluation, use: str | None = None) -> str:
    """The card's Markdown.

    Args:
        evaluation: of the experiment.
        use: how its model is used, in Markdown; by `pipestill predict` where it is none.
    """
    task = task_of(evaluation)
    own: Card = half(task.answers, "card").card(evaluation)
    if use is None:
        asked = " ".join(f'--{name} "..."' for name in task.prompts[ANSWER].missing({}))
        use = f"```\npipestill predict {evaluation.experiment} {asked} --seed {evaluation.seeds[0]}\n```"
    closeness = evaluation.agreement
    parts = [
        f"# {evaluation.experiment}",
        f"{evaluation.method_title}: {evaluation.method_summary} Task `{evaluation.task}`, study `{evaluation.study}`.",
        table(["", "value"], [*_facts(evaluation), *own.facts]),
        *([] if evaluation.sentences else ["## Use", use]),
        "## Test results",
        *own.results,
        *(["## Closeness to the teacher", _closeness(closeness)] if closeness else []),
        "## Cost",
        _costs(evaluation.cost, evaluation.compressed_from is not None),
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in [*_limits(evaluation), *own.limits]),
        "## Provenance",
        _provenance(evaluation.provenance),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    return [
        ("base model", f"`{evaluation.student}`" if evaluation.student else MISSING),
        ("teacher", f"`{evaluation.teacher}`" if evaluation.teacher else MISSING),
        ("data", evaluation.source),
        ("training examples", count(evaluation.n_train)),
        ("parameters", count(evaluation.cost.total_parameters)),
        ("parameters trained", count(evaluation.cost.trainable_parameters)),
    ]


def _limits(evaluation: Evaluation) -> list[str]:
    synthetic = "Trained and tested on synthetic data: the numbers say nothing about real cases."
    return [*([synthetic] if evaluation.source == "synthetic" else []), *evaluation.notes]


def _costs(cost: Cost, compressed: bool) -> str:
    rows = [
        [title, seconds(spent.wall_s), seconds(spent.cpu_s), megabytes(spent.peak_memory_mb)]
        for title, spent in (
            ("training what was compressed", cost.parent),
            ("compression" if compressed else "training", cost.train),
            ("prediction", cost.predict),
        )
        if spent
    ]
    parts = [table(["per seed", "wall time", "processor time", "peak memory"], rows)]
    parts += [_query(cost.query)] if cost.query else []
    parts += [_annotation(cost.annotation)] if cost.annotation else []
    return "\n\n".join(parts)


def _query(query: QueryCost) -> str:
    written = f" and writes {number(query.written_tokens, 1)}" if query.written_tokens else ""
    return (
        f"A test question has a prompt of {number(query.prompt_tokens, 1)} tokens, reads "
        f"{number(query.read_tokens, 1)} of them (what prompts share is read once){written}: "
        f"{milliseconds(query.ms)} of the model's work, and {size(query.cache_bytes)} of keys and values."
    )


def _annotation(annotation: AnnotationCost) -> str:
    tokens, training = annotation.tokens, annotation.training
    trained = f"; training it took {seconds(training.cpu_s)} of processor time" if training else ""
    return (
        f"Rationales by `{annotation.model}` (provider `{annotation.provider}`), once for all seeds: "
        f"{plural(annotation.calls['total'], 'call')}, {tokens['input']:,} tokens in and {tokens['output']:,} out, "
        f"{dollars(annotation.dollars)}{trained}."
    )


def _closeness(closeness: Closeness) -> str:
    words = {None: "", "bucket": ", all tokens that are not stored counting as one"}
    bucket = words.get(closeness.tail, f", over {closeness.tail} at the first token of each answer")
    return (
        f"On {closeness.tokens:,} tokens of validation answers: KL from the teacher {number(closeness.kl.mean)} nats "
        f"per token at temperature {closeness.temperature:g}{bucket}, the same likeliest token at "
        f"{number(closeness.agreement.mean)} of all, NLL {number(closeness.student_nll.mean)} (the teacher's "
        f"{number(closeness.teacher_nll.mean)})."
    )


def _provenance(provenance: Provenance) -> str:
    lines = [
        f"- code: commit `{provenance.git_commit or 'unknown'}`",
        f"- configuration: sha256 `{provenance.config_sha256}`",
    ]
    for title, digests in (("data", provenance.data_sha256), ("model", provenance.model_sha256)):
        lines += [f"- {title}: `{path}`, sha256 `{digest}`" for path, digest in digests.items()]
    lines.append("- versions: " + ", ".join(f"{name} {text}" for name, text in provenance.versions.items()))
    return "\n".join(lines)
