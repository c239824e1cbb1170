"""The application: all routes, behind the guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipestill import __version__
from pipestill.serving import chat, infer, judge, openapi, playground, problems, studies
from pipestill.serving.guard import Guard
from pipestill.serving.page import page_of
from pipestill.serving.problems import busy
from pipestill.serving.serving import ANSWER_HEADERS, Serving
from pipestill.serving.settings import ServeSettings

HEADERS = ("Server-Timing", "Retry-After", *ANSWER_HEADERS)  # that pages of other origins may read
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def create_app(settings: ServeSettings) -> FastAPI:
    """The application that serves what ``settings`` say; ``app.state.serving`` has its parts.

    Raises:
        UserError: there is nothing to serve.
    """
    serving = Serving.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        serving.start()
        yield
        serving.close()

    middleware = [Middleware(Guard, serving=serving), Middleware(infer.Infer, serving=serving)]
    if settings.allow_origins:
        cors = {
            "allow_origins": settings.allow_origins,
            "allow_methods": ["GET", "POST"],
            "allow_headers": ["*"],
            "expose_headers": HEADERS,
        }
        middleware.insert(0, Middleware(CORSMiddleware, **cors))
    app = FastAPI(
        title="pipestill",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=middleware,
        redirect_slashes=False,
    )
    app.state.serving = serving
    problems.add_handlers(app)
    app.add_route(infer.INFER, infer.infer(serving), methods=["POST"], include_in_schema=False)
    _add_state(app, serving)
    app.include_router(studies.router(serving))
    app.include_router(judge.router(serving))
    app.include_router(playground.router())
    app.include_router(chat.router(serving))
    openapi.describe(app, serving)
    return app


def _add_state(app: FastAPI, serving: Serving) -> None:
    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready(request: Request) -> Response:
        """Whether requests are answered: a first model is loaded, the worker lives, and the server is not ending."""
        if serving.draining:
            raise busy("this server is about to end: ask another one")
        if not serving.batcher.alive:
            raise busy("the worker that answers has died: restart the server")
        if not serving.pool.warm:
            serving.warm_up()
            raise busy(serving.cold)
        return JSONResponse({"status": "ready", "experiments": len(serving.shelf.names())})

    @app.get("/docs", include_in_schema=False)
    def docs(request: Request) -> Response:
        """The API on a page."""
        return HTMLResponse(page_of(app.openapi(), str(request.base_url).rstrip("/")))

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters, as Prometheus reads them."""
        return Response(serving.measures.text(), media_type=METRICS_TYPE)
