"""Lists of checksums in every dress that tools give them."""

import os

import pytest

from pipestill.errors import UserError
from pipestill.io import files
from pipestill.settings.data import FileConfig
from pipestill.teacher.distributions.keys import _checksums

DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
DRESSES = [
    "{d}  config.json",
    "{d} *config.json",
    "{d} config.json",
    "{d}  ./config.json",
    "{d} *./././config.json",
    "{D}  config.json",
    "{d}  config.json\r",
    "\ufeff{d}  config.json",
    "# made by hand\n\n{d}  config.json\n  \n",
    "SHA256 (config.json) = {d}",
    "SHA256 (./config.json) = {D}\r",
    "SHA2-256(config.json)= {d}",
    "{d}  config.json\n{D} *./config.json",
    "{d}  config.json\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  SHA256SUMS",
]


@pytest.mark.parametrize("dress", DRESSES)
def test_a_list_is_read_in_every_dress(tmp_path, dress):
    (tmp_path / "config.json").write_text("abc")
    (tmp_path / "SHA256SUMS").write_text(dress.format(d=DIGEST, D=DIGEST.upper()) + "\n", newline="")
    assert files.verify_sha256sums(tmp_path) == files.sha256(tmp_path / "SHA256SUMS")
    assert _checksums(tmp_path) == [f"{DIGEST}  config.json"]  # what a teacher is known by wears none
    (tmp_path / "config.json").write_text("abd")
    with pytest.raises(UserError, match=r"config\.json does not match its sha256"):
        files.verify_sha256sums(tmp_path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e  config.json", "line 2: not a line of `sha256sum`"),
        ("MD5 (config.json) = d41d8cd98f00b204e9800998ecf8427e", "line 2: not a line of `sha256sum`"),
        (f"{DIGEST}", "line 2: not a line of `sha256sum`"),
        (f"{DIGEST}\tconfig.json", "line 2: not a line of `sha256sum`"),
        (f"{DIGEST}  ../config.json", "line 2: '../config.json' lies outside of the directory"),
        (f"{DIGEST}  /etc/passwd", "line 2: '/etc/passwd' lies outside of the directory"),
        (f"{'0' * 64}  ./config.json", "line 2: a second sha256 of config.json"),
        (f"{DIGEST}  model.safetensors", r"model\.safetensors is missing but listed"),
    ],
)
def test_what_a_list_does_not_say_is_not_said_of_it(tmp_path, line, sentence):
    (tmp_path / "config.json").write_text("abc")
    (tmp_path / "SHA256SUMS").write_text(f"{DIGEST}  config.json\n{line}\n")
    with pytest.raises(UserError, match=sentence):
        files.verify_sha256sums(tmp_path)


def test_a_list_that_is_no_text_is_named(tmp_path):
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="SHA256SUMS is not UTF-8 text: make it with `sha256sum`"):
        files.verify_sha256sums(tmp_path)


@pytest.mark.parametrize("name", ["a b", "*a", " a", "a\\b", "a\nb", "a\rb\\n", "a\u2028b\x0cc", "(a) = b", "é" * 100])
def test_every_name_is_listed_so_that_it_is_found_again(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / name).write_text("abc")
    files.write_sha256sums(tmp_path)
    files.verify_sha256sums(tmp_path)
    assert os.system(f"cd {tmp_path} && sha256sum --quiet --strict -c SHA256SUMS") == 0


def test_a_name_that_is_no_text_cannot_be_listed(tmp_path):
    (tmp_path / os.fsdecode(b"ni\xf1o.json")).write_text("abc")
    with pytest.raises(UserError, match="is not UTF-8 text: rename it"):
        files.write_sha256sums(tmp_path)
    assert not (tmp_path / "SHA256SUMS").exists()


def test_a_digest_of_the_configuration_may_be_in_capitals():
    assert FileConfig(path="x", sha256=DIGEST.upper()).sha256 == DIGEST
