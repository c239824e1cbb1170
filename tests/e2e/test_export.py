"""Exported models answer alike with transformers alone."""

import json
import re
import sys

import pytest
import scipy.optimize  # noqa: F401 (the command hides it from a process that has not imported it)
import torch

from pipestill.cli import main
from pipestill.inference.loaded import load, prepare
from pipestill.inference.target import find_experiment
from pipestill.io.files import verify_sha256sums
from pipestill.io.records import of_split, read_records
from pipestill.models.kinds import CLASSIFIER, KINDS, kind_of
from pipestill.models.prompts import encode_label, encode_whole
from pipestill.models.rows import masked_row

EXPORTED = {  # by the kind of model and of training
    "creditmix_teacher": [[]],  # a causal model, all weights
    "creditmix_bitfit": [[]],
    "creditmix_sft": [[], ["--merge"]],  # an adapter
    "creditmix_dpo": [[], ["--merge"]],  # an adapter on merged weights
    "creditmix_vanilla": [[], ["--merge"]],  # a classifier's head in an adapter
    "multiclinsum-t5_kd": [[], ["--merge"]],
    "mnli-bert_sft": [[], ["--merge"]],
    "dolly_todi": [[], ["--merge"]],
    "dolly_narrow": [[]],  # compressed students
    "dolly_int3-qat": [[]],
}
WHOLE = ("creditmix_teacher", "creditmix_bitfit", "dolly_narrow", "dolly_int3-qat")  # exported with all weights


def export(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["pipestill", "export", *map(str, arguments)])
    main()


def asked(loaded, asking, text):
    """Tokens that the pipeline's model reads of a question, with what stands behind it."""
    prompt = asking.prompt.fill(text)
    encoder, kind = loaded.encoder(asking.prompt), kind_of(loaded.model.config)
    if kind == CLASSIFIER:
        return prompt, encode_whole(encoder, prompt, asking.max_prompt_tokens)
    tokens = encoder(prompt, asking.max_prompt_tokens)
    if kind == "masked":
        return prompt, masked_row(loaded.tokenizer, tokens, encode_label(loaded.tokenizer, " Yes"))["input_ids"]
    return prompt, tokens


@torch.inference_mode()
def logits(model, tokens):
    read = {"input_ids": torch.tensor([tokens])}
    if model.config.is_encoder_decoder:
        read["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id, 5, 9]])
    return model(**read).logits


@pytest.mark.parametrize(("name", "options"), [(name, each) for name, all in EXPORTED.items() for each in all])
def test_an_exported_model_answers_alike(run, tmp_path, monkeypatch, capsys, name, options):
    import transformers

    results, directory = run / "results", tmp_path / "exported"
    target = find_experiment(name, results)
    export(monkeypatch, name, "--results", results, "--to", directory, *options)
    loaded = load(target.base, target.model, prepare(target.settings, 1))
    kind = kind_of(loaded.model.config)
    model = getattr(transformers, KINDS[kind].auto_class).from_pretrained(directory).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    said = list(map(json.loads, (target.run / "predictions.jsonl").read_text().splitlines()))
    asked_about = of_split(read_records(results / "data" / target.task.name / "cropped.jsonl"), "test")
    records = {record.id: record for record in asked_about}
    for row in [row for row in said if row["id"] in records][:3]:
        prompt, tokens = asked(loaded, target.settings.asking, records[row["id"]].inputs)
        read = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        assert read["input_ids"][0].tolist() == tokens
        torch.testing.assert_close(logits(model, tokens), logits(loaded.model, tokens), rtol=0, atol=1e-4)
        if target.task.name == "multiclinsum":
            written = model.generate(**read)[0]
            assert tokenizer.decode(written, skip_special_tokens=True).strip() == row["prediction"]
    assert verify_sha256sums(directory) and (directory / "adapter_model.safetensors").exists() == (
        not options and name not in WHOLE
    )
    card = (directory / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and str(results) not in card
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    exec(re.search(r"```python\n(.*?)```", card, re.S)[1], {})
    assert capsys.readouterr().out.endswith("\n")
