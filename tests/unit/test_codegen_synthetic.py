"""The generator of programs to write."""

import ast
from itertools import pairwise
from random import Random

import pytest

from pipestill.layouts.raw import read_rows
from pipestill.layouts.reading import read_examples
from pipestill.pretraining.corpus.mixture import family_documents
from pipestill.tasks import TASKS
from pipestill.tasks.codegen.chains import chain
from pipestill.tasks.codegen.drafts import Draft
from pipestill.tasks.codegen.examples import TESTS, argument, results
from pipestill.tasks.codegen.loops import loop, recursion
from pipestill.tasks.codegen.steps import STEPS
from pipestill.tasks.codegen.synthetic import FAMILIES, generate, held_out

TASK = TASKS["codegen"]
SIZES = {"train": 420, "seen": 42, "unseen": 42, "humaneval": 21, "mbpp": 21}


@pytest.fixture(scope="module")
def rows():
    return generate(SIZES, seed=3)[0]


def text_of(row):
    return row.get("text") or row["prompt"]


def test_rows_depend_on_the_seed_alone_and_test_rows_not_on_training_rows(rows):
    again, facts = generate(SIZES | {"train": 14}, seed=3)
    assert {role: again[role] for role in SIZES if role != "train"} == {
        role: rows[role] for role in SIZES if role != "train"
    }
    assert again["train"] == rows["train"][:14]
    assert facts["rows_by_family"]["seen"] == dict.fromkeys(sorted(FAMILIES), 6)
    assert generate({"train": 14}, seed=4)[0]["train"] != rows["train"][:14]


def test_no_two_rows_ask_the_same(rows):
    asked = [text_of(row) for role in rows for row in rows[role]]
    assert len(set(asked)) == len(asked)


def test_gold_solutions_pass_and_tests_notice_every_missing_line(rows):
    for row in rows["train"] + rows["unseen"]:
        assert passes(row["code"], row["test_list"])
        lines = row["code"].splitlines()
        assert len(row["test_list"]) == TESTS
        for place in range(1, len(lines)):
            assert not passes("\n".join(lines[:place] + lines[place + 1 :]), row["test_list"])


def passes(source, tests):
    space = {}
    try:
        exec("\n".join([source, *tests]), space)
    except Exception:
        return False
    return True


def test_texts_name_the_function_and_its_arguments(rows):
    for row in rows["train"] + rows["seen"] + rows["unseen"]:
        function = ast.parse(row["code"]).body[0]
        arguments = ", ".join(each.arg for each in function.args.args)
        assert f"{function.name}({arguments})" in row["text"]
    for row in rows["mbpp"]:
        assert ast.parse(row["code"]).body[0].name not in row["text"]


def test_parameters_stand_in_the_texts(rows):
    """A literal that no text names cannot be guessed."""
    for row in rows["train"]:
        for node in ast.walk(ast.parse(row["code"])):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in ("", " ", "aeiou"):
                assert f'"{node.value}"' in row["text"]
            elif isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value > 2:
                assert str(node.value) in row["text"] or node.value == 10


def drafts(n=3000):
    rng = Random("drafts")
    return [draw(rng) for draw in FAMILIES.values() for _ in range(n // len(FAMILIES))]


def test_combinations_of_unseen_are_in_no_training_row():
    pairs = {True: set(), False: set()}
    for draft in drafts():
        pairs[held_out(draft)] |= set(pairwise(draft.parts))
    assert len(pairs[True] - pairs[False]) > 40
    held = {pair for pair in pairs[True] if held_out(Draft(pair, {}, (), ()))}
    assert held and not held & pairs[False]
    share = len(held) / len(pairs[True] | pairs[False])
    assert 0.15 < share < 0.35


def test_every_step_is_used_and_fits_what_stands_before_it():
    rng, used = Random(1), set()
    draw = chain(STEPS, STEPS, STEPS)
    by_name = {step.name: step for step in STEPS}
    assert len(by_name) == len(STEPS)
    for _ in range(2000):
        parts = draw(rng).parts
        used |= set(parts)
        assert len(set(parts)) == 3
        assert all(by_name[one].gives == by_name[other].takes for one, other in pairwise(parts))
    assert used == set(by_name)


def test_steps_take_their_own_kind():
    rng = Random(2)
    for step in STEPS:
        lines = f"def f(v, k):\n    return {step.code.format(x='v', k='k')}"
        calls = [{"v": argument(rng, step.takes), "k": argument(rng, step.gap or "length")} for _ in range(20)]
        found = results(lines, "f", calls)
        kinds = {"numbers": list, "words": list, "text": str, "table": dict, "number": int}
        assert found and {type(each) for each in found} == {kinds[step.gives]}


@pytest.mark.parametrize("draw", [loop, recursion])
def test_loops_and_recursion_have_two_parts(draw):
    rng = Random(5)
    found = {draw(rng).parts for _ in range(600)}
    assert all(len(parts) == 2 for parts in found) and len(found) > 20


def test_no_text_is_in_the_pretraining_corpus(rows):
    questions = {question for document in family_documents("code", "overlap", 3000) for question, _ in document.turns}
    lines = {line for question in questions for line in question.splitlines()}
    asked = {text_of(row) for role in rows for row in rows[role]}
    assert len(questions) > 1000 and not asked & (questions | lines)


def test_all_roles_are_read(rows, tmp_path):
    for role, given in rows.items():
        reading = read_examples(TASK, enumerate(given, 1), None if role == "train" else role)
        assert len(reading.records) == SIZES[role] and not reading.bad
        assert {record.subset for record in reading.records} == set(FAMILIES)


def test_rows_can_be_read_from_files(rows, tmp_path):
    from pipestill.io.records import write_jsonl

    write_jsonl(tmp_path / "mbpp.jsonl", rows["mbpp"])
    reading = read_examples(TASK, read_rows(tmp_path / "mbpp.jsonl"))
    assert [record.target for record in reading.records] == [row["code"] for row in rows["mbpp"]]
