"""`POST /judge/{study}`: one answer to a test example, scored as the pipeline scores it."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pipestill.errors import UserError
from pipestill.evaluation.formats import MISSING
from pipestill.io.records import Json, Record
from pipestill.job.halves import half
from pipestill.metrics.catalogue import entry_of
from pipestill.reporting.examples import value_of
from pipestill.serving.body import read_object
from pipestill.serving.problems import Problem
from pipestill.serving.serving import Serving
from pipestill.serving.shelf import Exhibit

LONGEST = 20_000  # characters of an answer
EXAMPLE = {"example": 1, "prediction": "..."}
BODY = {
    "type": "object",
    "properties": {
        "example": {"type": "integer", "description": "Number of a test example, from 1."},
        "prediction": {"type": "string", "maxLength": LONGEST, "description": "The answer."},
    },
    "required": ["example", "prediction"],
    "additionalProperties": False,
}
DESCRIBED = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": BODY, "example": EXAMPLE}}},
}


def given(body: Json) -> tuple[int, str]:
    """The number of an example and the answer in a body.

    Raises:
        Problem: it has others, or more.
    """
    number, answer = body.get("example"), body.get("prediction")
    if body.keys() != {"example", "prediction"} or type(number) is not int or not isinstance(answer, str):
        raise Problem(422, f"an answer to a test example is judged: send {json.dumps(EXAMPLE)}")
    if len(answer) > LONGEST:
        raise Problem(422, f"`prediction` has {len(answer)} characters: send {LONGEST} at most")
    if any("\ud800" <= char <= "\udfff" for char in answer):
        raise Problem(422, "`prediction` is not UTF-8 text: send it as UTF-8")
    return number, answer


def judged(exhibit: Exhibit, record: Record, answer: str) -> Json:
    """The scores of an answer, and it and the reference as the report shows them, differences marked.

    Raises:
        UserError: it cannot be scored here.
    """
    task = exhibit.task
    scores, shown = half(task.answers, "judge").judge(task, exhibit.first.settings, record, answer)
    names = [name for table in task.answers.tables[:1] for name in table.names if name in scores]
    return {"scores": [_score(name, scores[name]) for name in names], **asdict(shown)}


def router(serving: Serving) -> APIRouter:
    """The route."""
    routes = APIRouter()
    worker = ThreadPoolExecutor(1, "judge")  # so that the sandbox takes no more than its share of the machine

    @routes.post("/judge/{study}", openapi_extra=DESCRIBED)
    async def judge(request: Request, study: str) -> Response:
        """Score an answer to a test example; code is run in the sandbox, where the server may do that."""
        number, answer = given(await read_object(request))
        exhibit = serving.shelf.find_study(study)
        if exhibit.task.answers.run_to_judge and not serving.settings.allow_code:
            raise Problem(403, "this server runs no code: start it with `--allow-code`")
        record = serving.examples.record(exhibit, number)
        try:
            with serving.admission():
                judging = asyncio.get_running_loop().run_in_executor(worker, judged, exhibit, record, answer)
                found = await serving.until(request, judging)
        except UserError as error:
            raise Problem(503, str(error)) from None
        return JSONResponse(found)

    return routes


def _score(name: str, stored: float | list[float]) -> Json:
    entry, value = entry_of(name), value_of(name, stored)
    text = MISSING if value is None else f"{value:.{entry.decimals}f}"
    return {"metric": name, "title": entry.title, "value": value, "text": text}
