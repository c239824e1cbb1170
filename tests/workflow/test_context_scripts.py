"""In-context learning and context distillation of a text task, job by job, with the settings that the plan gives."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from pipestill.inference.loaded import load
from pipestill.io.files import read_json
from pipestill.io.records import Record, of_split, read_jsonl, write_jsonl
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.plan.check import check
from pipestill.plan.plan import Plan
from pipestill.settings.jobs import ContextOutputSettings
from pipestill.tasks import TASKS
from pipestill.teacher.context_outputs import write_context_outputs
from pipestill.teacher.outputs import Places
from support.models import CPU
from support.scripts import Script

ROOT = Path(__file__).parents[2]
GUIDELINE = "Answer with one word."
TASK = TASKS["dolly"]


def made_plan(**options):
    """The default with few rows and steps, `icl` and `cd` in `dolly`, and a guideline that the student never reads."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    context = {"teacher_context": "instruction", "instruction": GUIDELINE, "temperature": 1.0} | options
    config["studies"]["dolly"] |= {
        "compress": {},
        "methods": ["base", "icl", "cd"],
        "train_rows": 12,
        "icl": {"shots": 2, "seeds": [4, 7], "max_tokens": 400},
        "answers": {"max_new_tokens": 5},
        "distributions": {"codec": "full"},
        "training": {"max_length": 160, "max_steps": 6, "batch_size": 4, "learning_rate": 0.005},
        "overrides": {"cd": {"context": context}},
    }
    return Plan(check(config), ROOT)


def run(name, **options):
    """A script with its options, to its end."""
    arguments = []
    for option, value in options.items():
        arguments += [f"--{option.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    process = Script(name, *arguments)
    assert process.wait() == 0, process.said()


def some_records():
    found = []
    for split, count in (("train", 14), ("validation", 4), ("test", 6)):
        for number in range(count):
            text = f"Age: {number}.0" if number % 2 else ""
            inputs = {"instruction": f"Name the {split} {number}", "input": text}
            test_set = TASK.layout.names[number % 2] if split == "test" else None
            prompt = TASK.prompts["answer"].fill(inputs)
            target = f"{('Good', 'Bad')[number % 2]} {number}"
            found.append(Record(f"{split}{number}", split, inputs, target, [target], test_set, prompt))
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory, tiny_model_dir):
    """What the jobs leave."""
    place, plan, base = tmp_path_factory.mktemp("results"), made_plan(), tiny_model_dir
    records, stored = place / "cropped.jsonl", place / "context"
    write_jsonl(records, [record.row() for record in some_records()])
    for file in ("sft", "cd"):
        rows = {"train": place / f"{file}.jsonl", "validation": place / f"validation_{file}.jsonl"}
        method = "base" if file == "sft" else "cd"
        settings = plan.training_file_settings("dolly", file)
        assert ("context" in settings) and (method == "base" or GUIDELINE in settings)
        run("training_file", settings=settings, records=records, learner=base, **rows)
    data = [place / "cd.jsonl", place / "validation_cd.jsonl"]
    shard = f"{stored}/shard_0.safetensors"
    run(
        "teacher_distributions_shard",
        **{"settings": plan.capture_settings("dolly", "context"), "data": data, "base": base, "student": base},
        **{"shard": 0, "shards": 1, "state": f"{shard}.state", "output": shard, "facts": f"{stored}/shard_0.json"},
        cost=f"{stored}/shard_0_cost.json",
    )
    manifest = stored / "manifest.json"
    run("teacher_distributions", facts=[f"{stored}/shard_0.json"], output=manifest)
    run("context_accuracy", manifest=manifest, data=data[0], student=base, output=stored / "accuracy.json")
    run(
        "train",
        **{"settings": plan.training_settings("dolly", "cd"), "data": data[0], "validation": data[1], "base": base},
        **{"distributions": manifest, "seed": 1, "state": place / "model.state", "output": place / "model"},
        **{"cost": place / "cost.json", "memory": place / "memory.jsonl"},
    )
    common = {"records": records, "base": base}
    asked = plan.prediction_settings("dolly", "icl")
    run("predict", settings=asked, seeds=[4, 7], demonstrations=place / "sft.jsonl", **common,
        state=place / "icl.state", output=place / "icl")  # fmt: skip
    asked = plan.prediction_settings("dolly", "cd")
    run("predict", settings=asked, seeds=[1], models=[place / "model"], **common,
        state=place / "cd.state", output=place / "cd")  # fmt: skip
    return place


def test_the_guideline_is_read_by_the_teacher_alone(tree):
    rows = read_jsonl(tree / "cd.jsonl")
    assert len(rows) == 12
    for row in rows:
        assert row["question"] == row["input"] and row["answer"] == row["output"] and row["demonstrations"] == []
        assert GUIDELINE not in json.dumps(row)


@torch.no_grad()
def test_training_begins_at_the_divergence_from_the_model_with_its_guideline(tree, tiny_model_dir):
    """Of the student's own base model; against whole passes in float64. What is learnt comes nearer to it."""
    rows = read_jsonl(tree / "validation_cd.jsonl")

    def divergence(student):
        tokenizer, total, tokens = load_tokenizer(tiny_model_dir), 0.0, 0
        teacher = load_base_model(tiny_model_dir, CPU).eval().double()
        for row in rows:
            answer = [*tokenizer.encode(row["output"], add_special_tokens=False), tokenizer.eos_token_id]
            log_probs = []
            for model, text in ((teacher, f"{GUIDELINE}\n{row['input']}"), (student, row["input"])):
                message = [{"role": "user", "content": text}]
                prompt = tokenizer.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
                ids = tokenizer.encode(prompt, add_special_tokens=False) + answer
                log_probs.append(model(torch.tensor([ids])).logits[0, -len(answer) - 1 : -1].log_softmax(-1))
            total += float((log_probs[0].exp() * (log_probs[0] - log_probs[1])).sum())
            tokens += len(answer)
        return total / tokens

    history = [row for row in read_jsonl(tree / "model/history.jsonl") if "eval_divergence" in row]
    trained = load(tree / "model", None, CPU).model.double()
    assert history[-1]["eval_divergence"] == pytest.approx(divergence(trained), rel=1e-4)
    assert divergence(trained) < divergence(load_base_model(tiny_model_dir, CPU).eval().double())
    assert history[-1]["eval_loss"] == pytest.approx(history[-1]["eval_divergence"])


def test_how_often_the_teacher_is_right_is_a_file(tree):
    found = read_json(tree / "context/accuracy.json")
    assert found["rows"] == 12 and 0 <= found["first"] <= 1 and 0 <= found["tokens"] <= 1


def test_texts_are_answered_behind_demonstrations_of_each_seed(tree):
    tested = [record.id for record in of_split(some_records(), "test")]
    pool, shown = {row["id"] for row in read_jsonl(tree / "sft.jsonl")}, []
    for seed in (4, 7):
        context = read_json(tree / f"icl/seed_{seed}/context.json")
        assert context["read"] == 2 and set(context["ids"]) <= pool
        shown.append(context["ids"])
        rows = read_jsonl(tree / f"icl/seed_{seed}/predictions.jsonl")
        assert {row["id"] for row in rows} == set(tested)
    assert shown[0] != shown[1]


def test_the_distilled_student_is_asked_without_a_context(tree):
    assert not (tree / "cd/seed_1/context.json").exists()
    assert read_json(tree / "cd/job.json")["settings"]["context"] is None
    queries = {name: read_json(tree / name / "queries.json") for name in ("cd/seed_1", "icl/seed_4")}
    assert queries["cd/seed_1"]["prompt_tokens"] < queries["icl/seed_4"]["prompt_tokens"]


@pytest.fixture(scope="module")
def taught(tmp_path_factory, tiny_model_dir):
    """What the jobs leave up to the training file, where the teacher's own answers behind demonstrations are learnt."""
    place, plan = (
        tmp_path_factory.mktemp("taught"),
        made_plan(teacher_context="demonstrations", shots=2, answers="teacher"),
    )
    write_jsonl(place / "cropped.jsonl", [record.row() for record in some_records()])
    common = {"records": place / "cropped.jsonl"}
    files = {"state": place / "said.state", "output": place / "said.jsonl", "cost": place / "cost.json"}
    run("context_outputs", settings=plan.context_output_settings("dolly"), base=tiny_model_dir, **common, **files)
    rows = {"train": place / "cd.jsonl", "validation": place / "validation.jsonl", "learner": tiny_model_dir}
    settings = plan.training_file_settings("dolly", "cd")
    run("training_file", settings=settings, outputs=place / "said.jsonl", **common, **rows)
    return place


@torch.no_grad()
def test_a_teacher_answers_each_row_behind_the_demonstrations_of_the_row(taught, tiny_model_dir):
    """Token by token, the likeliest one each time, from whole passes."""
    model, tokenizer = load_base_model(tiny_model_dir, CPU).eval(), load_tokenizer(tiny_model_dir)
    rows = {row["id"]: row for row in read_jsonl(taught / "cd.jsonl")}
    target = {record.id: record.target for record in some_records()}
    assert len(rows) == 12
    for row in rows.values():
        assert row["id"] not in row["demonstrations"] and len(row["demonstrations"]) == 2
        turns = [text for name in row["demonstrations"] for text in (rows[name]["input"], target[name])]
        turns = [f"{GUIDELINE}\n{turns[0]}", *turns[1:], row["input"]]
        messages = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
        text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids, answer = tokenizer.encode(text, add_special_tokens=False), []
        while len(answer) < 5 and (not answer or answer[-1] != tokenizer.eos_token_id):
            answer.append(int(model(torch.tensor([ids + answer])).logits[0, -1].argmax()))
        said = tokenizer.decode(answer, skip_special_tokens=True).strip()
        assert row["output"] == row["answer"] == said != target[row["id"]]
    held_out = read_jsonl(taught / "validation.jsonl")
    assert [row["output"] for row in held_out] == [target[row["id"]] for row in held_out]


def test_prompts_without_gold_outputs_are_asked_about_alone(tmp_path, tiny_model_dir):
    plan = made_plan(teacher_context="demonstrations", shots=2)
    records, asked = tmp_path / "cropped.jsonl", tmp_path / "unlabelled.jsonl"
    write_jsonl(records, [record.row() for record in some_records()])
    inputs = [{"instruction": f"Say {number}", "input": ""} for number in range(3)]
    write_jsonl(asked, [Record(f"u{n}", "train", each, "", []).row() for n, each in enumerate(inputs)])
    settings = ContextOutputSettings.model_validate_json(plan.context_output_settings("dolly"))
    said = tmp_path / "said.jsonl"
    places = Places(records, tiny_model_dir, None, tmp_path / "state", said, tmp_path / "cost.json")
    write_context_outputs(settings, places, 1, unlabelled=asked)
    assert {row["id"]: len(row["outputs"]) for row in read_jsonl(said)} == {"u0": 1, "u1": 1, "u2": 1}
