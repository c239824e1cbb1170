"""Configurations that could never work: each is refused before any work, in one sentence with the key."""

from pathlib import Path

import pytest
import yaml

from pipestill.answers.labels import Labels
from pipestill.errors import UserError
from pipestill.methods import METHODS, Method, check_objectives
from pipestill.objectives.base import Objective, TrainingFile
from pipestill.objectives.cross_entropy import CrossEntropy
from pipestill.objectives.preference import Preference
from pipestill.plan.check import check

ROOT = Path(__file__).parents[2]
COMMIT = "0" * 40


@pytest.fixture
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def put(config, path, value):
    """Set the key at a dotted path; sections on the way are made."""
    *above, last = path.split("/")
    for key in above:
        config = config[int(key)] if isinstance(config, list) else config.setdefault(key, {})
    config[last] = value


def refusal(config, *changes):
    """The sentence that refuses a configuration with some changes."""
    for path, value in changes:
        put(config, path, value)
    with pytest.raises(UserError) as error:
        check(config)
    said = str(error.value)
    assert len(said) <= 300 and said.isprintable()
    return said


STEP = "tasks/multiclinsum/annotation/steps/0"


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("training/epochs", "3", "training.epochs"),
        ("training/batch_size", True, "training.batch_size"),
        ("training/batch_size", 8.0, "training.batch_size"),
        ("training/batch_size", 10**6, "training.batch_size"),
        ("training/lora/r", 10**9, "training.lora.r"),
        ("training/max_steps", 10**12, "training.max_steps"),
        ("training/learning_rate", 1e9, "training.learning_rate"),
        ("training/warmup", 2.5, "training.warmup"),
        ("training/divergence/temperature", 1e-300, "training.divergence.temperature"),
        ("studies/dolly/answers/temperature", 1e-300, "studies.dolly.answers.temperature"),
        ("studies/dolly/distributions/k", 65_536, "studies.dolly.distributions.k"),
        ("statistics/resamples", 10**9, "statistics.resamples"),
        ("tasks/creditmix/data/rows", 10**9, "tasks.creditmix.data.rows"),
        ("tasks/dolly/data/test_rows", 10**9, "tasks.dolly.data.test_rows"),
        ("seeds", list(range(5000)), "seeds"),
        ("threads", 10**6, "threads"),
        (f"{STEP}/max_tokens", 10**8, "steps.0.max_tokens"),
        ("tasks/multiclinsum/annotation/temperature", 3, "annotation.temperature"),
        ("tasks/multiclinsum/annotation/extra_body", {"penalty": float("inf")}, "annotation.extra_body.penalty"),
    ],
)
def test_numbers_that_no_job_can_use(default, path, value, key):
    assert key in refusal(default, (path, value))


def test_a_number_with_an_exponent_may_lack_what_yaml_wants(default):
    default["training"] |= {"learning_rate": yaml.safe_load("5e-4"), "epochs": yaml.safe_load("1.5e1")}
    assert (default["training"]["learning_rate"], default["training"]["epochs"]) == ("5e-4", "1.5e1")
    training = check(default).training
    assert (training.learning_rate, training.epochs) == (5e-4, 15)
    assert "training.epochs" in refusal(default, ("training/epochs", "1e999"))


@pytest.mark.parametrize(
    "repo",
    [
        "../../etc",
        "a/../b",
        "/etc/passwd",
        "https://example.org/a/b",
        "a/b/c",
        "a b/c",
        "a--b/c",
        "a/b.git",
        "x" * 99,
    ],
)
def test_repositories_that_the_hub_cannot_have(default, repo):
    model = {"source": "hub", "repo": repo, "revision": COMMIT}
    assert "models.small.repo" in refusal(default, ("models/small", model))


@pytest.mark.parametrize("name", ["x" * 65, "a.", "a.partial", "a.lock", "a/b", "../a", "A", "a b", "a_b", "-a", ""])
def test_names_that_no_directory_should_have(default, name):
    assert "names consist of" in refusal(default, ("studies/dolly/checkpoints", {name: {"model": "demo-student"}}))


@pytest.mark.parametrize("path", ["", " ", "a\0b", "a\nb", "x" * 256, "a/" * 3000])
def test_paths_that_no_file_can_have(default, path):
    said = refusal(default, ("tasks/creditmix/data/source", "file"), ("tasks/creditmix/data/path", path))
    assert "tasks.creditmix.data" in said and "path" in said


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.org/a.json", "an address begins with http://, https:// or file://"),
        ("example.org/a.json", "an address begins with"),
        ("https:///a.json", "this is no address"),
        ("https://example.org:99999/a.json", "this is no address"),
        ("https://[::1/a.json", "this is no address"),
        ("https://example.org/a b.json", "write %20"),
    ],
)
def test_addresses_that_cannot_be_fetched(default, url, sentence):
    data = {"source": "url", "url": url, "splits": {"test_rows": 9, "val_rows": 9}}
    said = refusal(default, ("tasks/creditmix/data", data))
    assert said.startswith("config: tasks.creditmix.data.url: ") and sentence in said
    files = {"train": {"url": url}}
    assert sentence in refusal(default, ("tasks/dolly/data", {"source": "files", "files": files}))


@pytest.mark.parametrize(
    "ledger", ["results", "results/ledger", "./results/../results/x", "logs/a", str(Path("results/x").resolve()), ""]
)
def test_a_ledger_that_would_be_removed(default, ledger):
    assert "tasks.multiclinsum.annotation.ledger" in refusal(default, ("tasks/multiclinsum/annotation/ledger", ledger))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ([("run", ["dolly", "dolly"])], "run: `dolly` is listed twice"),
        ([("run", ["x" * 64])], f"run: `{'x' * 64}` is not defined in studies"),
        ([("studies/dolly/overrides/base", {"max_length": 99})], "studies.dolly.overrides.base: `base` is not trained"),
        ([("studies/multiclinsum/overrides", {"lead": {}})], "overrides.lead: `lead` is not trained; remove it"),
        ([("studies/creditmix/answers/null_inputs", [])], "`studies.creditmix.answers.null_inputs` is []"),
        (
            [("studies/dolly/answers/max_new_tokens", 100_000)],
            "studies.dolly.answers.max_new_tokens: an answer of 100000 tokens leaves no room for a prompt in "
            "`max_length` 256",
        ),
        ([("studies/creditmix/training/max_length", 8)], "leaves no room for a prompt in `max_length` 8"),
        (
            [("studies/creditmix/training/warmup", 500), ("studies/creditmix/training/max_steps", 500)],
            "studies.creditmix: the `warmup` of `sft` is 500 steps, and its training 500 at most",
        ),
        ([("studies/creditmix/training/warmup", 1000)], "is 1000 steps, and its training 100 at most"),
        (
            [("studies/creditmix/hardware/devices", 4), ("studies/creditmix/training/batch_size", 2)],
            "studies.creditmix: the `batch_size` of `sft` is 2, which 4 devices share",
        ),
        (
            [("studies/creditmix/hardware/nodes", 5), ("studies/creditmix/hardware/devices", 2)],
            "studies.creditmix: the `batch_size` of `sft` is 8, which 10 devices share",
        ),
        (
            [
                ("studies/creditmix/hardware", {"devices": 2, "strategy": "fsdp"}),
                ("studies/creditmix/training/adaptation", "lora"),
            ],
            "studies.creditmix: `hardware.strategy: fsdp` divides weights among devices, which those in 4 bits cannot",
        ),
        (
            [
                ("tasks/multiclinsum/annotation/training/warmup", 9),
                ("tasks/multiclinsum/annotation/training/max_steps", 3),
            ],
            "tasks.multiclinsum.annotation: the `warmup` of `annotator` is 9 steps",
        ),
        ([("studies/creditmix/learning_curve", [0.9999999999999, 1])], "told apart by ten digits of a percentage"),
        ([("tasks/creditmix/data/splits/test_rows", 7700)], "splits: test and validation of 8000 rows leave nothing"),
        (
            [("tasks/creditmix/data", {"source": "file", "path": "x", "splits": {"test_frac": 0.6, "val_frac": 0.4}})],
            "tasks.creditmix.data.splits: test and validation leave nothing to train on",
        ),
        ([("tasks/dolly/data/splits/val_rows", 4000)], "splits: `val_rows` of 4000 rows leave nothing to train on"),
        (
            [(f"{STEP}/min_chars", 9), (f"{STEP}/max_chars", 8)],
            "steps.0: no answer has `min_chars` 9 and `max_chars` 8",
        ),
        ([(f"{STEP}/prompt", "")], "`tasks.multiclinsum.annotation.steps.0.prompt` is"),
        (
            [("tasks/multiclinsum/annotation/provider", "openrouter"), (f"{STEP}/prompt", "Say something.")],
            "steps.0.prompt: it names no text, so all records would be asked the same; put a field such as",
        ),
        (
            [("tasks/multiclinsum/annotation/model", "demo-bert-student")],
            "tasks.multiclinsum.annotation.model: a `masked` model cannot write",
        ),
        (
            [("studies/multiclinsum/answers/bertscore", {"encoder": "demo-student", "layer": 2})],
            "studies.multiclinsum.answers.bertscore.encoder: a `causal` model cannot measure answers; name one of the "
            "kinds masked",
        ),
        (
            [("studies/dolly/checkpoints", {"bert": {"model": "demo-bert-student"}})],
            "studies.dolly.checkpoints.bert: a `masked` model cannot answer `dolly`",
        ),
        (
            [("studies/creditmix/teacher_rows", 2)],
            "studies.creditmix.teacher_rows: 2 rows are none for each of 3 classes",
        ),
        ([("training/lora/target_modules", [])], "`training.lora.target_modules` is []"),
        ([("studies/dolly/methods", ["sft", "x" * 900])], "studies.dolly.methods: `xxxxx"),
    ],
)
def test_keys_that_contradict_each_other(default, changes, sentence):
    assert sentence in refusal(default, *changes)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (yaml.safe_load("2024-01-01 10:00:00"), "which YAML reads as datetime; quote it if it is a text"),
        ({1: "a"}, "`tasks.dolly.annotation.1` is a key that YAML does not read as text; quote it"),
        ({True: "a"}, "`tasks.dolly.annotation.True` is a key"),
        ({"a": {1, 2}}, "which YAML reads as set"),
        ({"a": b"x"}, "which YAML reads as bytes"),
        ({"\udc80": 1}, "unable to parse raw data as a unicode string"),
    ],
)
def test_what_yaml_makes_of_a_text_is_no_value(default, value, sentence):
    assert sentence in refusal(default, ("tasks/dolly/annotation", value))


def test_a_day_is_the_text_that_stands_there(default):
    default["tasks"]["multiclinsum"]["annotation"]["ledger"] = yaml.safe_load("2024-01-01")
    assert check(default).tasks["multiclinsum"].annotation.ledger == "2024-01-01"


def test_a_section_that_holds_itself_and_one_without_end(default):
    loop = {}
    loop["a"] = [loop]
    assert "`tasks.dolly.annotation` has more than 40 levels" in refusal(default, ("tasks/dolly/annotation", loop))
    laugh = ["ha"] * 10
    for _ in range(9):
        laugh = [laugh] * 10
    assert "`tasks.dolly.annotation` has more than" in refusal(default, ("tasks/dolly/annotation", laugh))


def test_objectives_with_one_file_or_section_are_refused():
    check_objectives(METHODS.values())

    class Other(Objective):
        section = "preference"

    class Lora(Objective):
        section = "lora"

    for objectives, sentence in (
        ([CrossEntropy(), CrossEntropy(TrainingFile("sft", str))], "two kinds of rows would lie in `sft.jsonl`"),
        ([CrossEntropy(TrainingFile("records", str))], "two kinds of rows would lie in `records.jsonl`"),
        ([Preference(), Other()], "`training.preference` is not the section of one objective alone"),
        ([Lora()], "`training.lora` is not the section of one objective alone"),
    ):
        for objective in objectives:
            if type(objective) in (Other, Lora):
                objective.file = TrainingFile(objective.section, str)
        with pytest.raises(ValueError, match=sentence):
            check_objectives([Method("x", "x", objective) for objective in objectives])


def test_an_objective_says_what_it_lacks(default, monkeypatch):
    class Counting(CrossEntropy):
        def lacks(self, answers):
            return "numbers to count" if isinstance(answers, Labels) else None

    monkeypatch.setitem(METHODS, "sft", Method("x", "x", Counting()))
    assert "`sft` needs numbers to count, and `creditmix` has none; leave it out" in refusal(default)
