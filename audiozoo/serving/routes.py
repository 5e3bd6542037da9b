"""The routes of the server, and what a request goes through. Only this module needs FastAPI when it is imported."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import python_multipart  # noqa: F401 Starlette reads forms with it, and would complain only at the first request
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from audiozoo._version import __version__
from audiozoo.serving.limits import BodyLimit
from audiozoo.threads import one_blas_thread

if TYPE_CHECKING:
    from audiozoo.serving.service import Service

_NAME = 200  # most characters of a file name that an answer repeats


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def application(service: Service) -> FastAPI:
    """Return the application with all routes, see `create_app`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with one_blas_thread():
            yield

    description = "POST a sound, get the classes with their scores."
    app = FastAPI(title="audiozoo", version=__version__, description=description, lifespan=lifespan)
    app.add_middleware(BodyLimit, most=service.limits.most_bytes)

    @app.post("/predict", openapi_extra=_BODY, summary="Classify a sound.")
    async def predict(request: Request, top: int | None = None, hop: float | None = None) -> Response:
        """Send the file as the field "file" of a form, or as the body. `top` keeps the classes with the highest scores."""
        return await answered(service, request, top=top, hop=hop)

    @app.get("/model", summary="Labels, windows and limits.")
    def model() -> dict[str, Any]:
        return service.facts()

    @app.get("/health", summary="Whether the server is up.")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Measurements for Prometheus.", response_class=PlainTextResponse)
    def metrics() -> Response:
        return PlainTextResponse(service.monitor.text())

    return app


async def answered(service: Service, request: Request, *, top: int | None, hop: float | None) -> Response:
    """Answer a request, and measure it.

    Args:
        service: Service that predicts.
        request: Request with a sound.
        top: Number of classes whose scores the answer has; `None` gives all.
        hop: Time between window starts (seconds).

    Returns:
        The prediction as JSON.

    Raises:
        HTTPException: The upload is missing or too large (400, 413), no sound (422), or the server is busy (503).
    """
    monitor, begin = service.monitor, time.perf_counter()
    status = 500
    service.waiting += 1
    monitor.waiting.set(service.waiting)
    try:
        answer = await _predicted(service, request, top=top, hop=hop)
        status = 200
        return JSONResponse(answer)
    except HTTPException as error:
        status = error.status_code
        raise
    finally:
        service.waiting -= 1
        monitor.waiting.set(service.waiting)
        monitor.answered(status)
        monitor.seconds.observe(time.perf_counter() - begin)


async def _predicted(service: Service, request: Request, *, top: int | None, hop: float | None) -> dict[str, Any]:
    if service.waiting > service.limits.waiting:
        raise HTTPException(503, "too many requests wait: try again later", headers={"Retry-After": "1"})
    if top is not None and top < 1:
        raise HTTPException(422, f"top must be at least 1, got {top}")
    content, name = await _upload(request)
    try:
        prediction = await service.predict(content, name, hop)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    answer = prediction.to_dict()
    return answer if top is None else answer | {"scores": dict(prediction.top(top))}


async def _upload(request: Request) -> tuple[bytes, str]:
    """Return the content and the name of the file in a request: a field of a form, or the whole body."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body(), "upload"
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise HTTPException(400, "the form has no file: send the sound as its field 'file'")
        return await file.read(), _shown(file.filename)


def _shown(name: str | None) -> str:
    """Return the last part of a name that a client sent, without characters that a terminal would obey."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:_NAME] or "upload"
