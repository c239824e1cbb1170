"""The playground on the server of a whole run: what a test example is answered there is what the pipeline answered."""

import json

import pytest

from pipestill.answers.code.extraction import code_of
from pipestill.io.records import of_split, read_jsonl, read_records
from pipestill.serving.app import create_app
from pipestill.serving.settings import ServeSettings
from support.browser import chromium, visited
from support.stand_in import served


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def server(run):
    with served(create_app(ServeSettings(results=run / "results", allow_code=True))) as address:
        yield address


def shown(prediction, kind):
    """An answer as the page shows it."""
    if kind == "idp":
        return json.dumps(json.loads(prediction), ensure_ascii=False, indent=2)
    return code_of(prediction) if kind == "codegen" else prediction


@pytest.mark.parametrize(("study", "methods"), [("creditmix", "sft dpo"), ("dolly", "sft teacher"), ("idp", "sft kd")])
def test_answers_are_those_of_the_pipeline(browser, server, run, study, methods):
    example = of_split(read_records(run / "results" / "data" / study / "cropped.jsonl"), "test")[1]
    models = [f"{study}_{method}" for method in methods.split()]
    chosen = "".join(f"&model={name}" for name in models)
    with visited(browser, server, f"#study={study}{chosen}&seed=1&asked=yes&in.x=") as page:
        print(page.content())
