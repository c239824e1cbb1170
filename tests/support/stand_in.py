"""A server with canned answers of every kind, which the playground is tested against without a model."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from pipestill.serving.playground import router

LONG = "word " * 2000
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\u202emirrored \u05e9\u05dc\u05d5\u05dd",
    LONG,
    "bell \u0007",
    "{{ 7 * 7 }} ${7 * 7}",
]
GENERATED = {
    "properties": {
        "sampling": {"type": "boolean", "default": False, "description": "Draw tokens at random."},
        "temperature": {"type": "number", "minimum": 0, "maximum": 100, "description": "Temperature of sampling."},
        "max_new_tokens": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "description": "Limit."},
    }
}
PLAN = {"plan_then_code": {"type": "boolean", "description": "A model first writes a plan."}}
DECODING = {"decoding": {"enum": ["constrained", "free"], "description": "Whether the schema holds."}}
METRIC = {"name": "macro_f1", "title": "Macro F1", "mean": 0.7123, "ci95": [0.68, 0.74], "decimals": 3}


def study(name, title, kind, inputs, methods, **more):
    """What a server says of a study."""
    experiments = [
        {
            **{"experiment": f"{name}_{method}", "method": method, "title": said, "seeds": seeds, "metric": METRIC},
            "loaded": [1] if method == "teacher" else [],
        }
        for method, said, seeds in methods
    ]
    plain = {"task": name, "fields": {}, "options": {"properties": {}}, "examples": 6}
    return {"study": name, "title": title, "kind": kind, "inputs": inputs, "experiments": experiments, **plain, **more}


THREE = [("base", "Base", [1]), ("sft", "SFT", [1, 2, 3]), ("teacher", "Teacher", [1])]
STUDIES = [
    study("credit", "Credit <b>risk</b>", "labels", ["features"], THREE),
    study(
        *("cases", "Case reports", "text", ["document"], THREE[1:]),
        fields={"language": ["en", "es"]},
        options=GENERATED,
    ),
    study(
        *("bills", "Bills", "json", ["document"], THREE[:2]),
        options={"properties": GENERATED["properties"] | DECODING},
    ),
    study("code", "Code", "code", ["prompt"], THREE[:2], options={"properties": GENERATED["properties"] | PLAN}),
]
PROGRAM = "def double(x):\n    return x + x\n"
BILL = '{"number":"A-1","total":12.0,"lines":[{"text":"caf\\u00e9","price":1.50},{}]}'


@dataclass
class StandIn:
    """How the server answers.

    Attributes:
        token: that it asks for.
        fault: status and sentence of every answer to a question.
        open: answers to questions wait for it.
        asked: paths and bodies of questions.
        address: of the server.
    """

    token: str | None = None
    fault: tuple[int, str] | None = None
    open: threading.Event = field(default_factory=threading.Event)
    asked: list = field(default_factory=list)
    address: str = ""

    def __post_init__(self):
        self.open.set()

    def app(self) -> FastAPI:
        """It over HTTP."""
        app = FastAPI()
        app.include_router(router())

        @app.middleware("http")
        async def guarded(request: Request, go_on):
            open_to_all = request.url.path == "/" or request.url.path.startswith("/playground/")
            if self.token and not open_to_all and request.headers.get("authorization") != f"Bearer {self.token}":
                return problem(401, "send the token of this server as `Authorization: Bearer ...`")
            return await go_on(request)

        @app.get("/studies")
        def studies():
            return STUDIES

        @app.get("/studies/{name}/examples")
        def drawn(name: str, draw: int):
            return example(name, 1 + draw % 6)

        @app.get("/studies/{name}/examples/{number}")
        def numbered(name: str, number: int):
            return example(name, number)

        @app.post("/infer/{name}")
        def infer(name: str, body: dict, seed: int | None = None):
            self.asked.append((name, seed, body))
            self.open.wait(10)
            if self.fault:
                return problem(*self.fault)
            headers = {"Server-Timing": "queue;dur=1.25, model;dur=34.5", "X-Pipestill-Seed": str(seed or 1)}
            headers |= {"X-Pipestill-Prompt-Tokens": "61"}
            return JSONResponse(reply(name, body), headers=headers)

        @app.post("/judge/{name}")
        def judge(name: str, body: dict):
            return judged(name, body)

        return app


def problem(status, detail):
    """A fault, as the server tells it."""
    content = {"type": "about:blank", "title": "Fault", "status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")


def example(name, number):
    """A test example of a study."""
    found = next(each for each in STUDIES if each["study"] == name)
    references = {"credit": ["Standard"], "cases": ["the cat sat there", "a cat sat"], "bills": [BILL]}
    return {
        **{"number": number, "of": 6, "id": f"{name}-{number}", "test_set": "seen"},
        "inputs": {each: f"{each} {number}" for each in found["inputs"]},
        "fields": dict.fromkeys(found["fields"], "es"),
        "references": references.get(name, [PROGRAM]),
    }


def reply(name, body):
    """An answer, which repeats hostile inputs."""
    of, _, method = name.partition("_")
    said = {"model_name": name}
    if of == "credit":
        shares = {"Good": 0.2, "Standard": 0.7, "Bad": 0.1} if method == "sft" else {"Good": 0.6, "Standard": 0.4}
        return said | {"prediction": max(shares, key=shares.get), "probabilities": shares}
    if of == "cases":
        return said | {"prediction": f"the dog sat: {body['document']}", "rationale": "It is a cat.", "repeats": True}
    if of == "bills":
        faults = [] if method == "sft" else ["`total` is missing"]
        return said | {"prediction": BILL if method == "sft" else '{"number": "A-1', "faults": faults}
    return said | {"prediction": PROGRAM if method == "sft" else "def double(x): pass\n"}


def judged(name, body):
    """What scoring says of an answer to an example."""
    if name == "code" and "pass" in body["prediction"]:
        return problem(403, "this server runs no code: start it with `--allow-code`")
    block = "text" if name == "cases" else "code"
    said = [[block, [["the ", 0], ["cat", -1], ["dog", 1], [" sat", 0]]], ["note", "tests passed", "good"]]
    scores = [{"metric": "rouge_l", "title": "ROUGE-L", "value": 0.5, "text": "0.50"}]
    return {"scores": scores, "answer": said, "reference": [[block, [["judged reference", 0]]]]}


@contextmanager
def served(app):
    """The address of an application that is served on this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    ready = threading.Event()
    started = server.startup

    async def startup(sockets=None):
        await started(sockets)
        ready.set()

    server.startup = startup
    thread = threading.Thread(target=server.run)
    thread.start()
    assert ready.wait(30)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
