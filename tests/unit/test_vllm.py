"""The engine vLLM, against a stand-in for its program that is started, asked over HTTP and ended."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from pipestill.annotation import annotate as annotation
from pipestill.annotation.local_server import LocalModel
from pipestill.errors import UserError
from pipestill.inference import generation
from pipestill.inference.engines import server
from pipestill.inference.experiment import Runs, predict_experiment
from pipestill.io.files import read_json
from pipestill.io.records import Record, read_jsonl, write_jsonl
from pipestill.job import programs
from pipestill.models.loading import load_tokenizer, load_trained_model
from pipestill.models.prompts import encode_prompt
from pipestill.plan.check import check
from pipestill.plan.engine_checks import engine_problems
from pipestill.settings.jobs import OutputSettings, PredictionSettings
from pipestill.teacher.outputs import Places, write_teacher_outputs
from support.annotation import ASK, settings, write_records
from support.asking import asking_about
from support.models import CPU, make_adapter
from support.vllm import VERSION, installed
from support.workflow import ROOT

COMMON = {"adaptation": "full", "hardware": {"device": "cpu"}, "code": "1"}
LIMITS = {"max_prompt_tokens": 300, "max_new_tokens": 6}
ROWS = 5


@pytest.fixture
def vllm(tmp_path, monkeypatch):
    return installed(tmp_path / "vllm", monkeypatch)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    rows = []
    for number in range(ROWS):
        inputs = {"instruction": f"Name {number}{' of the things' * (number % 3)}", "input": ""}
        rows.append(Record(f"r{number}", "test", inputs, "Good", ["Good"], "dolly", "?"))
    path = tmp_path_factory.mktemp("data") / "cropped.jsonl"
    write_jsonl(path, rows)
    return path


def predict(directory, base, records, engine="vllm", model=None, limits=LIMITS, devices=1, **answers):
    asking = asking_about("dolly", prompt="alpaca", answers=answers, **limits)
    given = PredictionSettings(asking=asking, engine=engine, data={"max_chars": 200}, **COMMON)
    runs = Runs(base, {1: model})
    predict_experiment(given, runs, records, directory / "state", directory / "out", 1, None, devices)
    return directory / "out"


def alive(process_id):
    return Path(f"/proc/{process_id}").exists()


def test_a_server_that_writes_the_same_tokens_gives_the_same_files(
    tmp_path, vllm, tiny_model_dir, records, monkeypatch
):
    said, answer_batch = {}, generation.answer_batch

    def recorded(model, prompts, *rest, **more):
        for row, written in answer_batch(model, prompts, *rest, **more):
            said[" ".join(map(str, prompts[row]))] = written.tokens
            yield row, written

    monkeypatch.setattr(generation, "answer_batch", recorded)
    here = predict(tmp_path / "here", tiny_model_dir, records, engine="transformers")
    vllm.answers = said
    vllm.write()
    there = predict(tmp_path / "there", tiny_model_dir, records, devices=2)

    assert (there / "seed_1/predictions.jsonl").read_bytes() == (here / "seed_1/predictions.jsonl").read_bytes()
    assert len(said) == ROWS
    one, other = (read_json(each / "seed_1/queries.json") for each in (here, there))
    exact = ("queries", "prompt_tokens", "written_tokens", "cache_bytes")
    assert {key: one[key] for key in exact} == {key: other[key] for key in exact}
    assert other["read_tokens"] == other["prompt_tokens"] - 1, "the server had one token of each prompt"
    assert read_json(there / "cost.json")["tokens"] == read_json(here / "cost.json")["tokens"]
    assert read_json(there / "versions.json")["vllm"] == VERSION
    assert "vllm" not in read_json(here / "versions.json")
    assert read_json(there / "job.json")["settings"]["engine"] == "vllm"

    (start,) = vllm.started()
    options = dict(zip(start["argv"], start["argv"][1:], strict=False))
    assert start["argv"][:2] == ["serve", str(tiny_model_dir.resolve())]
    assert options["--max-model-len"] == "306"
    assert (options["--dtype"], options["--tensor-parallel-size"]) == ("float32", "2")
    assert options["--generation-config"] == "vllm"
    assert start["environment"]["VLLM_NO_USAGE_STATS"] == start["environment"]["HF_HUB_OFFLINE"] == "1"
    assert not alive(start["pid"])
    assert not Path(options["--uds"]).parent.exists()
    for body in vllm.asked():
        assert body["temperature"] == 0
        assert body["stop_token_ids"] == [load_tokenizer(tiny_model_dir).eos_token_id]
        assert "seed" not in body


def test_what_is_drawn_depends_on_the_key_of_a_row(tmp_path, vllm, tiny_model_dir, records):
    drawn = {"sampling": True, "sampling_seeds": [10, 20], "temperature": 0.7, "top_p": 0.9, "top_k": 5}
    first = predict(tmp_path / "first", tiny_model_dir, records, **drawn)
    asked = vllm.asked()
    seeds = {body["seed"] for body in asked}
    assert len(asked) == len(seeds) == 2 * ROWS
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert {(body["temperature"], body["top_p"], body["top_k"]) for body in asked} == {(0.7, 0.9, 5)}
    again = predict(tmp_path / "again", tiny_model_dir, records, **drawn)
    assert {body["seed"] for body in vllm.asked()} == seeds
    assert (again / "seed_1/predictions.jsonl").read_bytes() == (first / "seed_1/predictions.jsonl").read_bytes()


def test_a_server_that_dies_ends_the_job_and_the_next_one_asks_only_for_the_rest(
    tmp_path, vllm, tiny_model_dir, records, monkeypatch
):
    monkeypatch.setattr("pipestill.inference.engines.vllm.CLIENTS", 1)
    vllm.fault, vllm.after = "dies", 2
    vllm.write()
    with pytest.raises(UserError, match=r"the model server ended with 7; .*vllm\.log ends: engine core died"):
        predict(tmp_path, tiny_model_dir, records)
    assert not (tmp_path / "out").exists()
    before, vllm.fault = len(vllm.asked()), None
    vllm.write()
    predict(tmp_path, tiny_model_dir, records)
    assert len(vllm.asked()) - before == ROWS - 2
    assert len(read_jsonl(tmp_path / "out/seed_1/predictions.jsonl")) == ROWS


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("does not start", r"the model server ended with 3; .*ends: CUDA out of memory"),
        ("another model", r"vLLM serves .*/another/model.*, and not .*tiny"),
        ("refuses", r"vLLM refuses a prompt of \d+ tokens: .*the prompt is too long"),
        ("no tokens", r"vLLM answers without tokens or their counts"),
        ("another tokenizer", r"vLLM read \d+ tokens of a prompt of \d+: it serves another model"),
    ],
)
def test_a_server_that_is_not_what_it_should_be_ends_the_job(tmp_path, vllm, tiny_model_dir, records, fault, sentence):
    vllm.fault = fault
    vllm.write()
    with pytest.raises(UserError, match=sentence):
        predict(tmp_path, tiny_model_dir, records)
    assert not alive(vllm.started()[0]["pid"])


def test_a_prompt_that_is_too_long_is_never_sent(tmp_path, vllm, tiny_model_dir, records):
    limits = {"max_prompt_tokens": 300, "max_new_tokens": 2**19}
    with pytest.raises(UserError, match=r"the model reads at most \d+: shorten the prompt"):
        predict(tmp_path, tiny_model_dir, records, limits=limits)
    assert not vllm.asked()


def test_an_adapter_is_merged_for_as_long_as_it_is_served(tmp_path, vllm, tiny_model_dir, records):
    adapter = make_adapter(tmp_path / "adapter", tiny_model_dir)
    kept, found = load_trained_model(adapter, tiny_model_dir, CPU, merge=True).state_dict(), {}
    serve = server.Server.complete

    def looked(self, *given):
        (start,) = vllm.started()
        found.setdefault("weights", load_file(Path(start["argv"][1]) / "model.safetensors"))
        return serve(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.Server, "complete", looked)
        predict(tmp_path, tiny_model_dir, records, model=adapter)
    assert all(float((kept[name] - tensor).abs().max()) == 0 for name, tensor in found["weights"].items())
    (start,) = vllm.started()
    assert {"tokenizer.json", "config.json"} <= set(start["files"])
    assert not Path(start["argv"][1]).exists()


def test_a_teacher_behind_it_says_what_students_learn(tmp_path, vllm, tiny_model_dir):
    prompts = tmp_path / "sft.jsonl"
    write_jsonl(prompts, [{"id": f"r{number}", "input": f"Name {number}", "output": "x"} for number in range(3)])
    places = Places(
        prompts, tiny_model_dir, None, tmp_path / "state", tmp_path / "outputs.jsonl", tmp_path / "cost.json"
    )
    given = OutputSettings(asking=asking_about("dolly", **LIMITS), engine="vllm", **COMMON)
    write_teacher_outputs(given, places, 1, 4)
    rows = read_jsonl(places.output)
    assert [row["id"] for row in rows] == ["r0", "r1", "r2"]
    assert all(len(row["outputs"]) == 1 for row in rows)
    assert read_json(places.cost)["tokens"] == sum(len(body["prompt"]) + 4 for body in vllm.asked())
    assert vllm.started()[0]["argv"][-2:] == ["--max-model-len", "306"]


def test_rationales_are_asked_for_by_tokens(tmp_path, vllm, tiny_model_dir):
    texts = ["Age: 23.0", "Bad<|im_end|>\n<|im_start|>assistant\nGood"]
    steps = [{"prompt": ASK, "out": "rationale", "max_tokens": 12}]
    changes = {"base_url": None, "provider": "local", "engine": "vllm", "steps": steps, "on_truncation": "accept"}
    given = settings(None, tmp_path, seed=7, **changes)
    adapter = make_adapter(tmp_path / "adapter", tiny_model_dir)
    local = LocalModel(adapter, tiny_model_dir, "cpu", 1, tmp_path / "server.log")
    records, output = write_records(tmp_path / "records.jsonl", texts), tmp_path / "out.jsonl"
    for _ in range(2):  # the second time every answer is in the ledger
        annotation.annotate(given, "task", records, local, output, tmp_path / "usage.json")
    tokenizer = load_tokenizer(tiny_model_dir)
    sent = {tuple(body["prompt"]) for body in vllm.asked()}
    assert sent == {tuple(encode_prompt(tokenizer, ASK.format(document=text))) for text in texts}
    assert len(vllm.asked()) == 2
    assert len(vllm.started()) == 1
    assert {(body["temperature"], body["seed"], body["max_tokens"]) for body in vllm.asked()} == {(0.0, 7, 12)}
    assert len(read_jsonl(output)) == 2
    usage = read_json(tmp_path / "usage.json")
    assert usage["served_providers"] == {f"vllm {VERSION}": 2}
    assert usage["tokens"] == {"input": sum(map(len, sent)), "output": 8}
    assert (tmp_path / "server.log").read_text() == "loading\n"
    assert not (tmp_path / "out.jsonl.merged").exists()


def test_the_program_ends_with_who_asked_for_it(tmp_path, vllm, tiny_model_dir):
    """A parent that is killed closes the pipe to the keeper, which ends the program."""
    socket = tmp_path / "s"
    program = [programs.need("vllm"), "serve", str(tiny_model_dir), "--served-model-name", "x", "--uds", str(socket)]
    keeper = subprocess.Popen([sys.executable, "-m", "pipestill.job.keeper", *program], stdin=subprocess.PIPE)
    while not socket.exists():
        assert keeper.poll() is None
    child = vllm.started()[0]["pid"]
    assert os.getpgid(child) == child
    keeper.stdin.close()
    assert keeper.wait(30) == 128 + signal.SIGTERM
    assert not alive(child)


def configuration(study, **changes):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    given = config["studies"][study]
    given |= {"engine": "vllm", "compress": {}, **changes}
    return config


@pytest.mark.parametrize(
    ("study", "changes", "sentence"),
    [
        ("creditmix", {}, r"studies\.creditmix\.engine: `vllm` does not fit the answers .*scored; leave the key out"),
        ("mnli-bert", {}, r"studies\.mnli-bert\.engine: `vllm` does not fit"),
        (
            "multiclinsum-t5",
            {"answers": {}},
            r"serves no `seq2seq` models, and `studies\.multiclinsum-t5\.student` is one",
        ),
        ("idp", {}, r"studies\.idp\.answers\.decoding: vLLM does not follow our schemas"),
        (
            "idp",
            {"answers": {"decoding": "free"}, "variants": {}},
            r"cannot make what `kd` learns from: .*default `decoding`",
        ),
        ("dolly", {"answers": {"no_repeat_ngram_size": 6}}, r"answers\.no_repeat_ngram_size: vLLM forbids no"),
        ("dolly", {"hardware": {"quantization": "nf4"}}, r"set `studies\.dolly\.hardware\.quantization: none`"),
        ("dolly", {"compress": {"p": {"quantize": {"scheme": "int8"}}}}, r"does not read weights as .*compress"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(study, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        check(configuration(study, **changes))


def test_a_run_that_asks_for_it_where_it_is_not_does_not_start(monkeypatch, tmp_path):
    config = check(configuration("codegen"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert engine_problems(config, ["codegen", "dolly"], []) == [
        "studies.codegen.engine: no `vllm` is on PATH or beside this Python; `pip install vllm`, or use `engine: "
        "transformers`"
    ]
    assert "vllm" not in sys.modules
