"""The playground of a whole run: what a model answers to a test example there is what the pipeline answered."""

import json
from contextlib import ExitStack

import pytest

from pipestill.io.records import of_split, read_jsonl, read_records
from pipestill.serving.app import create_app
from pipestill.serving.settings import ServeSettings
from support.browser import chromium, visited
from support.stand_in import served

PLACE = "#study={0}&model={0}_{1}&model={0}_{2}&seed=1&example=2&asked=yes"
OWN = "e => [...e.childNodes].filter(each => each.tagName !== 'DEL').map(each => each.textContent).join('')"


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(run):
    with served(create_app(ServeSettings(results=run / "results", allow_code=True))) as address:
        yield address


@pytest.fixture
def compare(browser, server, run):
    """A function that follows a link to the answers of two models to the second test example of a study; gives the
    first one's card, the text in it without what is struck out, and what that model said in the run."""
    with ExitStack() as stack:

        def compare(study, *methods):
            page = stack.enter_context(visited(browser, server, PLACE.format(study, *methods)))
            page.set_default_timeout(60_000)  # two models are loaded
            page.locator("#results:not([aria-busy]) .facts").first.wait_for()
            example = of_split(read_records(run / f"results/data/{study}/cropped.jsonl"), "test")[1]
            rows = read_jsonl(run / f"results/{study}_{methods[0]}/predictions/seed_1/predictions.jsonl")
            assert example.id in page.inner_text("#about")
            card = page.locator("#results article").nth(1)
            said = next(row for row in rows if row["id"] == example.id)
            return card, card.locator(".words").last.evaluate(OWN), said

        yield compare


def test_labels(compare):
    card, text, said = compare("creditmix", "sft", "teacher")
    assert text == said["prediction"]
    shares = [float(text) for text in card.locator(".bars .num").all_inner_texts()]
    assert shares == pytest.approx(sorted(said["probabilities"].values(), reverse=True), abs=1e-3)


def test_texts(compare):
    card, text, said = compare("multiclinsum", "sft", "stepwise")
    assert text.split() == said["prediction"].split()
    assert "ROUGE-L" in card.inner_text() and "tokens read" in card.inner_text()


def test_json(compare):
    card, text, said = compare("idp", "sft", "dpo")
    assert "field F1" in card.inner_text()
    if "no JSON" in card.inner_text():  # cut at its limit
        assert text == said["prediction"]
    else:
        assert json.loads(text).keys() == json.loads(said["prediction"]).keys()


def test_code(compare):
    card, text, _ = compare("codegen", "kd", "kd-plan")  # drawn, and each prompt by hand is a draw of its own
    assert "pass@1" in card.inner_text() and card.get_by_text("tests").is_visible() and text
