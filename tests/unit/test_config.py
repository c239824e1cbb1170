import json
from pathlib import Path

import pytest
import yaml

from pipestill.errors import UserError
from pipestill.methods import METHODS
from pipestill.objectives.cross_entropy import CrossEntropy
from pipestill.plan import reference as config_reference
from pipestill.plan.check import check
from pipestill.plan.config import Config, Training
from pipestill.plan.plan import Plan
from pipestill.settings.section import Section

ROOT = Path(__file__).parents[2]


@pytest.fixture
def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def planned(config):
    """The plan of a configuration that is not checked yet."""
    return Plan(check(config), ROOT)


def told(plan, study, *methods):
    """Settings of the training jobs of some methods."""
    return {method: json.loads(plan.training_settings(study, method)) for method in methods}


def test_the_generated_reference_and_schema_are_up_to_date():
    for path, text in (
        (config_reference.SCHEMA, config_reference.schema()),
        (config_reference.REFERENCE, config_reference.reference()),
    ):
        assert (ROOT / path).read_text() == text, f"{path} is out of date: run `make docs`"


def test_the_schema_accepts_the_default_and_refuses_what_the_check_refuses(default):
    import jsonschema

    validator = jsonschema.Draft202012Validator(json.loads(config_reference.schema()))
    validator.validate(default)
    default["training"]["epoch"] = 3
    assert not validator.is_valid(default)


def test_every_key_of_the_default_has_a_comment_where_it_comes_first():
    explained = set()
    for number, line in enumerate((ROOT / "config.yaml").read_text().splitlines(), 1):
        key = line.partition(":")[0].strip("- ")
        assert not line.strip() or "#" in line or key in explained, f"config.yaml, line {number} has no comment"
        explained.add(key)


def test_the_default_states_every_top_level_key_and_every_training_key(default):
    assert set(default) == set(Config.model_fields)
    assert set(default["training"]) | {"max_steps"} == set(Training.model_fields)


def test_every_key_has_a_description():
    for _, section, _ in config_reference._sections("", config_reference.Config):
        assert issubclass(section, Section)
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(spam=1), "unknown key `spam`"),
        (lambda c: c["training"].update(epoch=1), "unknown key `training.epoch`"),
        (lambda c: c["training"].update(epochs="3x"), '`training.epochs` is "3x"'),
        (lambda c: c["training"]["preference"].update(beta=0), "`training.preference.beta` is 0"),
        (lambda c: c["training"].update(epochs=float("nan")), "`training.epochs` is NaN"),
        (lambda c: c.update(seeds=[1, 2, 1]), "seeds: `1` is listed twice"),
        (lambda c: c.update(seeds=[]), "`seeds` is []"),
        (lambda c: c.update(seeds=[-1]), "`seeds.0` is -1"),
        (
            lambda c: c.update(run=["nothing"]),
            "run: `nothing` is not defined in studies (creditmix, dolly, ",
        ),
        (lambda c: c.pop("run"), "`run` is missing"),
        (lambda c: c["studies"]["creditmix"].update(student="gpt"), "studies.creditmix.student: `gpt` is not defined"),
        (lambda c: c["studies"]["creditmix"].update(teacher="gpt"), "studies.creditmix.teacher: `gpt` is not defined"),
        (
            lambda c: c["studies"]["creditmix"].update(student="demo-t5-student"),
            "studies.creditmix.student: a `seq2seq` model cannot answer `creditmix`; name one of the kinds causal, mas",
        ),
        (
            lambda c: c["models"]["demo-teacher"].update(kind="seq2seq"),
            "studies.creditmix.teacher: a `seq2seq` model cannot answer `creditmix`; name one of the kinds causal",
        ),
        (
            lambda c: (
                c["models"].update(t5=c["models"]["demo-teacher"] | {"kind": "seq2seq"}),
                c["studies"]["dolly"].update(teacher="t5"),
            ),
            "studies.dolly.methods: `fkl` compares a causal student with a seq2seq teacher",
        ),
        (lambda c: c["studies"]["creditmix"].update(task="x"), "studies.creditmix.task: `x` is not defined in tasks"),
        (
            lambda c: c["studies"]["creditmix"].update(methods=["sft", "sft"], overrides={}),
            "`sft` is listed twice",
        ),
        (
            lambda c: c["studies"]["creditmix"].update(methods=["magic"], overrides={}),
            "`magic` is not defined",
        ),
        (lambda c: c["studies"]["creditmix"].update(seeds=[2, 2]), "studies.creditmix.seeds: `2` is listed twice"),
        (lambda c: c["studies"]["creditmix"]["overrides"].update(xyz={}), "overrides: `xyz` is not defined"),
        (
            lambda c: c["studies"]["creditmix"]["overrides"].update(dpo={"preference": {"gamma": 1}}),
            "unknown key `studies.creditmix.overrides.dpo.preference.gamma`",
        ),
        (
            lambda c: c["studies"]["creditmix"].update(
                teacher=None, methods=["dpo"], overrides={"dpo": {"preference": {"rejected": "confusable"}}}
            ),
            "the options of `dpo` ask for a teacher; set `studies.creditmix.teacher`",
        ),
        (
            lambda c: c["studies"]["creditmix"].update(
                methods=["dpo"], overrides={"dpo": {"preference": {"rejected": "own"}}}
            ),
            "studies.creditmix: method `dpo` learns from what the student of `sft` says; add that method",
        ),
        (
            lambda c: c["studies"]["creditmix"].update(methods=["dpo"], training={"init": "sft"}),
            "method `dpo` has `init: sft`; that needs another method `sft`",
        ),
        (
            lambda c: c["studies"]["dolly"].update(pretrained_teacher=True),
            "studies.dolly.overrides.teacher: a pretrained teacher is not trained; remove it",
        ),
        (
            lambda c: c["studies"]["creditmix"].update(teacher=None, pretrained_teacher=True, overrides={}),
            "studies.creditmix.pretrained_teacher: there is no teacher",
        ),
        (lambda c: c["studies"]["dolly"].update(train_per_class=3), "unknown key `studies.dolly.train_per_class`"),
        (
            lambda c: c["studies"]["dolly"]["answers"].update(calibration="none"),
            "`studies.dolly.answers.calibration`",
        ),
        (
            lambda c: c["studies"]["creditmix"]["answers"].update(temperature=1),
            "unknown key `studies.creditmix.answers.temperature`",
        ),
        (
            lambda c: c["studies"]["dolly"].update(methods=["dpo"]),
            "`dpo` needs wrong answers to reject",
        ),
        (lambda c: c["studies"]["dolly"].update(checkpoints={"sft": {"path": "x"}}), "`sft` is the name of a method"),
        (
            lambda c: c["studies"]["dolly"].update(checkpoints={"mine": {"path": "x", "base": "gpt"}}),
            "studies.dolly.checkpoints.mine.base: `gpt` is not defined in models",
        ),
        (
            lambda c: c["studies"]["dolly"]["overrides"].update(fkl={"divergence": {"beta": 2}}),
            "unknown key `studies.dolly.overrides.fkl.divergence.beta`",
        ),
        (
            lambda c: c["studies"]["dolly"]["overrides"].update(jsd={"divergence": {"beta": 2}}),
            "`studies.dolly.overrides.jsd.divergence.beta` is 2, but: Input should be less than 1",
        ),
        (lambda c: c["training"]["divergence"].update(beta=0.5), "unknown key `training.divergence.beta`"),
        (
            lambda c: c["studies"]["dolly"]["training"].update(divergence={"lam": 0.5}),
            "unknown key `studies.dolly.training.divergence.lam`",
        ),
        (lambda c: c["studies"]["dolly"].update(methods=["uld"]), "no cache has them; use `teacher: online`"),
        (
            lambda c: c["studies"]["dolly"]["distributions"].update(codec="labels"),
            "studies.dolly.distributions.codec: `labels` is for answers that are labels, and those of `dolly` are not",
        ),
        (
            lambda c: c["studies"]["dolly"]["distributions"].update(codec="sample"),
            "by `sample` serve only `fkl`",
        ),
        (
            lambda c: c["studies"]["dolly"]["overrides"].update(fkl={"divergence": {"temperature": 1}}),
            "methods that read one cache need the same `divergence.temperature` (fkl: 1, todi: 2",
        ),
        (lambda c: c["studies"]["dolly"]["overrides"].update(todi={"max_length": 99}), "need the same `max_length`"),
        (
            lambda c: c["studies"]["creditmix"]["overrides"].update(sft={"select": "metric"}),
            "`sft` has `select: metric`, which is for generated answers; use `loss`",
        ),
        (lambda c: c["studies"]["dolly"].update(teacher=None, overrides={}), "method `fkl` needs a teacher"),
        (lambda c: c["models"]["demo-student"].update(source="hub"), "needs `repo` and `revision`"),
        (
            lambda c: c["models"].update(a_b={"source": "path", "path": "x"}),
            "`models.a_b`: names consist of lower-case",
        ),
        (
            lambda c: c["training"]["lora"].update(target_modules=5),
            "`training.lora.target_modules` is 5, but: Input should be 'auto' or Input should be a valid list",
        ),
        (lambda c: c["studies"].update(creditmix=None), "`studies.creditmix` is null, but: a mapping is expected"),
        (
            lambda c: c["tasks"]["creditmix"]["data"]["splits"].update(test_frac=0),
            "creditmix.data.splits.test_frac` is 0",
        ),
        (
            lambda c: c["tasks"]["creditmix"]["data"]["splits"].update(test_frac=0.1),
            "tasks.creditmix.data.splits: give either `test_rows` or `test_frac`",
        ),
        (lambda c: c["tasks"]["multiclinsum"].update(annotation=None), "`stepwise` learns from rationales; say in"),
        (
            lambda c: c["tasks"]["multiclinsum"]["annotation"].update(splits=["train"]),
            "tasks.multiclinsum.annotation.splits: `stepwise` needs rationales of both",
        ),
        (
            lambda c: c["tasks"]["multiclinsum"]["data"]["splits"].update(teacher_share=0),
            "tasks.multiclinsum.data.splits.teacher_share: the local annotator of `stepwise` learns from teacher rows",
        ),
        (lambda c: c["tasks"]["creditmix"]["data"].update(source="url"), "`source: url` needs `url`"),
        (
            lambda c: c["tasks"]["dolly"]["data"]["splits"].update(test_frac=0.1),
            "unknown key `tasks.dolly.data.splits.test_frac`",
        ),
        (lambda c: c["tasks"]["creditmix"]["data"]["splits"].pop("val_rows"), "give either `val_rows` or `val_frac`"),
        (
            lambda c: c["tasks"]["creditmix"].update(prompt="alpaca"),
            "tasks.creditmix.prompt: `alpaca` is not defined in the prompts of `creditmix` (answer)",
        ),
        (lambda c: c["studies"]["dolly"].update(answers=None), "`studies.dolly.answers` is null, but: a mapping is"),
        (lambda c: c["tasks"].update(poker=c["tasks"]["creditmix"]), "`poker` is not defined in the tasks"),
    ],
)
def test_a_wrong_key_gives_one_sentence_with_its_path(default, change, sentence):
    change(default)
    with pytest.raises(UserError) as error:
        check(default)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_a_required_teacher_is_missed_before_any_work(default, monkeypatch):
    from pipestill.methods import Method

    monkeypatch.setitem(METHODS, "sft", Method("x", "x", CrossEntropy(teacher="required")))
    default["studies"]["creditmix"]["teacher"] = None
    default["studies"]["creditmix"]["overrides"] = {}
    with pytest.raises(UserError, match=r"method `sft` needs a teacher; set `studies\.creditmix\.teacher`"):
        check(default)


def test_overrides_are_merged_common_then_study_then_method(default):
    default["training"].update(learning_rate=0.1, epochs=5)
    default["studies"]["creditmix"].update(
        training={"epochs": 7, "lora": {"r": 4}}, overrides={"dpo": {"epochs": 9, "preference": {"beta": 0.3}}}
    )
    plan = planned(default)
    dpo, sft, teacher = (plan.training("creditmix", method) for method in ("dpo", "sft", "teacher"))
    assert (dpo.training.learning_rate, dpo.training.epochs, dpo.options.beta) == (0.1, 9, 0.3)
    assert (dpo.training.lora.r, dpo.training.lora.alpha) == (4, 32)
    assert (sft.training.epochs, teacher.training.epochs, teacher.training.lora.r) == (7, 5, 16)


def test_options_of_objectives_are_merged_too(default):
    default["training"]["preference"]["beta"] = 0.2
    assert planned(default).training("creditmix", "dpo").options.beta == 0.2
    default["studies"]["creditmix"]["training"] = {"preference": {"beta": 0.4}}
    assert planned(default).training("creditmix", "dpo").options.beta == 0.4
    default["studies"]["creditmix"]["overrides"]["dpo"] = {"preference": {"rejected": "confusable"}}
    options = planned(default).training("creditmix", "dpo").options
    assert (options.beta, options.rejected) == (0.4, "confusable")


def test_the_resolved_configuration_is_a_configuration(default):
    default["studies"]["creditmix"]["overrides"]["dpo"] = {"lora": {"r": 4}, "max_steps": None}
    config = check(default)
    written = json.loads(config.model_dump_json())
    assert written["studies"]["creditmix"]["overrides"]["dpo"] == {"lora": {"r": 4}, "max_steps": None}
    assert check(written) == config


def test_a_job_is_told_only_what_its_objective_uses(default):
    before = told(planned(default), "creditmix", "sft", "kd", "dpo")
    default["training"]["preference"]["beta"] = 0.7
    after = told(planned(default), "creditmix", "sft", "kd", "dpo")
    assert [m for m in before if before[m] != after[m]] == ["dpo"]


def test_trainings_share_code_only_with_those_of_their_objective(default):
    plan = planned(default)
    settings = told(plan, "creditmix", "sft", "kd", "dpo") | told(plan, "dolly", "fkl", "rkl")
    codes = {method: each["code"] for method, each in settings.items()}
    assert codes["sft"] == codes["kd"] and codes["fkl"] == codes["rkl"]
    assert len(set(codes.values())) == 3
    assert settings["fkl"]["objective"] != settings["rkl"]["objective"]


def test_a_method_can_be_left_out_without_its_overrides(default):
    default["studies"]["creditmix"]["methods"] = ["base", "sft"]
    assert "dpo" in planned(default).config.studies["creditmix"].overrides


def test_a_divergence_is_told_its_own_options_alone(default):
    default["studies"]["dolly"]["methods"] = ["base", "sft", "fkl", "jsd", "todi"]
    default["studies"]["dolly"]["overrides"] |= {
        "jsd": {"divergence": {"beta": 0.4}},
        "sfkl": {"divergence": {"lam": 0.2}},
    }
    plan = planned(default)
    settings = told(plan, "dolly", "sft", "fkl", "jsd", "todi", "sfkl")
    assert settings["sft"]["options"] == {}
    common = set(settings["fkl"]["options"])
    own = {m: {k: v for k, v in settings[m]["options"].items() if k not in common} for m in ("jsd", "todi", "sfkl")}
    assert own == {"jsd": {"beta": 0.4}, "todi": {"beta": 1.0, "stop_gradient": True}, "sfkl": {"lam": 0.2}}
    compared = json.loads(plan.fidelity_settings("dolly"))["methods"]
    assert compared["jsd"] == {"kind": "jsd", "tail": "unigram", "options": {"beta": 0.4}}
    assert compared["fkl"] == {"kind": "fkl", "tail": "bucket", "options": {}}


def test_a_teacher_beside_the_student_is_held_as_it_was_trained(default):
    default["studies"]["dolly"]["overrides"]["teacher"]["adaptation"] = "lora"
    default["studies"]["dolly"]["overrides"]["rkl"] = {"divergence": {"teacher": "online"}}
    settings = told(planned(default), "dolly", "sft", "fkl", "rkl")
    held = {method: each["teacher_adaptation"] for method, each in settings.items()}
    assert held == {"sft": None, "fkl": None, "rkl": "lora"}


def test_a_study_chooses_its_own_hardware(default):
    default["studies"]["dolly"]["hardware"] = {"quantization": "none"}
    default["hardware"]["quantization"] = "nf4"
    plan = planned(default)
    chosen = {study: plan.hardware(study).quantization for study in ("creditmix", "dolly")}
    assert chosen == {"creditmix": "nf4", "dolly": "none"}


def test_gold_outputs_for_kd_are_said_in_every_table(default):
    assert planned(default).notes("idp", "kd") == []
    default["studies"]["idp"]["teacher"] = None
    plan = planned(default)
    assert "gold outputs" in plan.notes("idp", "kd")[0]
    assert ("idp", "teacher") not in plan.experiments
    assert not plan.learns_from_teacher("idp", "kd")


def preset(default, name):
    """The plan of the default with a preset over it, merged as Snakemake does."""
    from snakemake.utils import update_config

    update_config(default, yaml.safe_load((ROOT / "resources" / "presets" / f"{name}.yaml").read_text()))
    return planned(default)


def test_the_published_recipe_of_the_divergences(default):
    plan = preset(default, "paper")
    studies = plan.config.studies
    assert [s for s in studies if s.startswith("dolly") and "@" not in s] == [
        *("dolly", "dolly-llama", "dolly-qwen2.5", "dolly-olmo2", "dolly-gemma3")
    ]
    gpt2, llama = (plan.training(study, "todi").training for study in ("dolly", "dolly-llama"))
    assert (gpt2.adaptation, gpt2.learning_rate, gpt2.epochs) == ("full", 5e-4, 20)
    assert (llama.adaptation, llama.learning_rate, llama.epochs) == ("lora", 1e-3, 10)
    assert (llama.lora.r, llama.lora.alpha, llama.lora.dropout) == (256, 8, 0.1)
    for study, training in (("dolly", gpt2), ("dolly-llama", llama)):
        assert training.batch_size * training.accumulation_steps == 32
        assert (training.schedule, training.warmup, training.weight_decay, training.max_grad_norm) == (
            "cosine",
            0,
            0.01,
            1,
        )
        assert (training.max_length, training.select, training.init) == (512, "metric", "base")
        divergence = plan.training(study, "todi").options
        assert (divergence.kd_rate, divergence.temperature, divergence.t_squared) == (0.5, 2.0, False)
    answers = studies["dolly"].answers
    assert answers == studies["dolly-llama"].answers
    assert (answers.sampling_seeds, answers.no_repeat_ngram_size) == ([10, 20, 30, 40, 50], 6)
    assert (answers.temperature, answers.top_p, answers.top_k) == (1.0, 1.0, 0)
    assert plan.config.tasks["dolly"].data.splits.val_rows == 1000
    assert plan.config.tasks["dolly"].prompt == "alpaca"


def test_the_published_recipe_of_clinical_summaries(default):
    plan = preset(default, "paper")
    task, study = plan.config.tasks["multiclinsum"], plan.config.studies["multiclinsum"]
    crop, splits = task.data.crop, task.data.splits
    assert (crop.text, crop.target, crop.rationale, crop.unit, crop.boundary) == (2560, 512, 512, "chars", "none")
    assert (splits.seed, splits.val_frac, splits.test_frac, splits.unit) == (42, 0.01, 0.19, "row")
    assert (task.annotation.provider, task.annotation.model) == ("openrouter", "qwen/qwen-2.5-72b-instruct")
    assert plan.config.models[study.student].repo == "Qwen/Qwen2.5-0.5B-Instruct"
    for method, batch_size in (("sft", 2), ("stepwise", 1)):
        training = plan.training("multiclinsum", method).training
        assert (training.adaptation, training.learning_rate, training.epochs) == ("full", 1e-5, 3)
        assert (training.schedule, training.warmup, training.weight_decay) == ("cosine", 0.03, 0.01)
        assert (training.max_steps, training.batch_size, training.accumulation_steps) == (None, batch_size, 1)
        assert (training.max_length, study.answers.max_new_tokens) == (3078 + 762, 762)
    assert plan.training("multiclinsum", "stepwise").options.alpha == 0.8


def test_the_published_recipes_of_sentence_pairs(default):
    plan = preset(default, "paper")
    config = plan.config
    studies = {name: config.studies[name] for name in config.studies if name.startswith("mnli-") and "@" not in name}
    students = {config.models[study.student].repo for name, study in studies.items() if name != "mnli-bert"}
    assert students == {
        *(f"facebook/opt-{size}" for size in ("125m", "350m", "1.3b", "2.7b")),
        *(f"Qwen/Qwen2.5-{size}" for size in ("0.5B", "1.5B", "3B")),
    }
    for name in [study for study in config.run if study.startswith("mnli")]:
        study, training = studies[name], plan.training(name, "sft").training
        assert (study.seeds, study.icl.seeds, study.train_rows) == (list(range(10)), list(range(10)), 128)
        assert study.icl.prompts == ["minimal", "gpt-3", "eval-harness"]
        assert {2, 16, 32} < set(study.icl.curve)
        assert (training.adaptation, training.epochs, training.warmup, training.learning_rate) == (
            "full",
            40,
            0.5,
            1e-5,
        )
        assert (training.max_steps, training.batch_size * training.accumulation_steps) == (None, 32)
        assert plan.training(name, "cd").training == plan.training(name, "vanilla").training == training
        biases = plan.training(name, "bitfit").training
        assert (biases.adaptation, biases.epochs, biases.warmup, biases.learning_rate) == ("biases", 100, 0.25, 1e-4)
        assert plan.teacher_context(name, "cd").prompt.privileged
        assert study.distributions.told() == {"codec": "labels", "rest_bucket": False}
        assert plan.hardware(name).quantization == "none"
    assert plan.learns_from_teacher("mnli-opt-1.3b", "cd")
    assert not plan.learns_from_teacher("mnli-opt-2.7b", "cd")
    lora = plan.training("mnli-opt-2.7b-lora", "sft").training
    assert (lora.adaptation, lora.epochs, lora.warmup, lora.learning_rate, lora.lora.r) == ("lora", 80, 0.25, 2e-4, 8)
    shown = plan.teacher_context("mnli-opt-350m-demonstrations", "cd")
    assert (shown.shots, shown.draws, shown.prompt) == (16, 10, plan.prompt("mnli-opt-350m-demonstrations"))


@pytest.mark.parametrize("name", ["paper", "gpu-8gb"])
def test_presets_of_the_published_recipe_say_what_it_says(default, name):
    plan = preset(default, name)
    config = plan.config
    for method in ("sft", "kd", "dpo"):
        training = plan.training("creditmix", method).training
        assert (training.adaptation, training.epochs, training.max_length) == ("lora", 5, 256)
        assert (training.lora.r, training.lora.alpha, training.lora.dropout) == (16, 32, 0.05)
        assert len(training.lora.target_modules) == 7
        assert training.batch_size * training.accumulation_steps == 16
        assert training.gradient_checkpointing
    assert plan.training("creditmix", "dpo").options.beta == 0.1
    assert config.hardware.quantization == "nf4"
    assert config.tasks["creditmix"].data.splits.teacher_share == 0
    model = config.models[config.studies["creditmix"].student]
    assert (model.repo, model.source) == ("Qwen/Qwen2.5-3B-Instruct", "hub")
    if name == "paper":
        assert training.max_steps == 7115
        assert (training.batch_size, config.tasks["creditmix"].data.splits.val_rows) == (2, 4500)


def test_a_digest_covers_the_models_that_an_experiment_learns_from(default):
    def digests():
        plan = planned(default)
        return {m: plan.experiment("creditmix", m).config_sha256 for m in ("base", "sft", "kd", "dpo")}

    before = digests()
    default["studies"]["creditmix"]["teacher_rows"] = 51
    after = digests()
    assert [m for m in before if before[m] != after[m]] == ["kd"]
    default["studies"]["creditmix"]["overrides"]["dpo"]["init"] = "sft"
    before = digests()
    default["studies"]["creditmix"]["overrides"]["sft"] = {"epochs": 9}
    after = digests()
    assert [m for m in before if before[m] != after[m]] == ["sft", "dpo"]
