"""Configuration files: what is wrong with one is said with its name and line."""

from pathlib import Path

import pytest
import yaml

from pipestill.cli import main
from pipestill.errors import UserError
from pipestill.plan.files import check_files, read_files

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "config.yaml", *sorted((ROOT / "resources" / "presets").glob("*.yaml"))]
LAUGH = "".join(
    f"{key}: &{key} [{', '.join([f'*{below}'] * 9)}]\n" for below, key in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("", " is empty"),
        ("# nothing\n", " is empty"),
        ("- a\n- b\n", ', line 1: ["a", "b"] stands where keys such as `run:` are expected'),
        ("just words\n", ', line 1: "just words" stands where'),
        ("run: [a\nb: 3\n", ", line 2: this is not YAML"),
        ("a: b: c\n", ", line 1: this is not YAML"),
        ('a: "b\n', "this is not YAML"),
        ("a: 1\n---\nb: 2\n", ", line 2: this is not YAML"),
        ("a: *nothing\n", ", line 1: this is not YAML (found undefined alias"),
        ("training:\n\tepochs: 3\n", ", line 2: YAML has no tabs; indent by spaces"),
        ("run: [a]\nseeds: [1]\nrun: [b]\n", ", line 3: the key `run` stands in line 1 already"),
        ('{"run": ["a"], "run": ["b"]}', ": this is no configuration (the key `run` twice)"),
        ("a:\n  b: &b\n    c: *b\n", ", line 2: an anchor (&name) is named (*name) inside of itself"),
        (f"a: &a [{', '.join(['1'] * 9)}]\n{LAUGH}", "this has more than 50000 values"),
        ("a: 1\n2: b\n", ", line 2: this key is not read as text; quote it"),
        ("a: 1\nyes: b\n", ", line 2: this key is not read as text"),
        ("? [a, b]\n: c\n", ", line 1: this key is not read as text"),
        ("a: 2024-01-01 10:00:00\n", ", line 1: `2024-01-01 10:00:00` is read as `timestamp`; quote it"),
        ("a: !odd b\n", ", line 1: `b` is read as `!odd`"),
        ("a: !!python/object:os.system b\n", ", line 1: `b` is read as `os.system`"),
        ("a: !!set {b, c}\n", ", line 1: this is read as `set`"),
        ("a: b\nc: \x01\n", ", line 2: a control character stands here"),
        (b"a: b\nc: \xe9\n", " is not UTF-8 text (line 2, "),
        (f"a: {'9' * 5000}\n", ": this is no configuration ("),
        ("[" * 3000, ": this is no configuration ("),
        (f"a: {'x' * (1 << 20)}\n", " has 1048580 characters"),
    ],
)
def test_a_broken_file_is_named_with_the_line(tmp_path, content, fault):
    path = tmp_path / "my.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        check_files([path])
    said = str(error.value)
    assert said.startswith(str(path)) and fault in said
    assert len(said) < len(str(path)) + 250 and said.isprintable()


def test_a_directory_and_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(UserError, match=r"is a directory|does not exist"):
            check_files([path])


def test_files_are_read_and_merged_as_snakemake_does(tmp_path):
    from snakemake.utils import update_config

    marked = tmp_path / "marked.yaml"
    marked.write_bytes("\ufefftraining: {epochs: 9}\n".encode())
    for overlay in (*SHIPPED[1:], marked):
        merged = yaml.safe_load(SHIPPED[0].read_text())
        update_config(merged, yaml.safe_load(overlay.read_text(encoding="utf-8-sig")))
        assert read_files([SHIPPED[0], overlay]) == merged


def test_the_command_checks_what_files_say_together(tmp_path, monkeypatch, capsys):
    mine = tmp_path / "my.yaml"
    mine.write_text("training: {epochs: 3}\n")
    monkeypatch.chdir(ROOT)  # config.yaml lies there
    monkeypatch.setattr("sys.argv", ["pipestill", "check", str(mine)])
    main()
    assert capsys.readouterr().out == f"{mine}: no fault was found\n"
    mine.write_text("training: {epoch: 3}\n")
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "error: config: unknown key `training.epoch`; docs/config.md lists the keys\n"
