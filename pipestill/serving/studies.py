"""`GET /studies`: what a tree has, and test examples of it."""

from fastapi import APIRouter

from pipestill.io.records import Json
from pipestill.serving.infer import options_of
from pipestill.serving.serving import Serving
from pipestill.serving.shelf import Exhibit


def options_schema(exhibit: Exhibit, allow_schemas: bool) -> Json:
    """JSON Schema of the options of one request."""
    section = exhibit.task.answers.Options
    schema = section.model_json_schema()
    properties = {name: schema["properties"][name] for name in options_of(section, allow_schemas)}
    for name, value in properties.items():  # what this experiment is asked with
        if name in exhibit.first.settings.asking.answers:
            value["default"] = exhibit.first.settings.asking.answers[name]
    return {"type": "object", "properties": properties, "additionalProperties": False}


def study_row(serving: Serving, name: str, exhibits: list[Exhibit]) -> Json:
    """A study as JSON."""
    first = exhibits[0]
    return {
        "study": name,
        "title": serving.shelf.titles().get(name, name),
        "task": first.task.name,
        "kind": type(first.task.answers).__module__.rpartition(".")[2],
        "inputs": list(first.task.inputs),
        "fields": {field: serving.examples.values(first, field) for field in first.task.layout.fields},
        "options": options_schema(first, serving.settings.allow_schemas),
        "experiments": [
            {
                "experiment": each.name,
                "method": each.method,
                "title": each.title,
                "seeds": list(each.targets),
                "metric": each.measured,
                "loaded": serving.pool.loaded(each.name),
            }
            for each in exhibits
        ],
        "examples": serving.examples.count(first),
    }


def router(serving: Serving) -> APIRouter:
    """The routes."""
    routes = APIRouter()

    @routes.get("/studies")
    def studies() -> list[Json]:
        """Studies with their experiments, the inputs and options that they take, and what they reach."""
        by_study: dict[str, list[Exhibit]] = {}
        for exhibit in serving.shelf.all():
            by_study.setdefault(exhibit.study, []).append(exhibit)
        return [study_row(serving, name, exhibits) for name, exhibits in by_study.items()]

    @routes.get("/studies/{study}/examples")
    def drawn(study: str, draw: int = 0) -> Json:
        """A test example that the number `draw` draws."""
        exhibit = serving.shelf.find_study(study)
        return serving.examples.row(exhibit, serving.examples.drawn(exhibit, str(draw)))

    @routes.get("/studies/{study}/examples/{number}")
    def example(study: str, number: int) -> Json:
        """A test example by its number, from 1."""
        return serving.examples.row(serving.shelf.find_study(study), number)

    return routes
