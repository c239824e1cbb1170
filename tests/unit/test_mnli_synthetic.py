"""The generator of sentence pairs: what its test sets promise, and that its labels are right."""

import re
from collections import Counter

import pytest

from pipestill.errors import UserError
from pipestill.io.records import of_split
from pipestill.pretraining.corpus.mixture import family_documents
from pipestill.tasks import TASKS
from pipestill.tasks.mnli.genres import READ, UNREAD
from pipestill.tasks.mnli.synthetic import generate
from pipestill.tasks.mnli.traps import TRAPS
from support.layout_runs import prepare

SIZES = {"train": 3000, "matched": 900, "mismatched": 900, "hans": 600}
ENTAILED = "entailment"


@pytest.fixture(scope="module")
def data():
    return generate(SIZES, seed=5)[0]


def words(text):
    return set(re.findall(r"\w+", text.lower()))


def overlap(row):
    """Share of the hypothesis' words that the premise has."""
    hypothesis = words(row["sentence2"])
    return len(hypothesis & words(row["sentence1"])) / len(hypothesis)


def decided(rows):
    """Rows of the two classes."""
    return [row for row in rows if row["gold_label"] not in ("neutral", "-")]


def accuracy(rows, threshold):
    """Of the rule that a hypothesis follows whose words the premise has."""
    right = [(overlap(row) >= threshold) == (row["gold_label"] == ENTAILED) for row in decided(rows)]
    return sum(right) / len(right)


def test_rows_depend_on_the_seed_alone(data):
    assert generate(SIZES, seed=5)[0] == data
    assert generate(SIZES, seed=6)[0]["matched"] != data["matched"]
    fewer = generate({**SIZES, "train": 100}, seed=5)[0]
    assert {role: fewer[role] for role in SIZES if role != "train"} == {
        role: data[role] for role in SIZES if role != "train"
    }


def test_no_pair_is_there_twice(data):
    pairs = [(row["sentence1"], row["sentence2"]) for rows in data.values() for row in rows]
    assert len(set(pairs)) == len(pairs) == sum(SIZES.values())
    assert all(premise != hypothesis for premise, hypothesis in pairs)
    identities = [row["pairID"] for rows in data.values() for row in rows]
    assert len(set(identities)) == len(identities)


def test_pairs_have_the_three_labels_of_mnli_and_a_few_have_none(data):
    counts = Counter(row["gold_label"] for row in data["train"])
    assert all(900 < counts[label] < 1060 for label in ("entailment", "neutral", "contradiction"))
    assert 30 < counts["-"] < 100


def test_mismatched_pairs_are_of_other_genres_with_other_words(data):
    assert (
        {row["genre"] for row in data["train"]}
        == {row["genre"] for row in data["matched"]}
        == {genre.name for genre in READ}
    )
    assert {row["genre"] for row in data["mismatched"]} == {genre.name for genre in UNREAD}
    for old in READ:
        for new in UNREAD:
            assert not set(old.did) & set(new.did) and not set(old.who) & set(new.who)
            assert not set(old.details) & set(new.details) - {"in {}"} and not set(old.more) & set(new.more)


def test_comparing_words_helps_on_pairs_and_not_on_traps(data):
    thresholds = (0.6, 0.7, 0.8, 0.9, 1.0)
    best = max(thresholds, key=lambda threshold: accuracy(data["train"], threshold))
    assert accuracy(data["matched"], best) > 0.65
    assert accuracy(data["mismatched"], best) > 0.6
    assert accuracy(data["matched"], best) < 0.9  # some contradictions have no word of their own
    for threshold in thresholds:
        assert accuracy(data["hans"], threshold) == 0.5
    assert all(overlap(row) == 1 for row in data["hans"])


def test_traps_are_balanced_by_label_and_heuristic(data):
    counts = Counter((row["heuristic"], row["gold_label"]) for row in data["hans"])
    assert set(counts.values()) == {100} and len(counts) == 6
    for size in (1, 7, 50):
        few = Counter((row["heuristic"], row["gold_label"]) for row in generate({"hans": size}, seed=1)[0]["hans"])
        assert max(few.values()) - min(few.values()) <= 1


def test_every_case_is_of_its_heuristic(data):
    assert {(row["heuristic"], row["subcase"]) for row in data["hans"]} == {
        (case.heuristic, case.subcase) for case in TRAPS
    }
    for row in data["hans"]:
        premise, hypothesis = (re.findall(r"\w+", row[key].lower()) for key in ("sentence1", "sentence2"))
        starts = [n for n in range(len(premise)) if premise[n : n + len(hypothesis)] == hypothesis]
        assert bool(starts) >= (row["heuristic"] != "lexical_overlap")
        if row["heuristic"] == "lexical_overlap" and row["subcase"] != "passive":
            assert not starts


def test_traps_are_labelled_rightly(data):
    rows = data["hans"]
    for word in ("If", "Maybe"):
        assert {row["gold_label"] for row in rows if row["sentence1"].startswith(word)} == {"non-entailment"}
    assert {row["gold_label"] for row in rows if " said that " in row["sentence1"]} == {"non-entailment"}
    assert {row["gold_label"] for row in rows if " knew that " in row["sentence1"]} == {ENTAILED}
    passive = [row for row in rows if row["subcase"] == "passive"]
    assert len(passive) > 20
    for row in passive:
        done_to, did, doer = re.fullmatch(r"(The [\w ]+) was (\w+) by (the [\w ]+)\.", row["sentence1"]).groups()
        turned = f"{doer[0].upper()}{doer[1:]} {did} {done_to[0].lower()}{done_to[1:]}."
        assert (row["sentence2"] == turned) == (row["gold_label"] == ENTAILED)


def test_pairs_are_labelled_rightly(data):
    compared, denied = 0, 0
    for row in [*data["train"], *data["mismatched"]]:
        premise, hypothesis, label = row["sentence1"], row["sentence2"], row["gold_label"]
        if label in ("neutral", "-"):
            continue
        if found := re.search(r"(\w+) paid more than (\w+) ", premise):
            one, two = found.groups()
            follows = hypothesis in (f"{one} paid more than {two}.", f"{two} paid less than {one}.")
            assert follows == (label == ENTAILED)
            compared += 1
        elif " but did not " not in premise and re.search(r" (did|was|were) not ", hypothesis):
            assert label == "contradiction"
            denied += 1
        elif label == "contradiction" and row["genre"] == "road" and " than " not in premise and " but " not in premise:
            assert words(hypothesis) - words(premise) - {"was", "by"}  # a detail or a quality of its own
    assert compared > 30 and denied > 100


def test_no_sentence_is_in_the_pre_training_corpus(data):
    sentences = {row[key] for rows in data.values() for row in rows for key in ("sentence1", "sentence2")}
    for family, count in (("pairs", 2000), ("facts", 500), ("instructions", 500)):
        for document in family_documents(family, "test", count):
            assert not sentences & set(re.split(r"(?<=\.)\s+|\n", document.text))


def test_more_pairs_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr("pipestill.tasks.mnli.synthetic.pair", lambda rng, genre, label: ("A.", rng.choice("BC")))
    with pytest.raises(UserError, match="there are not 3 different pairs for `matched`: ask for at most 2"):
        generate({"matched": 3}, seed=1)


@pytest.mark.parametrize("name", ["mnli", "mnli-merged"])
def test_generated_data_take_the_way_of_published_ones(tmp_path, name):
    config = {"rows": 300, "test_rows": 60, "seed": 3, "max_bad_share": 0, "splits": {"val_rows": 20}}
    made = [prepare(TASKS[name], tmp_path / run, **config) for run in ("one", "two")]
    (records, manifest), _ = made
    assert (tmp_path / "one/records.jsonl").read_bytes() == (tmp_path / "two/records.jsonl").read_bytes()
    assert {record.target for record in records} == set(TASKS[name].answers.labels)
    hans = [record for record in of_split(records, "test") if record.test_set == "hans"]
    assert Counter(record.subset for record in hans) == {"lexical_overlap": 20, "subsequence": 20, "constituent": 20}
    assert manifest["raw"]["rows_by_part"]["hans"] == {"constituent": 20, "lexical_overlap": 20, "subsequence": 20}
    left_out = manifest["files"]["matched"]["left_out_rows_by_reason"]
    assert ("neutral" in left_out) == (name == "mnli")
