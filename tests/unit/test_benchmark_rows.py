"""What the benchmark of rows says of what stages take."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # which the benchmark sets where nobody has
    import rows

    return rows


@pytest.mark.parametrize(
    ("seconds", "mb", "missed"),
    [(99.9, 110, []), (99.9, 290, ["more than 200 bytes"]), (199.8, 110, ["2.00 times the time"])],
)
def test_goals_that_are_missed_are_named(rows, seconds, mb, missed):
    def cost(seconds, mb, count):
        return {"crop": rows.Cost(2 + seconds, mb * 10**6, count)}

    few = {1_000: cost(0, 50, 1_000), 101_000: cost(10, 60, 101_000)}
    first, line = rows.lines("csv", few | {1_000_000: cost(seconds, mb, 1_000_000)})
    assert (first.us, first.size, first.missed) == (100, None, ())
    assert (line.us, line.size) == pytest.approx((seconds / 0.999, (mb - 60) / 0.899))
    assert list(line.missed) == missed


def test_what_was_measured_is_not_measured_again(rows, monkeypatch, tmp_path):
    taken = []
    monkeypatch.setattr(rows, "run", lambda command: taken.append(command) or (3.0, 1000))
    tree = rows.Tree("csv", 50, tmp_path)
    tree.root.mkdir()
    tree.measured.write_text(json.dumps({"records": [1.0, 10, 50]}))
    assert rows.measure(tree, ["records", "crop"]) == {
        "records": rows.Cost(1.0, 10, 50),
        "crop": rows.Cost(3.0, 1000, 50),
    }
    assert len(taken) == 1
    assert rows.measure(tree, []) == rows.measure(tree, ())
    assert len(taken) == 1
