"""Configurations in which, taken together, every key has a use."""

import yaml
from snakemake.utils import update_config

from support.workflow import ROOT

DIGEST = "1" * 64
STEPS = [
    {"prompt": "Explain: {features}", "out": "facts", "system": "Be brief.", "pattern": "a"},
    {"prompt": "{features}", "out": "rationale"},
]
PAID = {"price": {"input": 1, "output": 2}, "max_cost": 1, "steps": STEPS, "model": "some/model"}
OPENROUTER = {**PAID, "provider": "openrouter", "splits": ["train"], "routing": {"only": ["a"], "quantizations": ["b"]}}
ENDPOINT = {**PAID, "provider": "endpoint", "base_url": "https://example.org/v1", "key_variable": "KEY"}
SHARES = {"test_frac": 0.1, "val_frac": 0.1}
OWN_OPTIONS = ("symmetric", "jsd", "sfkl", "srkl", "akl", "ab")  # divergences that have some
CURVE = "results/report/figures/learning_curve_creditmix.svg"
RATIONALES = "results/data/creditmix/rationales.jsonl"
SUBMISSIONS = [f"results/multiclinsum_{method}/submission" for method in ("sft", "lead")]


DECLARED = {  # tasks that the configuration declares
    "tickets": {"kind": "labels", "labels": ["billing", "bug", "praise"]},
    "titles": {"kind": "text", "measure": "summaries"},
    "forms": {"kind": "json", "schema": {"type": "object", "required": ["name"]}, "max_new_tokens": 32},
}


def smoke():
    """The smoke preset over the default, with tasks that are declared, and studies of them."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(config, yaml.safe_load((ROOT / "resources" / "presets" / "smoke.yaml").read_text()))
    data = {"source": "url", "url": "https://example.org/a.csv", "splits": SHARES}
    for name, answers in DECLARED.items():
        config["tasks"][name] = {"answers": dict(answers), "inputs": ["subject", "body"], "data": data}
        models = {"student": "demo-student", "teacher": "demo-teacher"}
        config["studies"][name] = {"task": name, **models, "methods": ["base", "sft", "kd"]}
    return config


def generated():
    """Synthetic data, a local annotator, cached and online teachers, selection by a metric: as the smoke preset."""
    config = smoke()
    studies = config["studies"]
    config["seeds"] = [1]
    config["run"] += DECLARED
    studies["creditmix"] |= {"methods": ["base", "sft", "kd", "dpo"], "unlabelled": {"rows": 8, "sft_curve": [12]}}
    studies["creditmix"]["kd"] = {"samples": 2}
    studies["mnli-bert"]["unlabelled"] = {}  # so that its last divergence may go
    studies["mnli"]["methods"] = ["base", "icl", "cd", "sft"]
    plain = {"text": "{features}:", "render": "raw", "verbalizers": {"Good": "good"}}
    config["tasks"]["creditmix"]["prompts"] = {"plain": plain, "spare": {"text": "{features}"}}
    config["tasks"]["creditmix"]["prompt"] = "plain"
    asked = {"text": "{premise} {hypothesis}?", "render": "raw"}
    told = {"text": "{premise} {hypothesis} {label} ?", "render": "raw", "privileged": True}
    config["tasks"]["mnli"]["prompts"] = {"asked": asked, "told": told, "spare": told | {"text": "{label} {premise}"}}
    studies["mnli"] |= {"prompt": "asked", "overrides": {}}
    config["training"]["context"] = {"teacher_context": "demonstrations+hint", "hint": "told", "shots": 2}
    del studies["creditmix"]["overrides"]["teacher"], studies["dolly"]["overrides"]["teacher"]
    studies["dolly"]["methods"] = ["base", "sft", "fkl", "todi"]
    quantised = {"quantize": {"scheme": "int3", "qat": True}, "recover": {"objective": "teacher"}}
    studies["dolly"]["compress"] = {
        "pruned": {"from": "base", "prune": {"kind": "wanda"}, "recover": {}},
        "rounded": quantised,
    }
    studies["multiclinsum"]["methods"] = ["base", "lead", "stepwise"]
    studies["multiclinsum-t5"]["methods"] = ["base", "sft", "stepwise", "fkl"]
    config["training"]["divergence"]["on_policy"] = {"rounds": 2}  # where there is a share
    studies["multiclinsum-t5"]["training"] = {"divergence": {"teacher": "cached", "on_policy": {"share": 0.5}}}
    studies["multiclinsum-t5"]["overrides"]["fkl"] = {"divergence": {}}
    studies["codegen"]["variants"]["plan"]["prompt"] = "instructed"  # so that its study may ask for plans too
    return config


def of_files():
    """Data in files, a paid annotation, a pretrained teacher, checkpoints, a challenge, divergences with options."""
    config = smoke()
    tasks, studies = config["tasks"], config["studies"]
    data = {"source": "file", "path": "a.json", "sha256": DIGEST, "splits": SHARES}
    tasks["creditmix"] |= {"data": data, "annotation": OPENROUTER}
    files = {"train": {"path": "a.jsonl"}, "dolly": {"url": "https://example.org/a.jsonl", "sha256": DIGEST}}
    files["sinst"] = {"path": "b.jsonl", "limit": 9}
    data = {"source": "files", "files": files, "test_sets": ["dolly", "sinst"], "splits": {"val_rows": 8}}
    tasks["dolly"]["data"] = data
    crop = {"unit": "tokens", "tokenizer": "demo-student", "text": 600}
    documents = {"a": {"path": "a.csv", "limit": 9}, "b": {"url": "https://example.org/a.zip", "sha256": DIGEST}}
    tasks["multiclinsum"]["data"] |= {"source": "files", "files": documents, "crop": crop}
    studies["creditmix"] |= {"methods": ["base"], "teacher": None, "overrides": {}}
    bertscore = {"encoder": "demo-bert-student", "layer": 2, "baseline": "corpus"}
    online = {"divergence": {"teacher": "online"}}
    compress = {
        name: {"from": "base", "prune": {"kind": "depth"}, "recover": {}} for name in ("pruned", "rounded", "narrow")
    }
    studies["dolly"] |= {
        "pretrained_teacher": True,
        "compress": compress,  # rules are read for these names
        "methods": ["kd", "todi", "uld", *OWN_OPTIONS],
        "overrides": {"uld": online, **{method: {"divergence": {}} for method in ("todi", *OWN_OPTIONS)}},
        "answers": {"sampling": True, "max_new_tokens": 12, "bertscore": bertscore},
        "checkpoints": {
            "mine": {"path": "mine", "base": "demo-student"},
            "published": {"model": "demo-student"},
            "other": {"path": "o"},
        },
    }
    challenge = {"en": {"path": "en.zip"}, "es": {"url": "https://example.org/es.zip", "sha256": DIGEST}}
    submission = {"methods": ["lead", "sft"], "submission": {"documents": challenge}, "overrides": {}}
    studies["multiclinsum"] |= submission
    studies["mnli"] |= {"methods": ["base", "icl"], "overrides": {}}
    studies["mnli-bert"] |= {"methods": ["base"], "teacher": None, "overrides": {}, "unlabelled": {}}
    drawn = {"decoding": "free", "sampling": True, "max_new_tokens": 12}
    studies["idp"] |= {"methods": ["sft"], "teacher": None, "answers": drawn, "variants": {}, "overrides": {}}
    drawn, variants = {"sampling": True, "max_new_tokens": 12}, {"plan": {"prompt": "instructed"}}
    variants["free"] = {"answers": {"top_k": 6}}  # rules are read for these names
    studies["codegen"] |= {"methods": ["sft"], "teacher": None, "answers": drawn, "overrides": {}}
    studies["codegen"]["variants"] = variants
    studies["multiclinsum-t5"] |= {"methods": ["fkl"], "distributions": {"codec": "sample"}, "overrides": {}}
    config["training"]["select"] = "metric"
    for name in DECLARED:
        studies[name]["methods"] = ["base"]
    return config


def of_addresses():
    """Data at addresses, an annotation at an endpoint, a pretrained teacher beside its students, a learning curve."""
    config = smoke()
    config["run"] = ["creditmix", "dolly"]
    config["models"]["demo-student"] |= {"repo": "some/model", "revision": "1" * 40}
    data = {"source": "url", "url": "https://example.org/a.json", "sha256": DIGEST, "splits": SHARES}
    config["tasks"]["creditmix"] |= {"data": data, "annotation": ENDPOINT}
    config["tasks"]["multiclinsum"]["data"] |= {"source": "published", "datasets": ["multiclinsum-gs-en"]}
    studies = config["studies"]
    for name in ("mnli", "idp", "codegen", "multiclinsum-t5"):
        studies[name] |= {"methods": ["base"], "overrides": {}, "variants": {}}
    studies["creditmix"] |= {"methods": ["base", "sft", "dpo"], "seeds": [1], "teacher": None, "overrides": {}}
    studies["dolly"] |= {"methods": ["base", "sft", "kd", "fkl", "cd"], "pretrained_teacher": True, "compress": {}}
    told = {"context": {"teacher_context": "instruction", "instruction": "Be brief."}}
    studies["dolly"]["overrides"] = {"fkl": {"max_length": 300}, "cd": told}
    studies["mnli-bert"]["methods"] = ["base", "sft"]  # a masked student writes no answers
    own = {"share": 0.5, "schedule": "adaptive", "buffer": 64}
    config["training"]["divergence"] |= {"teacher": "online", "on_policy": own}
    studies["dolly"]["training"] = {
        **studies["dolly"]["training"],
        "divergence": {"on_policy": {"share": 0.0, "schedule": "constant"}},
    }
    online = {
        "fkl": {"init": "base", "divergence": {"teacher": "online"}}
    }  # learns answers of its own, which no cache has
    studies["multiclinsum-t5"] |= {"methods": ["base", "fkl"], "overrides": online}
    return config


CONFIGURATIONS = (
    (generated, ["all"]),
    (of_files, ["all", RATIONALES, *SUBMISSIONS]),
    (of_addresses, ["all", CURVE, RATIONALES, "results/multiclinsum-t5_fkl/eval.json"]),
)
