"""The API of a server: answers are those of the pipeline, and whatever is wrong is one sentence."""

import json
import re

import pytest

from pipestill.answers.labels import LabelReply
from pipestill.inference.by_hand import Predictor
from pipestill.inference.target import find_target
from pipestill.io.records import read_jsonl
from support.http import call
from support.served import make_results, served

FEATURES = {"features": "Age: 23.0, Outstanding Debt: 809.98"}
SEED_FIELDS = ["model_name", "prediction", "scores", "raw_scores", "prior", "probabilities", "top2_margin"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    tasks = {"creditmix": {}, "dolly": {}, "codegen": {}, "idp": {}}
    return make_results(tmp_path_factory.mktemp("results"), **tasks)


@pytest.fixture(scope="module")
def server(results):
    with served(results) as (address, server):
        yield address, server


@pytest.fixture(scope="module")
def address(server):
    return server[0]


def infer(address, body, name="creditmix_sft", query="", **headers):
    return call(address, "POST", f"/infer/{name}{query}", body, **headers)


def test_a_label_has_the_fields_of_the_published_api_and_they_agree(address, results):
    found = infer(address, FEATURES)
    reply = found.json()
    assert found.status == 200 and list(reply) == SEED_FIELDS == list(LabelReply.model_fields)
    for label in ("Good", "Standard", "Bad"):
        assert reply["scores"][label] == pytest.approx(reply["raw_scores"][label] - reply["prior"][label])
    assert sum(reply["probabilities"].values()) == pytest.approx(1)
    assert reply["prediction"] == max(reply["probabilities"], key=reply["probabilities"].get)
    by_hand = Predictor(find_target("creditmix_sft", results, "creditmix")).reply(FEATURES)
    assert reply["scores"] == pytest.approx(by_hand["scores"], abs=1e-5)
    assert {name: found.headers[name] for name in ("x-pipestill-seed", "x-pipestill-answer-tokens")} == {
        "x-pipestill-seed": "1",
        "x-pipestill-answer-tokens": "0",
    }
    assert re.fullmatch(r"queue;dur=[\d.]+, model;dur=[\d.]+", found.headers["server-timing"])
    assert int(found.headers["x-pipestill-prompt-tokens"]) > 10 and "x-pipestill-cropped" not in found.headers


def test_methods_of_the_study_and_seeds_have_names(address):
    assert infer(address, FEATURES, "sft").json()["model_name"] == "creditmix_sft"
    assert infer(address, FEATURES, query="?seed=2").headers["x-pipestill-seed"] == "2"


def test_other_answers_have_what_their_kind_knows(address):
    text = infer(address, {"instruction": "Name it.", "max_new_tokens": 5}, "dolly_sft")
    assert list(text.json()) == ["model_name", "prediction", "sampling_seed", "repeats"]
    assert 0 < int(text.headers["x-pipestill-answer-tokens"]) <= 5
    document = infer(address, {"document": "Invoice 1 " * 200}, "idp_sft")
    assert "faults" in document.json() and document.headers["x-pipestill-cropped"] == "true"
    planned = infer(address, {"prompt": "Sort.", "plan_then_code": True}, "codegen_sft").json()
    assert isinstance(planned["rationale"], str)
    drawn = [infer(address, {"instruction": "Go.", "sampling": True}, "dolly_sft").json() for _ in range(2)]
    assert drawn[0] == drawn[1] and drawn[0]["sampling_seed"] is not None


def test_studies_say_what_may_be_asked(address):
    studies = {study["study"]: study for study in call(address, "GET", "/studies").json()}
    assert list(studies) == ["codegen", "creditmix", "dolly", "idp"]
    assert studies["creditmix"]["inputs"] == ["features"] and studies["creditmix"]["kind"] == "labels"
    [experiment] = studies["creditmix"]["experiments"]
    assert experiment["experiment"] == "creditmix_sft" and experiment["seeds"] == [1, 2]
    assert "plan_then_code" in studies["codegen"]["options"]["properties"]
    assert "schema" not in studies["idp"]["options"]["properties"]
    assert studies["creditmix"]["examples"] == 3


def test_examples_are_test_rows(address, results):
    rows = [row for row in read_jsonl(results / "data/creditmix/cropped.jsonl") if row["split"] == "test"]
    example = call(address, "GET", "/studies/creditmix/examples/2").json()
    assert (example["id"], example["references"], example["of"]) == (rows[1]["id"], rows[1]["references"], 3)
    drawn = [call(address, "GET", f"/studies/creditmix/examples?draw={draw}").json()["number"] for draw in (5, 5, 6)]
    assert drawn[0] == drawn[1] and set(drawn) <= {1, 2, 3}
    assert call(address, "GET", "/studies/creditmix/examples/4").status == 404
    assert call(address, "GET", "/studies/none/examples/1").status == 404


def test_the_description_has_a_path_for_each_experiment_with_real_examples(address):
    api = call(address, "GET", "/openapi.json").json()
    operation = api["paths"]["/infer/creditmix_sft"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    reply = infer(address, content["example"])
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert reply.status == 200 and list(shown) == SEED_FIELDS
    assert shown["scores"] == pytest.approx(reply.json()["scores"], abs=1e-5)
    assert set(api["components"]["schemas"]["LabelReply"]["properties"]) == set(SEED_FIELDS)
    assert content["schema"]["required"] == ["features"]
    assert "Problem" in str(api["paths"]["/studies/{study}/examples"]["get"]["responses"]["default"])
    assert "HTTPValidationError" not in str(api)
    page = call(address, "GET", "/docs").body.decode()
    assert "curl -s -X POST" in page and "/infer/creditmix_sft" in page
    assert not re.search(r"(src|href)=\"https?:", page)


def test_what_is_counted_has_labels_of_the_shelf_alone(address):
    infer(address, FEATURES, "a-secret")
    infer(address, FEATURES)
    text = call(address, "GET", "/metrics").body.decode()
    assert 'pipestill_tokens_total{direction="read",experiment="creditmix_sft"}' in text
    assert 'pipestill_requests_total{path="/infer/{experiment}",status="404"}' in text
    assert "secret" not in text and "pipestill_models_bytes" in text


def deep(name: str, levels: int) -> bytes:
    return b'{"%s": %s%s}' % (name.encode(), b"[" * levels, b"]" * levels)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "is not JSON"),
        (b'{"features": "a", "features": "b"}', 400, "gives `features` twice"),
        (b'{"features": NaN}', 400, "holds NaN"),
        (b'{"features": -Infinity}', 400, "holds -Infinity"),
        (b'{"features": ' + b"9" * 5000 + b"}", 400, "too many digits"),
        (b'{"features": 1e999}', 422, "`features` is no text"),
        (b'{"features": "\xff"}', 400, "is not UTF-8"),
        (b'{"features": "\\ud800"}', 422, "`features` is not UTF-8 text"),
        (b'{"\\ud800": "a"}', 422, "is unknown here: send features"),
        (deep("features", 100_000), 400, "nested too deeply"),
        (deep("calibration", 100), 400, "nested too deeply"),
        (deep("calibration", 99), 422, "`calibration`"),
        (b"[]", 422, "no JSON object"),
        (b'""', 422, "no JSON object"),
        (b"", 400, "is not JSON"),
        ({}, 422, "give `features`"),
        ({"features": " "}, 422, "give `features`"),
        ({"features": None}, 422, "`features` is no text"),
        ({"features": ["a"]}, 422, "`features` is no text"),
        ({"feature": "a"}, 422, "`feature` is unknown here: send features"),
        ({**FEATURES, "calibration": "best"}, 422, "`calibration`"),
        ({**FEATURES, "calibration": []}, 422, "`calibration`"),
        ({**FEATURES, "max_new_tokens": 10**6}, 422, "`max_new_tokens` is above"),
        ({**FEATURES, "null_inputs": ["a"]}, 422, "`null_inputs` is unknown"),
        ({"features": "a" * 2**20}, 413, "longer than the 1048576 bytes that this server reads"),
    ],
)
def test_wrong_bodies_are_one_sentence(address, body, status, said):
    refused(infer(address, body), status, said)


def refused(found, status, said):
    problem = found.json()
    assert found.status == status and found.headers["content-type"] == "application/problem+json"
    assert list(problem) == ["type", "title", "status", "detail"] and problem["status"] == status
    assert said in problem["detail"] and "\n" not in problem["detail"] and "Traceback" not in problem["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("POST", "/infer/other", 404, "this server has codegen_sft, creditmix_sft, dolly_sft, idp_sft"),
        ("POST", "/infer/..%2F..%2Fetc", 404, "there is nothing at this path"),
        ("POST", "/infer/creditmix_sft?seed=9", 404, "has no run with seed 9: there are 1, 2"),
        ("POST", "/infer/creditmix_sft?seed=one", 422, "`seed` is no number"),
        ("GET", "/infer/creditmix_sft", 405, "takes other methods"),
        ("GET", "/nowhere", 404, "there is nothing at this path"),
        ("GET", "/studies/creditmix/examples/first", 422, "`number`"),
        ("DELETE", "/health", 405, "takes other methods"),
    ],
)
def test_wrong_paths_are_one_sentence(address, method, path, status, said):
    refused(call(address, method, path, FEATURES), status, said)


def test_a_body_must_be_said_to_be_json(address):
    refused(infer(address, json.dumps(FEATURES).encode(), Content_Type="text/plain"), 415, "Content-Type")


def test_schemas_come_from_clients_only_where_that_is_allowed(address, results):
    schema = {"type": "object", "properties": {"open": {"type": "boolean"}}, "required": ["open"]}
    refused(infer(address, {"document": "a", "schema": schema}, "idp_sft"), 422, "--allow-schemas")
    with served(results, allow_schemas=True, experiments=("idp_sft",)) as (allowing, _):
        said = infer(allowing, {"document": "a", "schema": schema}, "idp_sft").json()
        assert json.loads(said["prediction"]).keys() <= {"open"}
        refused(infer(allowing, {"document": "a", "schema": "/etc/passwd"}, "idp_sft"), 422, "no JSON object")
        names = {f"p{number}": {"type": "null"} for number in range(600)}
        large = {"type": "object", "properties": names}
        refused(infer(allowing, {"document": "a", "schema": large}, "idp_sft"), 422, "`schema`")


def test_no_text_is_in_the_log(address, caplog):
    caplog.set_level("INFO")
    infer(address, {"features": "a secret"})
    infer(address, {"features": "a secret", "secret": "a"})
    call(address, "GET", "/secret?secret=a")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("pipestill")]
    assert len(lines) == 3 and "secret" not in "".join(lines)
    assert re.fullmatch(
        r"127.0.0.1 POST /infer/\{experiment\} creditmix_sft 200, 24 bytes in, \d+ out, [\d.]+ ms", lines[0]
    )
