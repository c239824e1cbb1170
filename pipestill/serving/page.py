"""`/docs`: the API on one page, which loads nothing from elsewhere."""

import json
from html import escape

from pipestill.io.records import Json

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}"
    "pre{overflow-x:auto;padding:.5rem;border:1px solid #8888;border-radius:4px}"
    "summary{cursor:pointer}code{overflow-wrap:anywhere}:root{color-scheme:light dark}"
)
HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width,initial-scale=1"><style>{style}</style><main><h1>{title}</h1>'
    '<p>The same for programs: <a href="/openapi.json">openapi.json</a>. Errors are '
    "<code>application/problem+json</code>, with one sentence as <code>detail</code>.</p>"
)


def page_of(api: Json, base: str) -> str:
    """A page of HTML.

    Args:
        api: a description of OpenAPI.
        base: address of the server.
    """
    parts = [HEAD.format(title=f"{escape(api['info']['title'])} API", style=STYLE)]
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(method.upper(), path, operation, base, api["components"]["schemas"]))
    return "".join(parts) + "</main></html>"


def _operation(method: str, path: str, operation: Json, base: str, schemas: Json) -> str:
    said = escape(operation.get("description") or operation.get("summary", ""))
    parts = [f"<details><summary><code>{method} {escape(path)}</code> {said}</summary>"]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        body = json.dumps(content["example"], ensure_ascii=False).replace("'", "'\\''")
        call = f"curl -s -X POST {base}{path} -H 'Content-Type: application/json' -d '{body}'"
        parts.append(f"<pre>{escape(call)}</pre>")
    if "schema" in content:
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        parts.append(_shown("Request", schemas.get(name, content["schema"])))
    answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    if "example" in answer:
        parts.append(_shown("Answer", answer["example"]))
    return "".join(parts) + "</details>"


def _shown(title: str, value: object) -> str:
    return f"<p>{title}</p><pre>{escape(json.dumps(value, ensure_ascii=False, indent=2))}</pre>"
