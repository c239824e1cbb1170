"""A trained model's directory, wherever it lies, tells how the model is asked."""

import shutil

from pipestill.inference.target import find_target
from pipestill.io.records import write_jsonl
from pipestill.settings.models import HardwareConfig
from pipestill.settings.prompts import Prompt
from pipestill.training.files import Inputs
from pipestill.training.run import train
from support.models import make_directory
from support.training_job import make_settings, outputs_in


def test_a_copied_model_is_asked_with_the_prompt_that_it_was_trained_on(tmp_path):
    base, rows = make_directory(tmp_path / "results/models/base"), tmp_path / "rows.jsonl"
    write_jsonl(rows, [{"id": str(n), "input": f"Age: {n}.0 mix:", "output": " fine"} for n in range(8)])
    prompt = Prompt(text="{features} mix:", render="raw", verbalizers={"Good": "fine"})
    settings = make_settings("sft", adaptation="full", max_steps=1, evaluations=1)
    settings = settings.model_copy(update={"prompt": prompt, "hardware": HardwareConfig(device="cpu")})
    outputs = outputs_in(tmp_path / "run")
    train(settings, Inputs(rows, rows, base), outputs, 1, threads=1)
    copied = tmp_path / "elsewhere"
    shutil.copytree(outputs.model, copied)
    assert find_target(str(copied), tmp_path / "results", "creditmix").settings.asking.prompt == prompt
