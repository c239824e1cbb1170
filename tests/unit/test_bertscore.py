"""BERTScore against the library's own scorer, and where that scorer fails."""

import pytest

from pipestill.errors import UserError
from pipestill.io.files import write_sha256sums
from pipestill.metrics.bertscore import Encoder, _positions, published_baseline, read_baseline

ANSWERS = ["the patient had fever and was treated", "el niño mejoró", "fever", "", "MRI of the brain was normal today"]
REFERENCES = [["the patient was treated"], ["el niño falleció", "el niño mejoró"], [""], ["died"], ["a mass " * 40]]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A random BERT with a WordPiece tokenizer, as such encoders lie on disk; it reads 64 tokens."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    directory = tmp_path_factory.mktemp("encoder-like-t5") / "bert"  # the library takes any path with "t5" for a T5
    trainer = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    texts = [*ANSWERS, *(text for row in REFERENCES for text in row)]
    trainer.train_from_iterator(texts, vocab_size=200, show_progress=False)
    directory.mkdir()
    trainer.save_model(str(directory))
    tokenizer = BertTokenizerFast(vocab_file=str(directory / "vocab.txt"), do_lower_case=False)
    tokenizer.save_pretrained(directory)
    torch.manual_seed(0)
    shape = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.2, **shape)
    BertModel(config, add_pooling_layer=False).save_pretrained(directory)
    write_sha256sums(directory)
    return directory


@pytest.fixture(scope="module")
def scored(encoder):
    return Encoder(encoder, layer=2).score(ANSWERS, REFERENCES)


def test_equals_the_library_s_scorer(encoder, scored, tmp_path):
    from bert_score import BERTScorer

    plain = tmp_path / "bert"  # a path without "t5"
    plain.symlink_to(encoder)
    library = BERTScorer(model_type=str(plain), num_layers=2, device="cpu")
    library._tokenizer.model_max_length = 64  # left alone, it fails on longer texts
    rows = [0, 1, 4]
    expected = library.score([ANSWERS[row] for row in rows], [REFERENCES[row] for row in rows])
    for part, values in zip((scored.precision, scored.recall, scored.f), expected, strict=True):
        assert [part[row] for row in rows] == pytest.approx([100 * value for value in values.tolist()], abs=1e-3)
    assert scored.f[1] == pytest.approx(100.0, abs=1e-3)
    assert 0 < scored.f[0] < 99


def test_empty_texts_score_0_and_are_counted(scored):
    assert [scored.f[row] for row in (2, 3)] == [scored.precision[2], scored.recall[3]] == [0.0, 0.0]
    assert scored.empty == 2


def test_long_texts_are_counted_and_cut(encoder, scored):
    assert scored.truncated == 1
    assert Encoder(encoder, layer=1).max_length == 64


def test_vectors_are_of_float32_whatever_the_weights_are_stored_in(encoder, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    half = shutil.copytree(encoder, tmp_path / "bert")
    weights = {name: tensor.bfloat16() for name, tensor in load_file(half / "model.safetensors").items()}
    (half / "SHA256SUMS").unlink()
    config, found = (half / "config.json").read_text(), {}
    for dtype in (torch.bfloat16, torch.float32):
        save_file(
            {name: tensor.to(dtype) for name, tensor in weights.items()}, half / "model.safetensors", {"format": "pt"}
        )
        (half / "config.json").write_text(config.replace("float32", str(dtype).removeprefix("torch.")))
        found[dtype] = Encoder(half, layer=2).score(ANSWERS, REFERENCES).f
    assert found[torch.bfloat16] == found[torch.float32]


def test_positions_before_the_first_token_do_not_count():
    from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

    shape = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9)
    shape |= dict(max_position_embeddings=40, pad_token_id=1)
    assert _positions(RobertaModel(RobertaConfig(**shape))) == 38
    assert _positions(BertModel(BertConfig(**shape))) == 40


def test_the_layer_is_what_the_scores_come_from(encoder, scored):
    assert Encoder(encoder, layer=3).score(ANSWERS, REFERENCES).f[0] != pytest.approx(scored.f[0], abs=0.01)
    with pytest.raises(UserError, match="has 3 layers: `layer` 4 is none of 0 to 3"):
        Encoder(encoder, layer=4)


def test_rescaled_scores_take_the_baseline_of_the_language(encoder, scored, tmp_path):
    path = tmp_path / "es.tsv"
    path.write_text("LAYER,P,R,F\n0,0.1,0.1,0.1\n2,0.2,0.3,0.4\n")
    spanish, english = read_baseline(path, 2), (0.0, 0.0, 0.0)
    rescaled = Encoder(encoder, layer=2).score(ANSWERS, REFERENCES, [english, spanish, *[english] * 3])
    assert rescaled.f[0] == pytest.approx(scored.f[0])
    assert rescaled.precision[1] == pytest.approx(100 * (scored.precision[1] / 100 - 0.2) / 0.8)
    assert rescaled.f[1] == pytest.approx(100 * (scored.f[1] / 100 - 0.4) / 0.6)
    assert rescaled.f[3] == 0.0
    with pytest.raises(UserError, match="no baseline of layer 1; it has those of 0 to 2"):
        read_baseline(path, 1)
    path.write_text("LAYER,F\n2,x\n")
    with pytest.raises(UserError, match="is not a file of baselines"):
        read_baseline(path, 2)


def test_baselines_ship_with_the_library_or_come_from_unrelated_texts(encoder):
    assert read_baseline(published_baseline("bert-base-multilingual-cased", "es"), 9)[2] == pytest.approx(
        0.67, abs=0.05
    )
    with pytest.raises(UserError, match="ships no baseline of mine in the language `es`"):
        published_baseline("mine", "es")
    texts = ["fever", "the brain", "el niño", "died today"]
    model = Encoder(encoder, layer=2)
    baseline = model.random_baseline(texts, pairs=200)
    pairs = [(one, other) for one in texts for other in texts if one != other]
    every = model.score([one for one, _ in pairs], [[other] for _, other in pairs]).f
    assert baseline[2] == pytest.approx(sum(every) / len(every) / 100, abs=0.03)
    assert baseline == model.random_baseline(texts, pairs=200)
    with pytest.raises(UserError, match="two different texts"):
        model.random_baseline(["a", "a"])


def test_the_signature_changes_with_the_weights_and_not_with_the_place(encoder, tmp_path):
    import shutil

    moved = shutil.copytree(encoder, tmp_path / "bert")
    first, second = Encoder(encoder, 2).signature, Encoder(moved, 2).signature
    assert first == second
    assert str(encoder.parent) not in str(first)
    assert Encoder(encoder, 1).signature != first
    (moved / "SHA256SUMS").unlink()
    weights = moved / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert Encoder(moved, 2).signature["encoder_sha256"] != first["encoder_sha256"]


def test_only_safetensors_of_local_directories_are_loaded(encoder, tmp_path):
    import shutil

    import torch

    pickled = shutil.copytree(encoder, tmp_path / "bert", ignore=shutil.ignore_patterns("*.safetensors", "SHA256SUMS"))
    torch.save({}, pickled / "pytorch_model.bin")
    for directory in (pickled, tmp_path / "none"):
        with pytest.raises(UserError, match=r"none holds no tokenizer|bert cannot be loaded: .*safetensors"):
            Encoder(directory, 2)


def test_lists_that_do_not_fit_are_refused(encoder):
    with pytest.raises(UserError, match="1 predictions cannot be scored against references of 2 rows"):
        Encoder(encoder, 1).score(["a"], [["b"], ["c"]])
