"""Model cards of models that generate text."""

import json

from pipestill.answers.text import TextOptions
from pipestill.evaluation.card import Card, metrics_table
from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import listing, plural
from pipestill.metrics.catalogue import entry_of, metric_title
from pipestill.tasks import task_of

WORDS_IN_COMMON = "words in common with a reference, not whether an answer is right"


def card(evaluation: Evaluation) -> Card:
    """The way answers are found, metrics with their signatures, and the limits of metrics of words."""
    n = evaluation.sentences
    sets = ", ".join(f"{name} ({size})" for name, size in evaluation.test_sets.items())
    how = f"{plural(n, 'sentence')} of the document" if n else decoding(TextOptions.model_validate(evaluation.answers))
    results = [_measured(evaluation), metrics_table(evaluation)]
    if evaluation.signatures:
        lines = [
            f"- {name}: `{each if isinstance(each, str) else json.dumps(each)}`"
            for name, each in evaluation.signatures.items()
        ]
        results += ["Signatures:", "\n".join(lines)]
    return Card(
        facts=[("answers", how), *([("test sets", sets)] if sets else [])],
        results=results,
        limits=[f"{metric_title(evaluation.primary_metric)} measures {WORDS_IN_COMMON}."],
    )


def decoding(options: TextOptions) -> str:
    """``greedy, no 6 tokens twice`` or ``sampled at temperature 1, 2 sampling seeds``."""
    parts = ["greedy"]
    if options.sampling:
        parts = [
            f"sampled at temperature {options.temperature:g}",
            plural(len(options.sampling_seeds), "sampling seed"),
        ]
        parts += [f"top p {options.top_p:g}"] if options.top_p < 1 else []
        parts += [f"top k {options.top_k}"] if options.top_k else []
    size = options.no_repeat_ngram_size
    return ", ".join([*parts, *([f"no {size} tokens twice"] if size else [])])


def _measured(evaluation: Evaluation) -> str:
    """The number of examples, and the way metrics are taken over them."""
    counted = f"{plural(evaluation.n_test, 'test example')}, {plural(len(evaluation.seeds), 'seed')}."
    if not evaluation.test_sets:
        return f"{counted} Intervals cover the choice of test examples and the seeds."
    shown = {name for table in task_of(evaluation).answers.tables for name in table.names}
    together = [entry_of(name).title for name in evaluation.metrics if name in shown and entry_of(name).corpus]
    who = f"{listing(together)} are of all answers together, the other metrics" if together else "Metrics"
    return (
        f"{counted} {who} are unweighted means over the test sets. Intervals cover the choice of the examples of "
        "each test set and the seeds."
    )
