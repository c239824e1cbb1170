"""Archives that lead out of their directory, that are too large, damaged, or hold links."""

import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from pipestill.errors import UserError
from pipestill.io.archives import Limits, members
from pipestill.io.digests import json_digest
from pipestill.layouts.documents import DocumentFile, take_documents


def archive(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in entries:
            file.writestr(name, content)
    return path


def read(source, **options):
    return [(member.name, member.content) for member in members(source, **options)]


def test_an_archive_and_its_folder_read_alike(tmp_path):
    entries = [("x/b.txt", "two"), ("x/a.TXT", "one"), ("x/inner.zip", "PK"), ("__MACOSX/x/._a.txt", "?"), ("x/.c", "")]
    source = archive(tmp_path / "x.zip", entries)
    expected = [("x/a.TXT", b"one"), ("x/b.txt", b"two"), ("x/inner.zip", None)]
    assert read(source) == expected
    with zipfile.ZipFile(source) as file:
        file.extractall(tmp_path / "folder")
    assert read(tmp_path / "folder") == expected


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "x/../../a.txt", "C:/a.txt", "..\\a.txt"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="a name that leads out of it"):
        read(archive(tmp_path / "x.zip", [(name, "text")]))
    assert [path.name for path in tmp_path.rglob("*")] == ["x.zip"]


def test_links_in_archives_are_refused(tmp_path):
    link = zipfile.ZipInfo("x/a.txt")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with pytest.raises(UserError, match="holds a link, x/a"):
        read(archive(tmp_path / "x.zip", [(link, "/etc/passwd")]))


def test_links_in_folders_may_not_lead_out(tmp_path):
    folder, other = tmp_path / "x", tmp_path / "secret.txt"
    folder.mkdir()
    other.write_text("secret")
    (folder / "a.txt").write_text("text")
    (folder / "b.txt").symlink_to("a.txt")
    assert read(folder) == [("a.txt", b"text"), ("b.txt", b"text")]
    (folder / "c.txt").symlink_to(other)
    with pytest.raises(UserError, match="is a link to a place outside"):
        read(folder)
    (folder / "c.txt").unlink()
    (folder / "d").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UserError, match="is a link to a place outside"):
        read(folder)
    linked = tmp_path / "linked"
    linked.symlink_to(folder)
    (folder / "d").unlink()
    assert len(read(linked)) == 2


def test_sizes_are_limited_by_what_is_read(tmp_path):
    source = archive(tmp_path / "x.zip", [("a.txt", "1" * 100), ("b.txt", "2" * 100), ("c.bin", "3" * 1000)])
    assert len(read(source, limits=Limits(files=3, file_bytes=100, total_bytes=200))) == 3
    for limits, message in (
        (Limits(files=2), "more than 2 files"),
        (Limits(file_bytes=99), "a.txt is larger than 99 bytes"),
        (Limits(total_bytes=199), "more than 199 bytes of text"),
    ):
        with pytest.raises(UserError, match=message):
            read(source, limits=limits)


def test_a_bomb_is_not_inflated(tmp_path):
    """A file of 64 MB in 64 kB: no more of it is held than the limit."""
    import tracemalloc

    source = archive(tmp_path / "x.zip", [("a.txt", b"0" * (64 << 20))])
    assert source.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(UserError, match="larger than"):
        read(source, limits=Limits(file_bytes=1 << 20))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_damaged_archives_are_named(tmp_path):
    source = archive(tmp_path / "x.zip", [("a.txt", os.urandom(5000))])
    content = bytearray(source.read_bytes())
    content[1000] ^= 1
    (tmp_path / "flipped.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"a.txt cannot be read \(Bad CRC-32.*download the archive again"):
        read(tmp_path / "flipped.zip")
    content[content.index(b"PK\1\2")] ^= 1
    (tmp_path / "directory.zip").write_bytes(content)
    with pytest.raises(UserError, match="is a damaged zip archive"):
        read(tmp_path / "directory.zip")
    (tmp_path / "short.zip").write_bytes(source.read_bytes()[:-30])
    (tmp_path / "text.zip").write_text("not a zip")
    for name in ("short.zip", "text.zip"):
        with pytest.raises(UserError, match="is not a zip archive: download it again"):
            read(tmp_path / name)
    with pytest.raises(UserError, match="does not exist"):
        read(tmp_path / "none")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_named_whatever_the_compression(tmp_path, compression):
    source = archive(tmp_path / "x.zip", [("a.txt", "a text that is compressed " * 400)], compression)
    content = bytearray(source.read_bytes())
    start = content.index(b"a.txt") + len("a.txt") + 20
    content[start : start + 20] = b"\xff" * 20
    source.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip: a\.txt cannot be read .*download the archive again"):
        read(source)


def test_a_name_that_comes_twice_and_an_encrypted_file_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = archive(tmp_path / "x.zip", [("a.txt", "1"), ("a.txt", "2")])
    with pytest.raises(UserError, match=r"holds a\.txt twice"):
        read(twice)
    encrypted = archive(tmp_path / "e.zip", [("a.txt", "1")], zipfile.ZIP_STORED)
    content = bytearray(encrypted.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the central directory
    encrypted.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.txt is encrypted"):
        read(encrypted)


def test_nothing_is_written(tmp_path):
    source = archive(tmp_path / "x.zip", [("x/a.txt", "1")])
    read(source)
    assert list(Path(tmp_path).iterdir()) == [source]


NOT_UTF_8 = os.fsdecode(b"ni\xf1o_1.txt")


def folder(path, *names):
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("text")
    return path


def test_a_name_that_is_not_utf_8_is_refused_wherever_a_folder_is_looked_at(tmp_path):
    source = folder(tmp_path / "x", NOT_UTF_8)
    with pytest.raises(UserError, match=r"x holds 'ni\\udcf1o_1\.txt', a name that is not UTF-8: rename it"):
        read(source)
    assert json_digest(NOT_UTF_8) != json_digest("nino_1.txt")  # as a change of the folder is noticed
    with pytest.raises(UserError, match="a name that is not UTF-8"):
        take_documents({"mine": DocumentFile(path=str(source))}, tmp_path / "raw", tmp_path / "beside")


def test_two_spellings_of_one_name_are_two_files_nowhere(tmp_path):
    names = [unicodedata.normalize(form, "fulltext/niño_1.txt") for form in ("NFC", "NFD")]
    with pytest.raises(UserError, match=r"holds fulltext/niño_1\.txt twice, in two spellings"):
        read(folder(tmp_path / "x", *names))
    with pytest.raises(UserError, match=r"holds fulltext/niño_1\.txt twice"):
        read(archive(tmp_path / "x.zip", [(name, "text") for name in names]))


def test_links_that_lead_nowhere_are_refused_and_not_left_out(tmp_path):
    for name, target in (("lost.txt", "nowhere.txt"), ("circle.txt", "circle.txt")):
        source = folder(tmp_path / name, "a.txt")
        (source / name).symlink_to(target)
        with pytest.raises(UserError, match=rf"{name} is a link to nothing"):
            read(source)
    source = folder(tmp_path / "x", "sub/a.txt")
    (source / "again").symlink_to("sub", target_is_directory=True)
    assert [name for name, _ in read(source)] == ["sub/a.txt"]


def test_names_that_other_systems_cannot_have_are_read(tmp_path):
    long = f"{'s' * 300}.txt"
    names = ["A.txt", "CON.txt", "NUL.txt", "a.txt", "aux: b?.txt", long, "trailing.txt"]
    assert [name for name, _ in read(archive(tmp_path / "x.zip", [(name, "text") for name in names]))] == names


def test_a_name_that_says_it_is_utf_8_and_is_not_is_named(tmp_path):
    content = archive(tmp_path / "x.zip", [("niño.txt", "text")]).read_bytes().replace("ñ".encode(), b"\xff\xff")
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.zip is a damaged zip archive .*download it again"):
        read(tmp_path / "x.zip")
