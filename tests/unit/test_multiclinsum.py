"""The task: what its rows may hold, and what the generator promises."""

import re
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest

from pipestill.layouts.example import BadRow
from pipestill.metrics.rouge import rouge_l
from pipestill.pretraining.corpus.mixture import family_documents
from pipestill.tasks import TASKS
from pipestill.tasks.multiclinsum.lexicon import DIAGNOSES, TREATMENTS
from pipestill.tasks.multiclinsum.wordings import FORMS, PARTS
from pipestill.text.sentences import split_sentences

ROOT = Path(__file__).parents[2]
TASK = TASKS["multiclinsum"]
PROMPTS = [TASK.prompts[name] for name in ("answer", "rationale")]
PAIR = {"input": "A long clinical report.", "output": "A summary."}


@pytest.fixture(scope="module")
def rows():
    return TASK.synthetic(1200, 7)[0]


def test_rows_of_every_origin_are_read():
    assert (TASK.parse(PAIR).inputs, TASK.parse(PAIR).target) == ({"document": PAIR["input"]}, PAIR["output"])
    example = TASK.parse({"text": " un caso largo ", "summary": "caso", "language": "es", "case": 7, "rationale": "r"})
    assert (example.inputs["document"], example.target, example.test_set, example.group) == (
        "un caso largo",
        "caso",
        "es",
        "7",
    )
    assert example.rationale == "r"
    assert TASK.parse({"fulltext": "long", "summary": "s"}).meta == {"language": "en"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"input": " \n"}, "empty text"),
        ({"output": ""}, "empty summary"),
        ({"output": None}, "empty summary"),
        ({"output": PAIR["input"]}, "the summary is not shorter than its text"),
        ({"language": "de"}, "unknown language 'de'; it is one of en, es, fr, pt"),
        ({"input": ["x"]}, "`input` is not text"),
    ],
)
def test_unusable_rows_are_named(change, reason):
    with pytest.raises(BadRow, match=f"^{reason}$"):
        TASK.parse({**PAIR, **change})


def test_prompts_are_those_of_the_published_recipe():
    assert [prompt.fill({"document": "x"}) for prompt in PROMPTS] == [
        "Summarize clinical text:\nx",
        "Extract the key information from clinical text:\nx",
    ]


def test_no_study_prompt_or_report_is_in_the_pretraining_corpus(rows):
    corpus = [document.text for document in family_documents("reports", "test", 3000)]
    reports = {row["input"] for row in rows}
    for text in corpus:
        assert not any(prompt.fill({"document": ""}).strip() in text for prompt in PROMPTS)
        assert not any(part in reports for part in re.split(r"\n|<\|im_\w+\|>(?:user|assistant)?", text))


def test_the_generator_depends_on_its_seed_alone(rows):
    assert TASK.synthetic(1200, 7)[0] == rows
    assert TASK.synthetic(10, 7)[0] == rows[:10]
    assert TASK.synthetic(10, 8)[0][0]["input"] != rows[0]["input"]
    assert len(TASK.synthetic(7, 7)[0]) == 7


def test_cases_come_in_both_languages_and_rows_can_be_used(rows):
    for english, spanish in zip(rows[::2], rows[1::2], strict=True):
        assert (english["language"], spanish["language"]) == ("en", "es")
        assert english["case"] == spanish["case"]
    assert len({row["case"] for row in rows}) == 600
    assert len({row["input"] for row in rows}) == 1200
    for row in rows:
        assert TASK.parse(row).rationale == row["findings"]


def named(text, language, words):
    return {pair for pair in words if re.search(rf"\b{re.escape(pair[language])}\b", text, re.IGNORECASE)}


def test_summaries_and_findings_say_what_the_report_says_and_reports_say_more(rows):
    distracted = 0
    for row in rows:
        language = ("en", "es").index(row["language"])
        for words in (DIAGNOSES, TREATMENTS):
            told = named(row["input"], language, words)
            assert named(row["output"], language, words) <= told
            assert len(named(row["findings"], language, words)) == 1
            assert named(row["findings"], language, words) <= told
            distracted += len(told) > 1
        age = re.search(r"\d+", row["output"])[0]
        assert re.search(rf"\b{age}\b", row["input"])
    assert distracted / (2 * len(rows)) > 0.7


def test_reports_are_long_and_summaries_short_but_not_too_long_for_small_models(rows):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "resources/models/tokenizer/tokenizer.json"))
    lengths = {
        row["file"]: [len(tokenizer.encode(row[part]).ids) for part in ("input", "output", "findings")] for row in rows
    }
    assert 150 < mean(text + summary for text, summary, _ in lengths.values()) < 170
    assert max(text + summary for text, summary, _ in lengths.values()) < 240
    assert all(max(summary, findings) < text for text, summary, findings in lengths.values())
    assert max(max(summary, findings) for _, summary, findings in lengths.values()) < TASK.answers.max_new_tokens


def test_no_sentence_of_a_report_is_its_summary(rows):
    """What is easy to copy scores low, and one layout does not make the task."""
    best = [
        max(rouge_l(sentence, [row["output"]]) for sentence in split_sentences(row["input"], row["language"]))
        for row in rows[:200]
    ]
    assert 30 < mean(best) < 65
    assert len(FORMS) == 4
    assert all(len(wordings) >= 3 for pair in PARTS.values() for wordings in pair)
    openings = Counter(" ".join(row["input"].split()[:3]) for row in rows)
    assert openings.most_common(1)[0][1] < len(rows) / 8
