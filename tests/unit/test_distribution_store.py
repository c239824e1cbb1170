"""Captured distributions against direct passes of the teacher; what pairs them with rows, and what is refused."""

import json
import random
import shutil

import numpy as np
import pytest
import torch

from pipestill.errors import UserError
from pipestill.inference import answer_logits
from pipestill.inference.answer_logits import AnswerLogits, batches, check_lengths
from pipestill.io.files import SHA256SUMS, write_sha256sums
from pipestill.losses import IGNORED
from pipestill.losses.linear import linear_divergence
from pipestill.losses.targets import HiddenTarget
from pipestill.models.hardware import HardwarePlan
from pipestill.models.loading import load_tokenizer
from pipestill.teacher.distributions import parts, tails
from pipestill.teacher.distributions.keys import row_key, teacher_fingerprint
from pipestill.teacher.distributions.manifest import write_manifest
from pipestill.teacher.distributions.store import DistributionStore
from support.distributions import capture, capture_one, read_rows, settings, write_rows
from support.models import make_directory, make_model, make_tokenizer

VOCAB = 310  # of the tiny tokenizer


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data, a teacher with a padded head, a student."""
    directory = tmp_path_factory.mktemp("distributions")
    train = write_rows(directory / "train.jsonl", 24, 1)
    train.write_text(train.read_text() + train.read_text().splitlines(keepends=True)[0])  # one row twice
    write_rows(directory / "validation.jsonl", 6, 2)
    make_directory(directory / "student")
    make_directory(directory / "teacher", seed=1, hidden_size=32, seal=False)
    make_model(VOCAB + 10, 1, hidden_size=32).save_pretrained(directory / "teacher")
    write_sha256sums(directory / "teacher")
    return directory


@pytest.fixture(scope="module")
def tokenizer(place):
    tokenizer = load_tokenizer(place / "student")
    assert len(tokenizer) == VOCAB
    return tokenizer


@pytest.fixture(scope="module")
def data(place):
    return [place / "train.jsonl", place / "validation.jsonl"]


@pytest.fixture(scope="module")
def captured(place, data):
    """A function that gives the store of a codec; each is captured once."""
    stores = {}

    def store(codec, **options):
        if codec not in stores:
            options = {"codec": codec, "k": None} | options
            stores[codec] = capture(place / codec, data, place / "teacher", place / "student", **options)
        return DistributionStore(stores[codec])

    return store


@pytest.fixture(scope="module")
def full(captured):
    return captured("full")


@pytest.fixture(scope="module")
def teacher(place):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(place / "teacher").eval()


def direct(teacher, row, temperature=2.0):
    """Log-probabilities [tokens, vocab] of the supervised tokens: token t is predicted at t - 1."""
    with torch.no_grad():
        logits = teacher(input_ids=torch.tensor([row["input_ids"]])).logits[0]
    positions = [t - 1 for t, label in enumerate(row["labels"]) if label != IGNORED]
    return (logits[positions, :VOCAB] / temperature).log_softmax(-1)


def gold_of(row):
    return [label for label in row["labels"] if label != IGNORED]


def test_every_row_has_the_teachers_distributions_of_its_own_tokens(data, full, teacher, tokenizer):
    rows = [row for path in data for row in read_rows(full, path, tokenizer)]
    for row in rows:
        expected = direct(teacher, row)
        stored = full.target([row["key"]]).logits(slice(None), VOCAB) / 2.0
        torch.testing.assert_close(stored, expected, rtol=0, atol=2e-6)
        gold = direct(teacher, row, temperature=1.0)[range(len(expected)), gold_of(row)]
        torch.testing.assert_close(full.gold_log_probs([row["key"]]), gold, rtol=0, atol=2e-6)
        assert torch.equal(full.top_ids([row["key"]]), expected.argmax(1))


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("topk", {"k": 12}),
        ("sample", {"draws": 20}),
        ("labels", {"labels": ["Good", "Bad"], "rest_bucket": False}),
    ],
)
def test_other_codecs_store_the_same_distributions(captured, full, data, codec, options, tokenizer):
    store = captured(codec, **options)
    for row in read_rows(store, data[0], tokenizer):
        assert torch.equal(store.gold_log_probs([row["key"]]), full.gold_log_probs([row["key"]]))
        exact = full.target([row["key"]]).logits(slice(None), VOCAB) / 2.0
        if codec == "labels":
            ids = [tokenizer.encode(label)[0] for label in options["labels"]]
            assert torch.equal(store.target([row["key"]]).log_probs, exact[:1, ids])
        else:
            assert torch.equal(store.top_ids([row["key"]]), exact.argmax(1))
        if codec == "topk":
            target = store.target([row["key"]])
            assert torch.equal(target.ids, exact.topk(12).indices.sort(1).values)
            torch.testing.assert_close(target.log_probs, exact.gather(1, target.ids), rtol=0, atol=0.03)
        if codec == "sample":
            target = store.target([row["key"]])
            assert target.weights.sum() == pytest.approx(len(exact))
            torch.testing.assert_close(target.entropy, torch.special.entr(exact.exp()).sum(1), rtol=1e-5, atol=1e-5)


def test_shuffles_subsets_and_batches_never_mispair(captured, data, tokenizer):
    """Peers that count steps mispair 63 of 64 batches here."""
    store = captured("topk", k=12)
    rows = read_rows(store, data[0], tokenizer)
    alone = {row["key"]: store.target([row["key"]]) for row in rows}
    for seed in range(4):
        order = random.Random(seed).sample(rows, len(rows) - seed)
        for start in range(0, len(order), 5):
            batch = order[start : start + 5]
            target = store.target([row["key"] for row in batch])
            assert len(target) == sum(len(gold_of(row)) for row in batch)
            assert torch.equal(target.ids, torch.cat([alone[row["key"]].ids for row in batch]))
            assert torch.equal(target.log_probs, torch.cat([alone[row["key"]].log_probs for row in batch]))
            assert torch.equal(target.tail, torch.cat([alone[row["key"]].tail for row in batch]))


def test_a_cached_teacher_gives_the_losses_of_one_that_runs(full, data, teacher, place, tokenizer):
    from transformers import AutoModelForCausalLM

    student = AutoModelForCausalLM.from_pretrained(place / "student").eval()
    for row in read_rows(full, data[0], tokenizer)[:6]:
        ids = torch.tensor([row["input_ids"]])
        with torch.no_grad():
            hidden, theirs = (model.get_decoder()(ids).last_hidden_state[0, :-1] for model in (student, teacher))
        labels = torch.tensor(row["labels"][1:])
        online = HiddenTarget(theirs[labels != IGNORED], teacher.lm_head.weight)
        for kind in ("fkl", "rkl", "jsd", "todi"):
            losses = [
                linear_divergence(
                    *(kind, hidden, student.lm_head.weight.detach(), labels, target),
                    vocab_size=full.vocab_size,
                    temperature=2.0,
                )
                for target in (online, full.target([row["key"]]))
            ]
            assert float(losses[1].loss) == pytest.approx(float(losses[0].loss), rel=1e-5)


def test_equal_rows_are_stored_once_and_foreign_ones_are_an_error(full, data, tokenizer):
    rows = [row for path in data for row in read_rows(full, path, tokenizer)]
    assert full.manifest["rows"] == len({row["key"] for row in rows}) == len(full.keys()) == len(rows) - 1
    row = rows[0]
    shifted = [*row["labels"][1:], IGNORED]
    foreign = {
        "labels": row_key(row["input_ids"], shifted, full.teacher_fingerprint),
        "tokens": row_key(row["input_ids"][1:], row["labels"][1:], full.teacher_fingerprint),
        "teacher": row_key(row["input_ids"], row["labels"], "another"),
    }
    for key in foreign.values():
        for read in (full.target, full.gold_log_probs, full.top_ids):
            with pytest.raises(UserError, match=rf"holds no distributions of a row .*key {key[:12]}.: its text"):
                read([row["key"], key])


def test_keys_tell_apart_where_tokens_end_and_labels_begin():
    assert row_key([1, 2], [3], "t") != row_key([1], [2, 3], "t")
    assert row_key([1, 2], [-100, 2], "t") != row_key([1, 2], [1, 2], "t")


def test_one_flipped_byte_is_refused(full, tmp_path):
    copy = shutil.copytree(full.path.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("*.state*"))
    shard = copy / "shard_0.safetensors"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(
        UserError, match=r"shard_0.safetensors does not match its sha256 in .*manifest.json: it is damaged"
    ):
        DistributionStore(copy / "manifest.json")
    with pytest.raises(UserError, match=r"shard_0.safetensors does not match its sha256 in .*shard_0.json"):
        write_manifest([copy / "shard_0.json"], copy / "manifest.json")
    shard.unlink()
    with pytest.raises(UserError, match=r"shard_0.safetensors is missing but listed in .*manifest.json"):
        DistributionStore(copy / "manifest.json")


def test_a_manifest_of_another_version_is_refused(full, tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(full.manifest | {"format": 0}))
    with pytest.raises(UserError, match="no manifest that this version reads: capture the distributions again"):
        DistributionStore(path)


def test_another_temperature_tokenizer_or_teacher_is_refused(full, tokenizer):
    full.check(tokenizer=tokenizer, temperature=2.0, teacher_fingerprint=full.teacher_fingerprint)
    with pytest.raises(
        UserError, match=r"captured at temperature 2, not 1: capture them again, or set `divergence.temp"
    ):
        full.check(temperature=1.0)
    changed = make_tokenizer()
    changed.add_tokens(["<new>"])
    with pytest.raises(UserError, match="captured with another tokenizer than the student's: capture them again"):
        full.check(tokenizer=changed)
    with pytest.raises(UserError, match="are those of another teacher: capture them again"):
        full.check(teacher_fingerprint="0" * 64)


def test_a_teacher_is_known_by_its_weights_not_by_records_of_its_training(tmp_path):
    plan, listing = HardwarePlan(device="cpu", precision="fp32"), tmp_path / SHA256SUMS
    listing.write_text(f"{'0' * 64}  model.safetensors\n{'1' * 64}  training.json\n")
    before = teacher_fingerprint(tmp_path, tmp_path, plan)
    listing.write_text(f"{'0' * 64}  model.safetensors\n{'2' * 64}  training.json\n")
    assert teacher_fingerprint(tmp_path, tmp_path, plan) == before
    listing.write_text(f"{'3' * 64}  model.safetensors\n{'1' * 64}  training.json\n")
    assert teacher_fingerprint(tmp_path, tmp_path, plan) != before


def test_a_teacher_with_other_tokens_is_refused_with_the_ways_out(place, data, tmp_path):
    other = shutil.copytree(place / "teacher", tmp_path / "other")
    tokenizer = load_tokenizer(other)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(other)
    write_sha256sums(other)
    with pytest.raises(UserError, match=r"different vocabularies .*: use the method `kd`, .* or `uld`"):
        capture_one(tmp_path, data, other, place / "student")


def test_shards_of_different_captures_are_no_store(place, data, tmp_path):
    capture(tmp_path / "a", data, place / "teacher", place / "student", shards=2)
    facts = [tmp_path / "a" / f"shard_{shard}.json" for shard in range(2)]
    with pytest.raises(UserError, match=r"shards 0 to 1 are expected, but there are \[1\]"):
        write_manifest(facts[1:], tmp_path / "m.json")
    make_directory(tmp_path / "other", seed=3)
    for name, teacher, changes in (
        ("teacher", tmp_path / "other", {}),
        ("temperature", place / "teacher", {"temperature": 1.5}),
        ("codec", place / "teacher", {"k": 11}),
        ("training data", place / "teacher", {}),
    ):
        files = data[:1] if name == "training data" else data
        capture_one(tmp_path / name, files, teacher, place / "student", 1, 2, **changes)
        with pytest.raises(
            UserError, match=rf"shard_1.json has another {name} than .*shard_0.json: capture this shard"
        ):
            write_manifest([facts[0], tmp_path / name / "shard_1.json"], tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()
    facts[1].write_text("{}")
    with pytest.raises(UserError, match=r"shard_1.json does not describe a shard of teacher distributions"):
        write_manifest(facts, tmp_path / "m.json")


def test_sharding_changes_nothing_that_is_read(place, tmp_path):
    rows = [write_rows(tmp_path / "rows.jsonl", 3, 5)]
    whole, sharded = (
        DistributionStore(capture(tmp_path / str(shards), rows, place / "teacher", place / "student", shards=shards))
        for shards in (1, 5)
    )
    assert min(shard["rows"] for shard in sharded.manifest["shards"]) == 0
    assert sharded.keys() == whole.keys()
    for name, values in whole.read(whole.keys()).items():
        assert np.array_equal(values, sharded.read(whole.keys())[name])
    assert torch.equal(whole.prior, sharded.prior)


def files(directory, shard=0):
    return [(directory / f"shard_{shard}{end}").read_bytes() for end in (".safetensors", ".json")]


def test_more_rows_cost_their_own_work_and_give_the_bytes_of_a_fresh_capture(place, data, tmp_path, monkeypatch):
    monkeypatch.setattr(tails, "MEASURED_TOKENS", 60)  # of about 1,300, so that most rows are not measured
    read = []
    original = AnswerLogits.__call__
    monkeypatch.setattr(AnswerLogits, "__call__", lambda self, rows: read.extend(rows) or original(self, rows))
    grown = tmp_path / "grown"
    capture(grown, data[:1], place / "teacher", place / "student")
    first, read[:] = len(read), []
    manifest = capture(grown, data, place / "teacher", place / "student")
    new = len(DistributionStore(manifest).keys()) - first
    assert 0 < new <= len(read) <= new + 5  # and those that the measured rows changed to
    capture(tmp_path / "fresh", data, place / "teacher", place / "student")
    assert files(grown) == files(tmp_path / "fresh")
    read.clear()
    capture(grown, data[:1], place / "teacher", place / "student")  # fewer rows
    capture(tmp_path / "small", data[:1], place / "teacher", place / "student")
    assert files(grown) == files(tmp_path / "small")


def test_nothing_is_computed_twice_or_taken_from_other_work(place, data, tmp_path, monkeypatch):
    loaded = []
    original = AnswerLogits.__init__
    monkeypatch.setattr(AnswerLogits, "__init__", lambda *args: loaded.append(1) or original(*args))
    capture(tmp_path, data, place / "teacher", place / "student")
    before = files(tmp_path)
    (tmp_path / "shard_0.safetensors").unlink()  # as Snakemake does before it runs a job again
    capture(tmp_path, data, place / "teacher", place / "student")
    assert len(loaded) == 1 and files(tmp_path) == before
    capture(tmp_path, data, place / "teacher", place / "student", temperature=1.0)
    assert len(loaded) == 2 and files(tmp_path) != before
    capture(tmp_path, data, place / "teacher", place / "student", code="2")
    assert len(loaded) == 3 and files(tmp_path) == before


def test_damage_to_a_published_shard_is_not_handed_on(place, data, tmp_path, capsys):
    """The state keeps the same file under another name."""
    capture(tmp_path, data, place / "teacher", place / "student")
    before = files(tmp_path)
    with open(tmp_path / "shard_0.safetensors", "r+b") as file:
        file.seek(-9, 2)
        file.write(b"?")
    assert files(tmp_path) != before
    capture(tmp_path, data, place / "teacher", place / "student")
    assert "is damaged: it is dropped, and what it kept is made again" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_parts_on_the_disk_change_no_byte(place, data, tmp_path, monkeypatch):
    capture(tmp_path / "whole", data, place / "teacher", place / "student")
    monkeypatch.setattr(parts, "PART_TOKENS", 50)
    written = []
    original = parts.Parts.flush
    monkeypatch.setattr(parts.Parts, "flush", lambda self: written.append(1) or original(self))
    capture(tmp_path / "parts", data, place / "teacher", place / "student")
    assert len(written) > 5
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert not list((tmp_path / "parts").rglob("part_*"))


def test_chunks_of_the_head_change_nothing_but_the_draws(place, data, full, monkeypatch, tmp_path):
    monkeypatch.setattr(answer_logits, "CHUNK", 3)
    store = DistributionStore(capture(tmp_path, data, place / "teacher", place / "student", codec="full", k=None))
    for name, values in full.read(full.keys()).items():
        assert np.allclose(values, store.read(full.keys())[name], atol=2e-6)


@pytest.mark.parametrize("capped", [False, True])
def test_padded_batches_and_capped_heads_have_the_models_own_logits(capped, data, full, tokenizer):
    """On accelerators rows share batches; a head that is more than a linear map is left to the model."""
    import transformers

    shape = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, head_dim=8)
    torch.manual_seed(0)
    config = transformers.Gemma2Config(
        **(shape | dict(vocab_size=VOCAB + 3, num_key_value_heads=2, pad_token_id=0)),
        final_logit_softcapping=2.0 if capped else None,
    )
    model = transformers.Gemma2ForCausalLM(config).eval()
    rows = read_rows(full, data[1], tokenizer)
    answers = AnswerLogits(model, 0, VOCAB)
    assert (answers.head is None) == capped
    found = [[] for _ in rows]
    for index, start, logits in answers(rows):
        assert start == sum(map(len, found[index]))
        found[index].append(logits)
    for row, logits in zip(rows, found, strict=True):
        torch.testing.assert_close(torch.cat(logits).log_softmax(1), direct(model, row, 1.0), rtol=0, atol=1e-5)


def test_batches_are_single_rows_on_a_cpu_and_filled_elsewhere():
    rows = [{"input_ids": [0] * length} for length in (10, 4000, 3000, 20, 9000)]
    assert [len(batch) for batch in batches(rows, "cpu")] == [1] * 5
    assert [[len(row["input_ids"]) for row in batch] for batch in batches(rows, "cuda")] == [
        [9000],
        [4000, 3000],
        [20, 10],
    ]


def test_a_small_head_and_long_rows_are_refused(full, data, tokenizer):
    rows = read_rows(full, data[1], tokenizer)
    with pytest.raises(UserError, match="head has 99 rows, but its tokenizer 310 ids"):
        list(AnswerLogits(make_model(99), 0, 310)([{"input_ids": [1, 2], "labels": [IGNORED, 2]}]))
    with pytest.raises(UserError, match=r"tokens, but the model reads at most 16: lower training\.max_length"):
        check_lengths(make_model(310, max_position_embeddings=16), rows)


def test_a_teacher_that_says_no_numbers_is_refused(place, data, tmp_path):
    from transformers import AutoModelForCausalLM

    broken = shutil.copytree(place / "teacher", tmp_path / "broken")
    model = AutoModelForCausalLM.from_pretrained(broken)
    model.model.norm.weight.data[0] = float("nan")
    model.save_pretrained(broken)
    write_sha256sums(broken)
    with pytest.raises(
        UserError, match=r"probabilities for row '\w+-\d+' are not numbers: its weights are broken, or fp32"
    ):
        capture_one(tmp_path, data, broken, place / "student")
    assert not (tmp_path / "shard_0.safetensors").exists()


def test_settings_need_the_option_of_their_codec():
    with pytest.raises(ValueError, match="codec `topk` needs `k`"):
        settings(k=None)
    with pytest.raises(ValueError, match="codec `full` has no `k`"):
        settings(codec="full")
