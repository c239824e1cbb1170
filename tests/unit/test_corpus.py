import ast
import json
import math
import re
from datetime import date, datetime
from random import Random

import pytest

from pipestill.pretraining.corpus import bands, mixture, programs, repeat, reports
from pipestill.pretraining.corpus.document import END_OF_TEXT, QUESTION
from pipestill.pretraining.corpus.mixture import FAMILIES, family_documents
from pipestill.tasks import TASKS, lexicon
from pipestill.tasks.creditmix.synthetic import LABELS, generate
from pipestill.tasks.idp.papers import READ, UNREAD

NAMES = [family.name for family in FAMILIES]


def turns(document) -> list[tuple[str, str]]:
    """Questions and answers of a chat document, read back from its text."""
    pattern = r"<\|im_start\|>user\n(.*?)<\|im_end\|>\n<\|im_start\|>assistant\n(.*?)<\|im_end\|>"
    return re.findall(pattern, document.text, re.S)


def all_turns(name: str, n: int = 400) -> list[tuple[str, str]]:
    found = [turn for document in family_documents(name, "test", n) for turn in turns(document)]
    assert len(found) > n / 2
    return found


@pytest.fixture(scope="module")
def sample() -> list:
    rng = Random("sample")
    weights = mixture.document_weights(lambda document: len(document.text))
    return [document for document, _ in zip(mixture.documents(rng, weights), range(20_000), strict=False)]


@pytest.mark.parametrize("name", NAMES)
def test_documents_depend_on_their_seed_alone(name):
    first = [document.text for document in family_documents(name, "one", 30)]
    assert first == [document.text for document in family_documents(name, "one", 30)]
    assert first != [document.text for document in family_documents(name, "two", 30)]
    assert all(
        document.family == name and any(s for _, s in document.segments)
        for document in family_documents(name, "one", 30)
    )


@pytest.mark.parametrize("name", NAMES)
def test_turns_are_those_of_the_text(name):
    for document in family_documents(name, "turns", 60):
        if document.text.startswith(QUESTION):
            assert list(document.turns) == turns(document)
        elif name != "pairs":
            assert not document.turns


def test_turns_of_pairs_are_those_of_the_text():
    guided = 0
    for document in family_documents("pairs", "turns", 200):
        if document.text.startswith(QUESTION):
            continue
        asked = [f"{question} {answer}" for question, answer in document.turns]
        assert "\n\n".join(asked) + END_OF_TEXT == document.text
        assert {answer for _, answer in document.turns} <= {"Yes", "No", "True", "False"}
        guided += "\n\n" in document.turns[0][0]
    assert guided > 20


def test_no_study_prompt_in_the_corpus_but_forms_of_sentence_pairs(sample):
    shared = [TASKS["mnli"].prompts[name].template for name in ("minimal", "gpt-3", "eval-harness")]
    prompts = [
        text
        for task in TASKS.values()
        for prompt in task.prompts.values()
        if prompt.template not in shared
        and (text := prompt.template.fill(dict.fromkeys((*task.inputs, "label"), "")).strip())
    ]
    assert len(prompts) > 4
    for prompt in prompts:
        assert not [document.text for document in sample if prompt in document.text]


def test_no_study_text_in_the_corpus(sample):
    record = re.compile(r"Age: .*?_payments")
    corpus = {text for document in sample for text in record.findall(document.text)}
    assert len(corpus) > 2000
    for seed in (0, 1, 2, 3, 42):
        rows, _ = generate(n=6000, seed=seed)
        assert not corpus & {row["question"] for row in rows}


def test_no_wording_of_business_papers_in_the_corpus():
    said = [turns(document) or [(document.text, "")] for document in family_documents("invoices", "test", 1500)]
    lines = {line for [(text, _), *_] in said for line in re.split(r"\n|\. | \| ", text)}
    wordings = [wording for paper in (*READ, *UNREAD) for line in paper.lines for wording in line]
    openings = {text for wording in wordings if len(text := wording.partition("{")[0]) > 4}
    assert len(openings) > 30
    assert not [(text, line) for text in openings for line in lines if line.startswith(text)]
    keys = set(TASKS["idp"].answers.schema.content["properties"])
    assert not any(json.loads(answer).keys() >= keys for _, answer in all_turns("json"))


def test_no_label_for_a_full_credit_record(sample):
    full = 0
    for document in sample:
        if "Payment Behaviour: " not in document.text:
            continue
        assert document.family in ("bands", "credit")
        for question, answer in turns(document):
            full += "Annual Income: " in question and "Occupation: " in question
            assert answer not in LABELS
            assert not re.search(r"credit mix|risk|classify", question, re.I)
        if document.family == "credit":
            assert not set(re.findall(r"\w+", document.text)) & set(LABELS)
    assert full > 500


def test_bands_and_grades_follow_from_the_number():
    checked = 0
    for document in family_documents("bands", "test", 600):
        record = turns(document)[0][0]
        for question, answer in turns(document):
            asked = question.replace(record, "") if question != record else record
            for field in (bands.DEBT, bands.INCOME):
                written = re.search(rf"{field.name}: ([\d.]+)", record)
                lines = [line for line in asked.split("\n") if field.name in line and ":" not in line.rstrip("?")]
                if not written or len(lines) != 1 or answer == written[1]:
                    continue
                share = math.log(float(written[1]) / field.low) / math.log(field.high / field.low)
                thirds = "low" if share < 1 / 3 else "medium" if share < 2 / 3 else "high"
                assert answer in (thirds, str(min(9, max(1, math.floor(share * 9) + 1))))
                checked += 1
    assert checked > 100


def test_json_answers_hold_the_listed_values():
    for question, answer in all_turns("json"):
        for key, value in json.loads(answer).items():
            assert key in lexicon.JSON_KEYS
            if value is None:
                assert not re.search(rf"\b{key}\b *(:|=|\||is)", question, re.I)
            else:
                assert (f"{value:.2f}" if isinstance(value, float) else str(value)) in question


def test_dates_and_amounts_are_normalised_rightly():
    months = {name[:3]: i for i, name in enumerate(lexicon.MONTHS, 1)} | {
        n: i for i, n in enumerate(lexicon.MONTHS_ES, 1)
    }
    seen = 0
    for question, answer in all_turns("dates"):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", answer):
            expected = date.fromisoformat(answer)
            numbers = sorted({int(n) for n in re.findall(r"\d+", question)})
            assert {expected.day, expected.year} <= set(numbers)
            named = [i for name, i in months.items() if re.search(rf"\b{name}", question)]
            assert expected.month in (named or numbers)
            seen += 1
        elif re.fullmatch(r"[\d.]+", answer):
            assert float(answer) == float(re.search(r"\d[\d,]*(\.\d+)?", question)[0].replace(",", ""))
    assert seen > 100
    assert datetime.strptime("28.02.1999", "%d.%m.%Y").date() == date(1999, 2, 28)


def test_answers_about_numbers_are_right():
    counts = dict.fromkeys(("larger", "smaller", "more", "limit", "order", "digits"), 0)
    for question, answer in all_turns("numbers"):
        values = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", question)]
        if "Who has" in question:
            names = re.findall(r"(\w+): \w+ \d", question)
            chosen = max if "larger" in question else min
            assert answer == names[values.index(chosen(values))]
        elif "larger" in question and "or" in question:
            assert float(answer) == max(values)
            counts["larger"] += 1
        elif "smaller" in question and "or" in question:
            assert float(answer) == min(values)
            counts["smaller"] += 1
        elif "more than" in question:
            assert answer == ("Yes" if values[0] > values[1] else "No")
            counts["more"] += 1
        elif "limit" in question:
            assert answer == ("above" if values[1] > values[0] else "below")
            counts["limit"] += 1
        elif "Order" in question:
            assert [float(n) for n in answer.split(", ")] == sorted(values, reverse="largest to smallest" in question)
            counts["order"] += 1
        else:
            assert int(answer) == len(str(int(values[0])))
            counts["digits"] += 1
    assert min(counts.values()) > 5


def interpret(plan: list[str], value):
    """Carry out a plan without the code that the corpus writes for it."""
    total = 0
    for step in plan:
        k = int(found[0]) if (found := re.findall(r"\d+", step)) else None
        match re.sub(r"\d+", "K", step):
            case "keep the values above K":
                value = [x for x in value if x > k]
            case "keep the values below K":
                value = [x for x in value if x < k]
            case "keep the even values":
                value = [x for x in value if not x & 1]
            case "keep the odd values":
                value = [x for x in value if x & 1]
            case "drop the values equal to K":
                value = [x for x in value if x != k]
            case "add K to each value":
                value = [x + k for x in value]
            case "multiply each value by K":
                value = [x * k for x in value]
            case "subtract K from each value":
                value = [x - k for x in value]
            case "square each value":
                value = [x**2 for x in value]
            case "take absolute values":
                value = [max(x, -x) for x in value]
            case "sort the values":
                value = sorted(value)
            case "sort from largest to smallest":
                value = sorted(value)[::-1]
            case "reverse the list" | "reverse the text":
                value = value[::-1]
            case "keep the first K values" | "keep the first K characters":
                value = value[:k]
            case "skip the first K values":
                value = value[k:]
            case "remove duplicates":
                value = [x for i, x in enumerate(value) if x not in value[:i]]
            case "make it lower case":
                value = value.lower()
            case "make it upper case":
                value = value.upper()
            case "strip spaces at both ends":
                value = value.strip()
            case "replace spaces by dashes":
                value = "-".join(value.split(" "))
            case "start with total K":
                total = k
            case "add each value to the total":
                total += sum(value)
            case "add each value above K to the total":
                total += sum(x for x in value if x > k)
            case "count the values equal to K":
                total += value.count(k)
            case "count the even values":
                total += sum(not x & 1 for x in value)
            case "add the square of each value":
                total += sum(x**2 for x in value)
            case "return the total":
                return total
            case "return the list" | "return the text":
                return value
            case "return the sum":
                return sum(value)
            case "return how many are left" | "return its length":
                return len(value)
            case "return the largest, or K if there is none":
                return sorted(value)[-1] if value else k
            case "return the smallest, or K if there is none":
                return sorted(value)[0] if value else k
            case "return the first value, or None":
                return next(iter(value), None)
            case "return its words as a list":
                return value.split()
            case "return the number of words":
                return len(value.split())
            case _:
                return value.count(re.fullmatch(r"return how often (\w) occurs", step)[1])
    raise AssertionError(plan)  # fmt: skip


def test_programs_do_what_their_plans_say():
    checked = 0
    for document in family_documents("code", "test", 400):
        for question, answer in turns(document):
            plan, source = (
                (question, answer) if answer.startswith("def ") else (answer, question[question.index("def ") :])
            )
            steps = re.findall(r"^\d+\. (.*)$", plan, re.M)
            tree = ast.parse(source)
            scope: dict = {}
            exec(compile(tree, "program", "exec"), scope)
            function = scope[tree.body[0].name]
            is_text = tree.body[0].args.args[0].arg == "text"
            for value in ["  Two words a ", "", "banana Bread"] if is_text else [[3, -8, 3, 12, 5, 0], [], [9]]:
                assert function(value) == interpret(steps, value), (steps, source)
                checked += 1
    assert checked > 500
    assert len(programs.STEPS) > 10


def test_a_negation_is_never_true_and_a_copy_always():
    seen = {"negated": 0, "same": 0}
    for document in family_documents("pairs", "test", 300):
        for (context, _), (answer, supervised) in zip(document.segments, document.segments[1:], strict=False):
            sentences = re.findall(r"(?:The|An?) [^.]*\.", context)[-2:]
            if not supervised or len(sentences) < 2:
                continue
            yes = answer.strip().removesuffix("<|im_end|>") in ("Yes", "True")
            assert yes or answer.strip().removesuffix("<|im_end|>") in ("No", "False")
            first, second = sentences
            if " not " in second:
                assert not yes
                seen["negated"] += 1
            if first == second:
                assert yes
                seen["same"] += 1
    assert min(seen.values()) > 10


def test_reports_answer_from_the_text_in_its_language():
    spanish = 0
    for question, answer in all_turns("reports"):
        if re.match(r"¿|Cuenta|Enumera", question):
            spanish += 1
        if "\n" in question and not answer.startswith("- ") and ": " not in answer:
            assert answer.lower() in question.lower()
    assert spanish > 20
    case = reports.draw_case(Random(3))
    assert case.diagnosis[0] in reports.brief(case, 0) and case.diagnosis[1] in reports.key_findings(case, 1)


def test_repeated_text_is_the_text_and_the_whole_lexicon_comes():
    said = set()
    for question, answer in all_turns("repeat", 3000):
        assert answer in question
        said |= set(re.split(r",? ", answer))
    known = set(repeat.words())
    assert len(said & known) / len(known) > 0.95
    assert set(lexicon.LABEL_WORDS) | set(LABELS) <= known


def test_sorted_and_changed_words_in_instructions_are_right():
    seen = 0
    for question, answer in all_turns("instructions"):
        text = question.partition(": ")[2]
        if question.startswith(("Sort by the alphabet", "Alphabetical order")):
            assert answer.split(", ") == sorted(text.split(", "))
            seen += 1
        elif question.startswith(("In capital", "Write in upper")):
            assert answer == text.upper()
            seen += 1
        elif question.startswith(("Words in reverse", "Backwards")):
            assert answer.split() == text.split()[::-1]
            seen += 1
    assert seen > 20
