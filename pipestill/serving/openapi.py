"""The description of the API: a path for each experiment, with an example from its test data."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from pipestill.errors import UserError
from pipestill.io.records import Json
from pipestill.serving.chat_body import ChatBody
from pipestill.serving.problems import CHATS, MEDIA_TYPE, Problem
from pipestill.serving.serving import Serving
from pipestill.serving.shelf import Exhibit
from pipestill.serving.studies import options_schema

PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence with the fault and the way out."},
    },
}
FAULT = {
    "description": "a fault, with a sentence",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
FAULT_OF_CHATS = {
    "description": "a fault, as clients of chats know it",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "error": {
                        "type": "object",
                        "properties": {
                            "message": {"type": "string"},
                            "type": {"type": "string"},
                            "param": {"type": ["string", "null"]},
                            "code": {"type": ["string", "null"]},
                        },
                    }
                },
            }
        }
    },
}
ERRORS = {
    "400": "the body is no JSON",
    "404": "there is no such experiment or run",
    "413": "the body is too long",
    "415": "the body is not said to be JSON",
    "422": "a field is unknown, missing, or no text",
    "429": "too many requests wait",
    "503": "the model cannot be loaded now, or the server is ending",
    "504": "there was no answer in time",
}
SEED = {
    "name": "seed",
    "in": "query",
    "required": False,
    "schema": {"type": "integer"},
    "description": "Run of the experiment; the first when absent.",
}


def describe(app: FastAPI, serving: Serving) -> None:
    """Have ``app`` describe what the tree holds at the time."""

    def openapi() -> Json:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = made.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = PROBLEM
        for path, operations in made["paths"].items():
            for each in operations.values():  # FastAPI describes errors of its own, which are not answered here
                each["responses"].pop("422", None)
                each["responses"]["default"] = FAULT_OF_CHATS if path.startswith(CHATS) else FAULT
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        if serving.settings.token:
            made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            made["security"] = [{"token": []}]
        for exhibit in serving.shelf.all():
            made["paths"][f"/infer/{exhibit.name}"] = {"post": operation(serving, exhibit, schemas)}
        describe_chats(made["paths"]["/v1/chat/completions"]["post"], serving, schemas)
        return made

    app.openapi = openapi  # type: ignore[method-assign]


def describe_chats(operation: Json, serving: Serving, schemas: Json) -> None:
    """Add the body of a request to the operation that asks in a chat, and its parts to ``schemas``."""
    _, found = models_json_schema([(ChatBody, "validation")], ref_template="#/components/schemas/{model}")
    schemas |= found["$defs"]
    example: Json = {"messages": [{"role": "user", "content": "..."}], "stream": False}
    for exhibit in serving.shelf.all():
        if exhibit.task.answers.written:
            text = request_of(serving, exhibit).get("example", {}).get(exhibit.task.inputs[0], "...")
            example |= {"model": exhibit.name, "messages": [{"role": "user", "content": text}]}
            break
    content = {"schema": {"$ref": "#/components/schemas/ChatBody"}, "example": example}
    operation["requestBody"] = {"required": True, "content": {"application/json": content}}


def operation(serving: Serving, exhibit: Exhibit, schemas: Json) -> Json:
    """The operation that asks one experiment; the schema of its reply is added to ``schemas``."""
    reply = exhibit.task.answers.Reply
    schemas[reply.__name__] = reply.model_json_schema()
    found = exhibit.measured
    reached = f" {found['title']} {found['mean']:.{found['decimals']}f} on test data." if found else ""
    return {
        "summary": f"Ask {exhibit.name}",
        "description": f"{exhibit.title}, task {exhibit.task.name}.{reached}",
        "operationId": f"infer_{exhibit.name}",
        "tags": [exhibit.study],
        "parameters": [SEED],
        "requestBody": {"required": True, "content": {"application/json": request_of(serving, exhibit)}},
        "responses": {
            "200": {
                "description": "the answer",
                "content": {"application/json": answer_of(exhibit, {"$ref": f"#/components/schemas/{reply.__name__}"})},
            }
        }
        | {status: {**FAULT, "description": said} for status, said in ERRORS.items()},
    }


def request_of(serving: Serving, exhibit: Exhibit) -> Json:
    """The body of a request, with the first test example."""
    task, options = exhibit.task, options_schema(exhibit, serving.settings.allow_schemas)
    texts: dict[str, Any] = {name: {"type": "string"} for name in task.inputs}
    fields = {name: {"enum": serving.examples.values(exhibit, name)} for name in task.layout.fields}
    content: Json = {
        "schema": {
            "type": "object",
            "properties": {**options["properties"], **fields, **texts},
            "required": exhibit.first.settings.asking.prompt.missing(dict.fromkeys(task.inputs, "")),
            "additionalProperties": False,
        }
    }
    try:
        row = serving.examples.row(exhibit, 1)
    except (Problem, UserError):
        return content
    return content | {"example": {name: text for name, text in {**row["inputs"], **row["fields"]}.items() if text}}


def answer_of(exhibit: Exhibit, schema: Json) -> Json:
    """The body of an answer, with what the experiment said to the first test example."""
    said = exhibit.first_prediction
    if said is None:
        return {"schema": schema}
    names = exhibit.task.answers.Reply.model_fields
    row = {"model_name": exhibit.name, **said}
    return {"schema": schema, "example": {name: row[name] for name in names if name in row}}
