"""The page and its server, for the local machine only.

The server listens on the loopback address. It refuses requests whose ``Host`` is another name (DNS
rebinding) or whose ``Origin`` is another site. An upload is limited in size, kept in a temporary
folder until it is answered, and decoded in a worker process, which is killed after `SECONDS`.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sercli.errors import Interrupted, RequestError
from sercli.inference.serve.worker import Answer, Chosen, Facts, answer, describe, prepare
from sercli.processes import stop_workers, worker_pool
from sercli.remedies import unforeseen
from sercli.resources import PALETTE

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = "127.0.0.1"
LARGEST = 50_000_000
"""Maximum bytes of a recording (our choice): 9 min of WAV with one channel, 16 bits and 48 kHz."""

SECONDS = 120.0
"""Time limit for a recording, in seconds (our choice)."""

_RECORDED = 60.0
"""Maximum seconds of a recording by microphone (our choice), fewer if the model reads fewer."""

_HERE = Path(__file__).resolve().parent
_FILES = (PALETTE, *(_HERE / name for name in ("page.css", "page.js", "recorder.js")))
_ASSETS = {path.name: path for path in _FILES}
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_HOSTS = (LOOPBACK, "localhost")

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Classifier:
    """A worker process that keeps a model and classifies one recording at a time.

    Args:
        chosen: The model.

    Attributes:
        facts: Facts about the model.

    Raises:
        SercliError: The model cannot be loaded.
    """

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._turn = asyncio.Lock()
        self._start()
        try:
            self.facts: Facts = self._pool.submit(describe, chosen).result()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._pool = worker_pool(1, prepare)

    def close(self) -> None:
        """End the process."""
        stop_workers(self._pool)

    async def classify(self, audio: Path) -> Answer:
        """Classify a recording; a process that crashes or takes too long is replaced."""
        async with self._turn:
            given = self._pool.submit(answer, self._chosen, audio)
            try:
                return await asyncio.wait_for(asyncio.wrap_future(given), SECONDS)
            except TimeoutError:
                reason = f"takes longer than {SECONDS:g} s to classify"
            except BrokenProcessPool:
                reason = "the process that decodes it crashes, or exceeds the memory limit"
            self.close()
            self._start()
            return 422, {"error": reason}


def serve(
    chosen: Chosen, port: int, *, browser: bool = False, tell: Callable[[str], object] = print
) -> None:
    """Serve the page until an interrupt.

    Args:
        chosen: The model.
        port: TCP port on the loopback address; 0: any that is free.
        browser: True to open the page in a browser.
        tell: Called with a line about the address.

    Raises:
        RequestError: The packages of the extra ``serve`` are missing, or the port is in use.
        SercliError: The model cannot be loaded.
        Interrupted: The user stops the server.
    """
    _check_packages()
    with bound(port) as place:
        classifier = Classifier(chosen)
        try:
            address = f"http://{LOOPBACK}:{place.getsockname()[1]}/"
            tell(f"{address} classifies recordings with {chosen.model}; Ctrl-C stops it")
            if browser:
                webbrowser.open(address)
            make_server(make_app(classifier)).run(sockets=[place])
        except Interrupted as error:
            raise Interrupted("stopped") from error
        finally:
            classifier.close()


def _check_packages() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise RequestError(
            "serve needs starlette and uvicorn: pip install 'sercli[serve]'"
        ) from error


@contextmanager
def bound(port: int) -> Iterator[socket.socket]:
    """Listen on a port of the loopback address.

    Raises:
        RequestError: The port is in use, or only root may use it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind((LOOPBACK, port))
            place.listen()  # a browser may connect before the server runs
        except OSError as error:
            raise RequestError(
                f"--port {port}: {error.strerror}; --port 0 chooses a free port"
            ) from error
        yield place


def make_server(app: Starlette) -> Any:
    """Return a uvicorn server of the app, which prints nothing."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="critical",
            limit_concurrency=32,
            timeout_graceful_shutdown=1,
            server_header=False,
        )
    )


def make_app(classifier: Classifier) -> Starlette:
    """Return the app: the page, its style and scripts, and ``POST /classify``."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    page = _render(classifier.facts)

    async def show(request: Request) -> Response:
        return HTMLResponse(page)

    async def asset(request: Request) -> Response:
        path = _ASSETS[request.url.path.removeprefix("/")]
        return Response(path.read_bytes(), media_type=_TYPES[path.suffix])

    async def classify(request: Request) -> Response:
        status, document = await _answer(request, classifier)
        return JSONResponse(document, status)

    async def fail(request: Request, error: Exception) -> Response:
        # Starlette makes this answer outside of all middleware
        return JSONResponse({"error": unforeseen(error)}, 500, _HEADERS)

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS, www_redirect=False)
    return Starlette(
        routes=[
            Route("/", show),
            *(Route(f"/{name}", asset) for name in _ASSETS),
            Route("/classify", classify, methods=["POST"]),
        ],
        middleware=[Middleware(_SecurityHeaders), hosts],
        exception_handlers={Exception: fail},
    )


class _SecurityHeaders:
    """Add `_HEADERS` to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, with_headers)


async def _answer(request: Request, classifier: Classifier) -> Answer:
    """Classify the body of a request."""
    own = f"http://{request.headers['host']}"
    if request.headers.get("origin", own) != own:
        return 403, {"error": "the request comes from another site"}
    with tempfile.TemporaryDirectory() as folder:
        # libsndfile detects the format by the content; ffmpeg is never called for this suffix
        audio = Path(folder) / "recording.wav"
        if not await _save(request, audio):
            most = f"{LARGEST / 1e6:.0f} MB"
            return 413, {"error": f"larger than {most}; cut it, or use sercli predict"}
        return await classifier.classify(audio)


async def _save(request: Request, path: Path) -> bool:
    """Write the body of a request to a file; False if it is larger than `LARGEST`."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > LARGEST:
        return False
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > LARGEST:
                return False
            file.write(part)
    return True


def _render(facts: Facts) -> str:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    recorded = min(facts.seconds, _RECORDED)
    return environment.get_template("page.html.jinja").render(
        facts=facts,
        reads=f"{facts.seconds:g} s" if math.isfinite(facts.seconds) else "",
        settings=json.dumps({"largest": LARGEST, "seconds": recorded}),
    )
