"""What the report says of compressed students: beside what they were made of, by size, and by speed."""

from dataclasses import replace

import numpy as np
import pytest

from pipestill.reporting.comparisons import against_sft, compare
from pipestill.reporting.compression import compression, with_sizes
from pipestill.reporting.figures.frontier import frontier
from pipestill.reporting.findings import findings
from pipestill.reporting.overview import overview
from pipestill.settings.sizes import Size, Sizes
from support.studies import study_of

EXAMPLES = 300


def size(megabytes, decode):
    """A model of so many megabytes that writes so many tokens a second."""
    return Size(
        **dict(bytes_on_disk=int(megabytes * 1e6), parameters=1000, nonzero_weights=900, bits_a_weight=32),
        **dict(prefill_tokens_a_second=5000, decode_tokens_a_second=decode, peak_memory_mb=300),
        **dict(quantised_layers=0, fast_layers=0, timed="sft"),
    )


SIZES = {
    "base": size(2, 100),
    "sft": size(4, 100),
    "todi": size(4, 100),
    "narrow": size(2, 150),
    "rounded": size(0.5, 90),
    "crushed": size(0.3, 200),
    "teacher": size(9, 40),
}


@pytest.fixture(scope="module")
def study():
    draw = np.random.default_rng(1)
    common = draw.normal(0, 15, EXAMPLES)

    def scores(mean):
        return [mean + common + draw.normal(0, 4, EXAMPLES) for _ in (1, 2)]

    means = dict(base=18, sft=37, todi=41, narrow=41.7, rounded=41.3, crushed=5, teacher=48)
    made = study_of(**{method: scores(mean) for method, mean in means.items()})
    for experiment in made.experiments:
        if experiment.method in ("narrow", "rounded", "crushed"):
            experiment.evaluation.compressed_from = "todi"
            experiment.evaluation.method_summary = "made of another"
    return replace(made, sizes=SIZES)


def compressed(study):
    return compression(study, compare(study))


def test_each_is_compared_with_what_it_was_made_of(study):
    found = {each.a.method: each for each in compressed(study).parents}
    assert found.keys() == {"narrow", "rounded", "crushed"}
    assert {each.b.method for each in found.values()} == {"todi"}
    assert found["crushed"].verdict == "worse"
    assert not found["narrow"].significant


def test_the_smallest_and_the_fastest_are_not_told_apart_from_the_best(study):
    found = compressed(study)
    assert found.leader.method == "narrow"
    assert found.smallest.experiment.method == "rounded"
    assert found.fastest.experiment.method == "narrow"
    first, second = found.sentences()
    assert first.startswith(
        "The smallest model whose difference from the best has a 95 % interval with 0 in it: rounded (ROUGE-L "
    )
    assert "500 kB, 25% of the best one's 2.0 MB." in first
    assert ", against narrow −" in first
    assert "narrow (ROUGE-L " in second
    assert "the best itself); 150 tokens a second." in second


def test_the_best_is_not_measured_by_itself_where_it_is_the_smallest_too(study):
    least = SIZES | {"narrow": SIZES["narrow"].model_copy(update={"bytes_on_disk": 1000})}
    (sentence,) = compressed(replace(study, sizes=least)).sentences()
    assert sentence.endswith("the best itself); 1.0 kB.")


def test_the_comparisons_of_methods_are_as_without_them(study):
    alone = replace(study, experiments=study.compared, sizes={})
    for family in (compare, against_sft):
        assert [each.row() for each in family(study)] == [each.row() for each in family(alone)]
    assert findings(study).conclusion.best.method == findings(alone).conclusion.best.method == "todi"


def test_tables_of_all_studies_have_them_beside_what_they_were_made_of(study):
    table = overview([findings(study)])
    assert list(table.columns) == ["teacher", "base", "sft", "todi"]
    cells = table.rows[0].cells[-1]
    assert [(cell.experiment.method, cell.variant) for cell in cells] == [
        *(("todi", ""), ("narrow", "narrow"), ("rounded", "rounded"), ("crushed", "crushed"))
    ]


def test_all_comparisons_are_in_the_file_once(study):
    comparisons = findings(study).comparisons
    families = {each.family for each in comparisons}
    pairs = {frozenset((each.a.method, each.b.method)) for each in comparisons}
    assert len(pairs) == len(comparisons) == 6 + 3 + 4  # rows that are not compressed, parents, the best one
    assert families == {
        "against sft",
        "against the best",
        "further pairs",
        "against parent",
        "compressed against the best",
    }


def test_the_figure_names_every_model(study):
    drawn = frontier(study)
    for name in (
        "narrow",
        "rounded",
        "crushed",
        "ToDi",
        "Teacher",
        "megabytes on disk",
        "milliseconds to write a token",
    ):
        assert name in drawn
    assert frontier(replace(study, sizes={})) is None


def test_studies_without_sizes_say_nothing(study, tmp_path):
    assert compressed(replace(study, sizes={})) is None
    path = tmp_path / "made.json"
    path.write_text(Sizes(study="made", rows=SIZES).model_dump_json())
    (found,) = with_sizes([replace(study, sizes={})], [path])
    assert found.sizes == SIZES
