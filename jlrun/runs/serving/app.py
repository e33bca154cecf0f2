"""Application of a run's model, for programs on the same machine: JSON and images to predictions.

It listens on the loopback interface and takes JSON and images only under their media types, from
hosts of this machine: a page of the web that a browser shows here can't send either.
"""

from __future__ import annotations

import math
import socket
import threading
from pathlib import Path
from typing import Any

from jlrun import __version__
from jlrun.data.specs import spec_to_json
from jlrun.errors import Problem, UserError
from jlrun.extras import import_extra
from jlrun.runs.new_predictions import Asked, LoadedRun, NewPredictions
from jlrun.runs.serving.inputs import IMAGES, INPUTS, ROWS, as_file

HOST = "127.0.0.1"
_HOSTS = [HOST, "localhost"]
_JSON = "application/json"
_WHERE = "serve"


def make_app(run: Path, asked: Asked, most_bytes: int) -> Any:
    """Return an application of FastAPI with the model of a run, loaded once.

    ``GET /`` states what it takes and yields; ``POST /predict`` takes ``{"rows": [{…}]}`` for a run
    on a table, ``{"inputs": {modality: […]}}`` for others, and an image as it is for a model of
    images alone. Bad input is answered by 422 and one line.

    Args:
        run: its directory.
        asked: of the predictions.
        most_bytes: of a request.

    Raises:
        UserError: if FastAPI is not installed, or the run has no selected model.
    """
    fastapi = import_extra("fastapi", _WHERE, _WHERE)
    hosts = import_extra("starlette.middleware.trustedhost", _WHERE, _WHERE)
    loaded, lock = LoadedRun.of(run, asked), threading.Lock()
    app = fastapi.FastAPI(title=f"jlrun: {run.resolve().name}", version=__version__)
    app.add_middleware(hosts.TrustedHostMiddleware, allowed_hosts=_HOSTS)

    def refused(status: int, line: str) -> Any:
        return fastapi.responses.JSONResponse({"error": line}, status)

    def predicted(body: bytes, kind: str) -> Any:
        try:
            with lock, as_file(body, kind, loaded.specs, loaded.takes_table) as path:
                try:
                    return answer(loaded.predict(path, asked))
                except UserError as error:
                    raise _without(path, error) from error
        except UserError as error:
            return refused(422, one_line(error))

    async def predict(request: Any) -> Any:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (_JSON, *IMAGES):
            return refused(415, f"content-type '{kind}' is none of {_JSON}, {', '.join(IMAGES)}")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > most_bytes:
                return refused(413, f"the request has more than {most_bytes:,} bytes")
        return await fastapi.concurrency.run_in_threadpool(predicted, bytes(body), kind)

    def about() -> Any:
        return described(loaded)

    predict.__annotations__["request"] = fastapi.Request
    app.add_api_route("/predict", predict, methods=["POST"], response_model=None)
    app.add_api_route("/", about, methods=["GET"], response_model=None)
    return app


def serve(run: Path, asked: Asked, port: int, most_bytes: int) -> None:
    """Serve until Ctrl-C; arguments and errors as in `make_app`.

    Args:
        port: of the loopback interface; 0: any that is free.

    Raises:
        UserError: also if the port is in use.
    """
    uvicorn = import_extra("uvicorn", _WHERE, _WHERE)
    app = make_app(run, asked, most_bytes)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise UserError.of(
                "--port", f"{port} can't be listened on: {error.strerror}"
            ) from error
        place = f"http://{HOST}:{listening.getsockname()[1]}"
        print(f"jlrun serve {run}: {place} (Ctrl-C ends it)", flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def answer(found: NewPredictions) -> dict[str, Any]:
    """Return the body of an answer: an object for each row, and lines on what is unusual."""
    columns = found.columns
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    for row in rows:
        del row["input"]  # names a row of a temporary file
    finite = [{name: _plain(cell) for name, cell in row.items()} for row in rows]
    return {"predictions": finite, "notes": [*found.lines]}


def described(loaded: LoadedRun) -> dict[str, Any]:
    """Return what the server takes and yields."""
    scored = loaded.members[0].chosen.scored
    key = ROWS if loaded.takes_table else INPUTS
    return {
        "version": __version__,
        "takes": {key: {name: spec_to_json(spec)["kind"] for name, spec in loaded.specs.items()}},
        "tasks": {o.spec.name: list(o.spec.classes) for o in scored},
    }


def one_line(error: UserError) -> str:
    """Return the first problem, and the number of others."""
    first, *others = error.problems
    more = f" (and {len(others)} more)" if others else ""
    return " ".join(str(first).split()) + more


def _without(path: Path, error: UserError) -> UserError:
    """Return the error without the name of the temporary file, and what the command offers."""
    kept = [p for p in error.problems if "--on-error" not in str(p)] or error.problems
    return UserError([_named(path, problem) for problem in kept])


def _named(path: Path, problem: Problem) -> Problem:
    where = "input" if problem.where in ("--input", str(path)) else problem.where
    texts = (text.replace(str(path), "input") for text in (where, problem.message))
    return Problem(*(text.replace(path.name, "input") for text in texts))


def _plain(cell: Any) -> Any:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
