"""Published archives as they are, with all their oddities."""

import zipfile

import pytest

from pipestill.errors import UserError
from pipestill.layouts.example import BadRow
from pipestill.tasks.multiclinsum.archives import case_of, language_of, read_set, write_sets


def archive(path, entries):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def pair(stem, folder="gs", text="a long report", summary="short"):
    return {f"{folder}/fulltext/{stem}.txt": text, f"{folder}/summaries/{stem}_sum.txt": summary}


def rows(source, **options):
    return {name: str(row) if isinstance(row, BadRow) else row for name, row in read_set(source, **options).rows}


def test_pairs_are_matched_by_name_and_sorted_by_number(tmp_path):
    entries = {}
    for number in (10, 2, 1):
        entries |= pair(f"multiclinsum_gs_en_{number}", text=f"report {number}", summary=f"s{number}")
    found = rows(archive(tmp_path / "multiclinsum_gs_train_en.zip", entries))
    assert list(found) == [f"multiclinsum_gs_en_{number}" for number in (1, 2, 10)]
    assert found["multiclinsum_gs_en_10"] == {
        "file": "multiclinsum_gs_en_10",
        "language": "en",
        "case": "gs-10",
        "input": "report 10",
        "output": "s10",
    }


@pytest.mark.parametrize("stem", ["multiclinsum_ls_fr_7", "multiclinsum_test_7_fr", "multiclinsum_gs_fr_7"])
def test_language_and_case_come_from_the_names_of_every_set(tmp_path, stem):
    (row,) = rows(archive(tmp_path / "x.zip", pair(stem))).values()
    assert row["language"] == "fr"
    assert row["case"] == case_of(stem.replace("_fr", "_pt"))
    assert case_of(stem) != case_of(stem.replace("7", "8"))


def test_the_folder_says_what_a_file_is_where_its_name_does_not(tmp_path):
    entries = {"x/fulltext/gs_en_1.txt": "a long report", "x/Summaries/gs_en_1.txt": "short"}
    assert rows(archive(tmp_path / "x.zip", entries))["gs_en_1"]["output"] == "short"


def test_sets_do_not_share_cases():
    stems = [f"multiclinsum_{name}" for name in ("gs_en_1", "ls_en_1", "test_1_en")]
    assert [case_of(stem) for stem in stems] == ["gs-1", "ls-1", "test-1"]


def test_a_name_without_language_takes_it_from_its_set(tmp_path):
    assert rows(archive(tmp_path / "multiclinsum_gs_train_pt.zip", pair("case_3")))["case_3"]["language"] == "pt"
    assert rows(archive(tmp_path / "a.zip", pair("case_3", "my_es/x")))["case_3"]["language"] == "es"
    assert rows(archive(tmp_path / "b.zip", pair("case_3")))["case_3"].startswith("no language (en, es, fr, pt)")
    assert language_of("patients_pts_est") is None


def test_doubled_folders_nested_archives_and_lone_files(tmp_path):
    name = "multiclinsum_gs_train_fr"
    entries = pair("multiclinsum_gs_fr_1", f"{name}/{name}") | {
        f"{name}/{name}/{name}.zip": b"PK\3\4 nested",
        f"{name}/readme.md": "about",
        f"__MACOSX/{name}/fulltext/._multiclinsum_gs_fr_1.txt": b"\0\5\26\7",
        f"{name}/{name}/fulltext/multiclinsum_gs_fr_2.txt": "a report alone",
        f"{name}/{name}/summaries/multiclinsum_gs_fr_3_sum.txt": "a summary alone",
    }
    source = archive(tmp_path / f"{name}.zip", entries)
    documents = read_set(source)
    assert [name for name, row in documents.rows if not isinstance(row, BadRow)] == ["multiclinsum_gs_fr_1"]
    assert documents.ignored == [f"{name}/{name}/{name}.zip", f"{name}/readme.md"]
    found = rows(source)
    assert found["multiclinsum_gs_fr_2"] == "full text without a summary"
    assert found["multiclinsum_gs_fr_3"] == "summary without a full text"
    with zipfile.ZipFile(source) as file:
        file.extractall(tmp_path / "unpacked")
    assert rows(tmp_path / "unpacked") == found


def test_texts_are_normalised(tmp_path):
    entries = pair("multiclinsum_gs_es_1", text="\ufeffnin\u0303o\r\nsegunda\rtercera \n", summary="  an\u0303o ")
    row = rows(archive(tmp_path / "x.zip", entries))["multiclinsum_gs_es_1"]
    assert (row["input"], row["output"]) == ("niño\nsegunda\ntercera", "año")


def test_the_same_document_twice_counts_once_and_two_versions_are_bad(tmp_path):
    stem = "multiclinsum_gs_en_1"
    once = pair(stem) | {f"again/fulltext/{stem}.txt": "a long report"}
    assert rows(archive(tmp_path / "x.zip", once))[stem]["output"] == "short"
    twice = pair(stem) | {f"again/fulltext/{stem}.txt": "another report"}
    assert rows(archive(tmp_path / "y.zip", twice)) == {stem: "fulltext: two files with this name, and different texts"}


def test_a_file_in_another_encoding_costs_one_document(tmp_path):
    entries = pair("multiclinsum_gs_es_1", text="niño".encode("latin-1")) | pair("multiclinsum_gs_es_2")
    found = rows(archive(tmp_path / "x.zip", entries))
    assert found["multiclinsum_gs_es_1"] == "fulltext: not UTF-8 text"
    assert found["multiclinsum_gs_es_2"]["input"] == "a long report"


def test_test_sets_whose_summaries_are_held_back(tmp_path):
    entries = {f"test/fulltext/multiclinsum_test_{n}_en.txt": f"report {n}" for n in (3, 20)}
    found = rows(archive(tmp_path / "multiclinsum_test_en.zip", entries), answered=False)
    assert [(row["input"], row["output"]) for row in found.values()] == [("report 3", ""), ("report 20", "")]


def test_a_source_without_text_says_what_it_holds(tmp_path):
    with pytest.raises(UserError, match=r"holds no text file; it holds x/inner.zip, name such archives themselves"):
        read_set(archive(tmp_path / "x.zip", {"x/inner.zip": "PK"}))


def test_what_is_written_is_read_back_and_is_the_same_every_time(tmp_path):
    written = [
        {
            "file": f"multiclinsum_synthetic_{language}_{number}",
            "language": language,
            "case": f"synthetic-{number}",
            "input": f"niño {language} {number}",
            "output": "año",
            "findings": "- clave",
        }
        for number in (1, 2, 11)
        for language in ("en", "es")
    ]
    paths = write_sets(written, tmp_path)
    assert [path.name for path in paths] == [f"multiclinsum_synthetic_train_{code}.zip" for code in ("en", "es")]
    found = [row for path in paths for row in rows(path).values()]
    assert sorted(found, key=lambda row: row["file"]) == sorted(written, key=lambda row: row["file"])
    (tmp_path / "again").mkdir()
    again = write_sets(written, tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]
