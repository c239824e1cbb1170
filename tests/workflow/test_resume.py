"""Training jobs that are killed, and called again, give the bytes of a job that was not."""

import functools
import json
import math
import random
import shutil
import signal
import time

import pytest
import torch

from pipestill.inference.generation import generate
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_base_model, load_tokenizer
from pipestill.models.prompts import encode_prompt
from pipestill.settings.generation import GenerationConfig
from pipestill.tasks import TASKS
from support.distributions import capture as capture_distributions
from support.models import make_directory
from support.training_scripts import Job, write_training_files


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_training_files(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_model_dir, data):
    """A function that gives the finished job of a method; each runs once."""

    @functools.cache
    def run(method, adaptation):
        job = Job(tmp_path_factory.mktemp("whole") / "study_sft", tiny_model_dir, data, method, adaptation)
        assert "18/18 steps" in job.finish()
        return job

    return run


@pytest.mark.parametrize(
    ("method", "adaptation", "how"),
    [
        ("sft", "lora", "kill twice"),
        ("sft", "full", "terminate"),
        ("dpo", "lora", "kill"),
        ("dpo", "full", "tear"),
        ("stepwise", "lora", "kill"),
        ("vanilla", "lora", "kill"),
        ("bitfit", "biases", "kill"),
    ],
)
def test_an_interrupted_job_gives_the_bytes_of_an_uninterrupted_one(
    tmp_path, tiny_model_dir, data, uninterrupted, method, adaptation, how
):
    whole = uninterrupted(method, adaptation)
    broken = Job(tmp_path, tiny_model_dir, data, method, adaptation)
    draw = random.Random(f"{method} {adaptation}")
    kills = 0
    for after in (draw.randint(0, 5), draw.randint(7, 11)) if how == "kill twice" else (draw.randint(4, 9),):
        code = broken.interrupt(after, draw.uniform(0, 0.05), signal.SIGTERM if how == "terminate" else signal.SIGKILL)
        assert code == (143 if how == "terminate" else -signal.SIGKILL)
        assert not broken.output.exists()
        spent = broken.spend(1000)
        kills += 1
    steps = broken.steps()
    if how == "tear":
        assert len(steps) == 2, "kills later than the second checkpoint"
        with open(broken.state / "checkpoints" / f"{steps[-1]:08}" / "optimizer.pt", "r+b") as file:
            file.truncate(1000)
    said = broken.finish()
    assert f"resuming at step {steps[0] if how == 'tear' else steps[-1]}\n" in said
    assert ("passing over an incomplete checkpoint" in said) == (how == "tear")
    assert broken.digests() == whole.digests()
    weights = "adapter_model.safetensors" if adaptation == "lora" else "model.safetensors"
    assert {weights, "history.jsonl"} <= {path.name for path in broken.output.iterdir()}

    memory = list(map(json.loads, broken.memory.read_text().splitlines()))
    assert [row["step"] for row in memory] == list(range(1, 19))  # of all attempts, each once
    earlier, now = (json.loads(job.cost.read_text()) for job in (whole, broken))
    assert now["cpu_s"] > spent > 1000 * kills  # all attempts are counted
    assert now["tokens"] >= earlier["tokens"]
    assert not list(broken.state.glob("checkpoints"))


UNSTEADY = dict(learning_rate=0.05, schedule="constant", max_steps=14, evaluations=7)  # the loss rises now and then
STEEP = UNSTEADY | {"learning_rate": 0.07}


def test_the_weights_of_the_best_evaluation_survive_a_kill_too(tmp_path, tiny_model_dir, data):
    whole, broken, last = (
        Job(tmp_path / select / name, tiny_model_dir, data, "sft", "full", select=select, **STEEP)
        for select, name in (("loss", "whole"), ("loss", "broken"), ("last", "whole"))
    )
    whole.finish()
    losses = {row["step"]: row["eval_loss"] for row in whole.history() if "eval_loss" in row}
    best = min(losses, key=losses.get)
    assert best < 14
    assert json.loads((whole.output / "selection.json").read_text())["step"] == best
    assert broken.interrupt(best - 1, 0, signal.SIGKILL) == -signal.SIGKILL
    assert f"the result has the weights of step {best}" in broken.finish()
    assert broken.digests() == whole.digests()
    assert not list(broken.state.glob("candidates"))
    last.finish()
    assert last.history() == whole.history()
    assert (last.output / "model.safetensors").read_bytes() != (whole.output / "model.safetensors").read_bytes()


def test_the_best_answers_decide_also_of_a_job_that_is_killed_while_it_answers(tmp_path, tiny_model_dir, data):
    generation = {"sampling": True, "sampling_seeds": [1, 2]}
    prompt = TASKS["dolly"].prompts["answer"].model_dump()
    asking = {"task": "dolly", "prompt": prompt, "max_prompt_tokens": 250, "max_new_tokens": 6, "answers": generation}
    more = {"selection": asking}
    whole, broken = (
        Job(
            tmp_path / name,
            tiny_model_dir,
            data,
            "sft",
            "full",
            more,
            select="metric",
            keep_best=3,
            selection_rows=5,
            **UNSTEADY,
        )
        for name in ("whole", "broken")
    )
    whole.finish()
    selection = json.loads((whole.output / "selection.json").read_text())
    best = max(selection["candidates"], key=lambda row: row["rouge_l"])
    assert len(selection["candidates"]) == 3
    assert selection["step"] == best["step"]
    assert best["rouge_l"] > min(row["rouge_l"] for row in selection["candidates"])

    process = broken.start()
    while process.poll() is None and not list(broken.state.glob("answers/*/*/answers.jsonl")):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    broken.finish()
    assert broken.digests() == whole.digests()

    # The model on disk gives the answers that it was chosen for.
    rows = [json.loads(line) for line in (data / "validation_sft.jsonl").read_text().splitlines()]
    rows = [rows[number] for number in (0, 1, 2, 4, 5)]  # 5 of 7, spread evenly
    plan = HardwarePlan("cpu")
    model, tokenizer = load_base_model(whole.output, plan), load_tokenizer(whole.output)
    keys = [f"{seed}/{number}" for number in range(5) for seed in (1, 2)]
    prompts = [encode_prompt(tokenizer, row["input"]) for row in rows for _ in (1, 2)]
    config = GenerationConfig.model_validate(generation)
    answers = dict(
        answer
        for batch in generate(model, tokenizer, prompts, max_new_tokens=6, decoding=config, keys=keys)
        for answer in batch
    )
    score = TASKS["dolly"].answers.measure.functions.one
    scores = [score(answers[index].text, [rows[index // 2]["output"]]) for index in range(10)]
    assert sum(scores) / 10 == pytest.approx(best["rouge_l"])


@pytest.mark.parametrize("source", ["online", "cached"])
def test_a_job_with_a_teacher_that_was_killed_gives_the_same_bytes(tmp_path, tiny_model_dir, data, source):
    """Its log has what the teacher adds; the teacher's weights are not those of the student, and not its business."""
    teacher = make_directory(tmp_path / "teacher", seed=9)
    options = ["--teacher-base", teacher]
    if source == "cached":
        options = ["--distributions", capture(tmp_path / "distributions", tiny_model_dir, teacher, data)]
    more = {"options": {"teacher": source, "temperature": 2.0}}
    whole, broken = (
        Job(tmp_path / name, tiny_model_dir, data, "todi", "lora", more, epochs=2) for name in ("whole", "broken")
    )
    for job in (whole, broken):
        job.command += options
    whole.finish()
    assert broken.interrupt(4, 0, signal.SIGKILL) == -signal.SIGKILL
    assert "resuming at step" in broken.finish()
    assert broken.digests() == whole.digests()
    assert {"step", "epoch", "eval_loss", "eval_cross_entropy", "eval_divergence", "eval_kl", "eval_agreement"} in [
        set(row) for row in whole.history()
    ]
    log = (whole.output / "train.log").read_text().splitlines()
    assert len(log) == len(whole.history())
    assert log[0].startswith("step 1/12: loss ")


def capture(directory, student, teacher, data, rows="sft", **context):
    """The manifest of what a teacher says about all rows."""
    files = [data / f"{split}_{rows}.jsonl" for split in ("train", "validation")]
    return capture_distributions(directory, files, teacher, student, k=40, temperature=2.0, max_length=256, **context)


def test_a_student_of_a_context_that_was_killed_gives_the_same_bytes(tmp_path, tiny_model_dir, data):
    """Its teacher is the student's own base model, with a guideline and up to two rows before each question."""
    context = {"prompt": {"text": "{features}?"}, "seed": 1, "shots": 2, "instruction": "Tell the mix."}
    manifest = capture(tmp_path / "context", tiny_model_dir, tiny_model_dir, data, "cd", context=context)
    more = {"options": {"temperature": 2.0}}
    whole, broken = (
        Job(tmp_path / name, tiny_model_dir, data, "cd", "full", more, epochs=2) for name in ("whole", "broken")
    )
    for job in (whole, broken):
        job.command += ["--distributions", manifest]
    whole.finish()
    losses = [row["eval_divergence"] for row in whole.history() if "eval_divergence" in row]
    assert losses[-1] < losses[0]
    assert broken.interrupt(4, 0, signal.SIGKILL) == -signal.SIGKILL
    assert not broken.output.exists()
    assert "resuming at step" in broken.finish()
    assert broken.digests() == whole.digests()


def test_a_compressed_student_that_was_killed_gives_the_same_bytes(tmp_path, tiny_model_dir, data, uninterrupted):
    """It learns from the student that it is made of, in 4 bits; half of the weights of that are zero, and stay so."""
    parent = uninterrupted("sft", "lora").output
    compression = {
        "prune": {"kind": "magnitude", "amount": 0.5},
        "quantize": {"scheme": "int4", "group": 8, "qat": True},
    }
    more = {"options": {"teacher": "online"}, "teacher_adaptation": "lora"}
    whole, broken = (
        Job(tmp_path / name, tiny_model_dir, data, "fkl", "full", more, compression, epochs=2)
        for name in ("whole", "broken")
    )
    for job in (whole, broken):
        job.command += ["--init", parent, "--teacher-base", tiny_model_dir, "--teacher", parent]
    whole.finish()
    losses = [row["eval_loss"] for row in whole.history() if "eval_loss" in row]
    assert losses[-1] < losses[0]
    assert broken.interrupt(4, 0, signal.SIGKILL) == -signal.SIGKILL
    assert "resuming at step" in broken.finish()
    without_path = [digests.replace("lineage.json", "") for digests in (whole.digests(), broken.digests())]
    assert without_path[0] == without_path[1]
    model = load_base_model(whole.output, HardwarePlan("cpu"))
    zeros = [layer.weight == 0 for layer in model.model.layers.modules() if isinstance(layer, torch.nn.Linear)]
    assert zeros
    assert all(float(each.float().mean()) >= 0.49 for each in zeros)
    assert json.loads((whole.output / "compression.json").read_text())["quantize"]["scheme"] == "int4"


def test_a_student_that_is_only_rounded_is_not_trained(tmp_path, tiny_model_dir, data):
    rounded = Job(
        *(tmp_path, tiny_model_dir, data, "sft", "full"), compression={"quantize": {"scheme": "int8"}, "prune": None}
    )
    settings = json.loads(rounded.command[1]) | {"trains": False}
    rounded.command[1] = json.dumps(settings)
    assert "steps" not in rounded.finish()
    assert not (rounded.output / "history.jsonl").exists()
    own, before = (load_base_model(path, HardwarePlan("cpu")) for path in (rounded.output, tiny_model_dir))
    first, second = (each.model.layers[0].self_attn.q_proj.weight.detach() for each in (own, before))
    assert 0 < float((first - second).abs().max()) <= float(second.abs().max()) / 127


def test_dpo_from_an_sft_student_starts_at_log_2(tiny_model_dir, data, uninterrupted):
    """Its adapter is merged first, so that policy and reference are the SFT student."""
    sft = uninterrupted("sft", "lora")
    place = sft.output.parent.parent / "study_dpo"
    dpo = Job(place, tiny_model_dir, data, "dpo", "lora", max_steps=2, init="sft")
    dpo.command += ["--init", sft.output]
    dpo.finish()
    assert dpo.history()[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    lineage = json.loads((dpo.output / "lineage.json").read_text())
    assert [entry["path"] for entry in lineage["merged"]] == ["../../study_sft/model"]


def test_a_finished_job_is_given_back_and_changed_settings_start_over(tiny_model_dir, data, uninterrupted):
    job = uninterrupted("sft", "lora")
    digests, before = job.digests(), json.loads(job.cost.read_text())
    shutil.rmtree(job.output)  # as Snakemake does with the outputs of a job whose end it did not see
    job.cost.unlink()
    assert "steps" not in job.finish()
    assert job.digests() == digests
    assert json.loads(job.cost.read_text()) == before
    other = Job(job.output.parent, tiny_model_dir, data, "sft", "lora", max_steps=4)
    said = other.finish()
    assert "settings.training.max_steps changed): starting over" in said
    assert "4/4 steps" in said
    assert other.digests() != digests


def test_bad_data_is_one_line_and_comes_before_the_work(tmp_path, tiny_model_dir, data):
    job = Job(tmp_path, tiny_model_dir, data, "dpo", "lora")
    broken = tmp_path / "rows.jsonl"
    broken.write_text('{"prompt": "a", "chosen": "b"}\n')
    job.command[job.command.index("--data") + 1] = broken
    process = job.start()
    assert process.wait(60) == 1
    assert process.said() == f"error: {broken}, line 1: `rejected` is missing; the keys are prompt, chosen\n"
