"""What model cards say of generated answers, whatever their kind."""

from pipestill.evaluation.evaluation import Evaluation
from pipestill.evaluation.formats import listing, plural
from pipestill.metrics.catalogue import entry_of
from pipestill.settings.generation import GenerationConfig
from pipestill.tasks import task_of


def decoding(options: GenerationConfig) -> str:
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


def test_sets(evaluation: Evaluation) -> list[tuple[str, str]]:
    """The row of the facts that lists the test sets, where there are some."""
    sets = ", ".join(f"{name} ({size})" for name, size in evaluation.test_sets.items())
    return [("test sets", sets)] if sets else []


def measured(evaluation: Evaluation) -> str:
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
