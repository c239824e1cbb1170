"""The playground: one static page that asks the server of which it comes."""

from importlib.resources import files

from fastapi import APIRouter, Response

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # no text becomes markup
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a new version of the project shows at once
}
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
SHARED = ("style.css", "blocks.js")  # of the report, whose look the page has
OWN = ("playground.css", "playground.js", "question.js", "answers.js", "pretty.js", "server.js", "state.js")


def router() -> APIRouter:
    """The page at ``/``, and its parts below ``/playground/``; none of it needs a token."""
    found = APIRouter(include_in_schema=False)
    _add(found, "/", "pipestill.serving.playground", "index.html")
    for name in OWN:
        _add(found, f"/playground/{name}", "pipestill.serving.playground", name)
    for name in SHARED:
        _add(found, f"/playground/{name}", "pipestill.reporting", f"templates/{name}")
    return found


def _add(found: APIRouter, address: str, package: str, name: str) -> None:
    path = files(package) / name
    content, kind = path.read_bytes(), KINDS[path.suffix]

    async def part() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    found.add_api_route(address, part, methods=["GET", "HEAD"])
