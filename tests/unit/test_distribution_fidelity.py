"""How exact a store is, and what its table shows."""

import math

import pyarrow.parquet as pq
import pytest
import torch

from pipestill.errors import UserError
from pipestill.io.files import read_json
from pipestill.io.records import read_jsonl
from pipestill.models.loading import load_tokenizer
from pipestill.models.rows import IGNORED
from pipestill.settings.distributions import FidelitySettings
from pipestill.teacher.distributions.capture import Sources
from pipestill.teacher.distributions.export import export_parquet
from pipestill.teacher.distributions.fidelity import compare, measure_fidelity
from pipestill.teacher.distributions.store import DistributionStore
from support.distributions import capture, read_rows, torch_as_before, write_rows
from support.models import make_directory

FKL = {"fkl": {"kind": "fkl", "tail": "bucket"}}
METHODS = {
    **FKL,
    "todi": {"kind": "todi", "tail": "unigram", "options": {"beta": 2.0}},
    "rkl": {"kind": "rkl", "tail": "bucket"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fidelity")
    write_rows(directory / "train.jsonl", 20, 1)
    write_rows(directory / "validation.jsonl", 15, 2)
    make_directory(directory / "student")
    make_directory(directory / "teacher", seed=1, hidden_size=32)
    return directory


@pytest.fixture(scope="module")
def manifests(place):
    """By codec."""
    data = [place / "train.jsonl", place / "validation.jsonl"]
    return {
        codec: capture(
            place / codec, data, place / "teacher", place / "student", **{"codec": codec, "k": None} | options
        )
        for codec, options in (("topk", {"k": 30}), ("full", {}), ("sample", {"draws": 30}))
    }


def measure(place, manifest, methods, teacher="teacher"):
    settings = FidelitySettings(
        study="dolly", methods=methods, tokens=100, adaptation="full", hardware={"device": "cpu"}
    )
    output = place / "fidelity.json"
    sources = Sources([place / "validation.jsonl"], place / teacher, None, place / "student")
    with torch_as_before():
        measure_fidelity(settings, manifest, sources, output, threads=1)
    return read_json(output)


def test_products_of_tokens_give_the_angle_of_head_gradients(monkeypatch):
    monkeypatch.setattr("pipestill.teacher.distributions.fidelity.SLICE", 7)
    generator = torch.Generator().manual_seed(0)
    hidden, one, other = (torch.randn(9, size, generator=generator) for size in (4, 30, 30))
    a, b = (gradient.T @ hidden for gradient in (one, one + other))
    angle, ratio = compare(hidden, one, one + other)
    assert angle == pytest.approx(math.degrees(math.acos(float((a * b).sum() / a.norm() / b.norm()))), rel=1e-5)
    assert ratio == pytest.approx(float(a.norm() / b.norm()), rel=1e-5)


def test_no_gradient_is_no_error():
    zero = torch.zeros(3, 5)
    assert compare(torch.ones(3, 2), zero, zero) == (90.0, 0.0)


def test_a_full_store_is_exact(place, manifests):
    found = measure(place, manifests["full"], METHODS)
    assert found["study"] == "dolly" and found["codec"] == "full" and found["tokens"] >= 100
    for row in found["methods"].values():
        assert row == {"tail": None, "angle": pytest.approx(0, abs=0.05), "norm_ratio": 1.0}


def test_what_is_left_out_shows(place, manifests):
    found = measure(place, manifests["topk"], METHODS)
    assert found["bytes_per_token"] == DistributionStore(manifests["topk"]).manifest["bytes_per_token"]
    assert {method: row["tail"] for method, row in found["methods"].items()} == {
        "fkl": "bucket", "todi": "unigram", "rkl": "bucket"
    }  # fmt: skip
    assert found["methods"]["todi"]["angle"] < found["methods"]["rkl"]["angle"] < 60
    assert found["methods"]["fkl"] == {"tail": "bucket", **by_hand(place, manifests["topk"])}
    sampled = measure(place, manifests["sample"], FKL)
    assert sampled["methods"]["fkl"]["tail"] is None and 1 < sampled["methods"]["fkl"]["angle"] < 60


def by_hand(place, manifest, temperature=2.0, tokens=100):
    """Angle and ratio of the forward divergence with one bucket, from whole passes and whole head gradients."""
    from transformers import AutoModelForCausalLM

    store, tokenizer = DistributionStore(manifest), load_tokenizer(place / "student")
    models = [AutoModelForCausalLM.from_pretrained(place / name).eval() for name in ("teacher", "student")]
    exact, stored, read = 0, 0, 0
    for row in sorted(read_rows(store, place / "validation.jsonl", tokenizer), key=lambda row: row["key"]):
        if read >= tokens:
            break
        positions = [t - 1 for t, label in enumerate(row["labels"]) if label != IGNORED]
        read += len(positions)
        with torch.no_grad():
            teacher, student = (model(torch.tensor([row["input_ids"]]), output_hidden_states=True) for model in models)
        p, q = ((output.logits[0, positions] / temperature).softmax(1) for output in (teacher, student))
        hidden = student.hidden_states[-1][0, positions]
        kept = torch.zeros_like(p, dtype=torch.bool).scatter(1, p.topk(30).indices, True)
        tails = [x.masked_fill(kept, 0).sum(1, keepdim=True) for x in (p, q)]
        exact += (q - p).T @ hidden
        stored += torch.where(kept, q - p, q * (1 - tails[0] / tails[1])).T @ hidden
    cosine = float((exact * stored).sum() / exact.norm() / stored.norm())
    return {
        "angle": pytest.approx(math.degrees(math.acos(cosine)), abs=0.1),
        "norm_ratio": pytest.approx(float(stored.norm() / exact.norm()), abs=0.01),
    }


def test_a_store_of_another_number_format_is_of_the_same_teacher(place, manifests, tmp_path):
    """Where the processor has bfloat16, this one differs from the store that is measured in float32."""
    hardware, data = {"device": "cpu", "precision": "bf16"}, [place / "validation.jsonl"]
    manifest = capture(tmp_path, data, place / "teacher", place / "student", codec="full", k=None, hardware=hardware)
    assert measure(place, manifest, FKL)["methods"]["fkl"]["angle"] < 5


def test_another_teacher_is_refused(place, manifests):
    make_directory(place / "other", seed=5)
    with pytest.raises(UserError, match="are those of another teacher"):
        measure(place, manifests["topk"], METHODS, teacher="other")


def test_the_table_has_ids_tokens_and_what_is_stored(place, manifests, tmp_path):
    output, data = tmp_path / "export.parquet", [place / "train.jsonl", place / "validation.jsonl"]
    export_parquet(manifests["topk"], output, data, place / "student")
    store, tokenizer = DistributionStore(manifests["topk"]), load_tokenizer(place / "student")
    table = {row["key"]: row for row in pq.read_table(output).to_pylist()}
    rows = [row for path in data for row in read_rows(store, path, tokenizer)]
    answers = {record["id"]: record["output"] for path in data for record in read_jsonl(path)}
    assert table.keys() == {row["key"] for row in rows}
    for row in rows:
        shown, target = table[row["key"]], store.target([row["key"]])
        gold = [label for label in row["labels"] if label != IGNORED]
        assert shown["gold_tokens"] == tokenizer.convert_ids_to_tokens(gold)
        assert tokenizer.decode(gold[:-1]) == answers[shown["id"]]
        assert shown["gold_log_probs"] == store.gold_log_probs([row["key"]]).tolist()
        assert shown["ids"] == target.ids.ravel().tolist()
        assert shown["log_probs"] == target.log_probs.ravel().tolist()
        assert shown["tail_log_probs"] == target.tail.tolist()


@pytest.mark.parametrize(
    ("codec", "columns"), [("full", ["log_probs"]), ("sample", ["ids", "shares", "counts", "entropy"])]
)
def test_the_table_of_other_codecs(manifests, tmp_path, codec, columns):
    export_parquet(manifests[codec], tmp_path / "export.parquet")
    table = pq.read_table(tmp_path / "export.parquet")
    assert table.column_names == ["key", "gold_log_probs", *columns]
    store = DistributionStore(manifests[codec])
    first = table.slice(0, 1).to_pylist()[0]
    tokens = len(first["gold_log_probs"])
    if codec == "full":
        assert len(first["log_probs"]) == tokens * store.vocab_size
    else:
        assert sum(first["counts"]) == len(first["ids"]) and len(first["entropy"]) == tokens
        assert sum(first["shares"]) == pytest.approx(tokens)
