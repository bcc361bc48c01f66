"""The page as a Starlette application: its files, and a JSON API over a `WebService`.

- Requests are answered only if their Host is an address or name of this machine, which stops DNS rebinding (a site that
  points its own name to 127.0.0.1).
- A POST must be JSON from a page of the same origin; browsers do not let other sites send that without a preflight.
- Only the files in page/ are served, and the Content-Security-Policy allows nothing else to load or run.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from ilm.config.section import Section
from ilm.errors import UserError
from ilm.infilling.web.queue import Job, Worker
from ilm.infilling.web.schema import InfillRequest, LevelsRequest, parse_request
from ilm.infilling.web.service import WebService

MAX_BODY = 256 * 1024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{0,5})?", re.IGNORECASE)

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(service: WebService, worker: Worker, host: str) -> Starlette:
    """The application, to be served on the address or name `host`; `service` computes in `worker`."""
    defaults = service.defaults.model_dump()

    def computed(schema: type[Section], compute: Callable[[Any, Job], dict[str, Any]]) -> Endpoint:
        known = {name: value for name, value in defaults.items() if name in schema.model_fields}

        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            _require_own_page(request)
            asked = parse_request(schema, body, known)
            return JSONResponse(await worker.run(partial(compute, asked), partial(_left, request), asked.request))

        return endpoint

    return Starlette(
        routes=[
            Route("/models", lambda request: JSONResponse(service.models())),
            Route("/progress", lambda request: JSONResponse({"jobs": worker.jobs()})),
            Route("/infill", computed(InfillRequest, service.infill), methods=["POST"]),
            Route("/levels", computed(LevelsRequest, service.levels), methods=["POST"]),
            Mount("/", StaticFiles(packages=[(__package__, "page")], html=True)),
        ],
        middleware=[Middleware(KnownHosts, host=host)],
        exception_handlers={
            HTTPException: lambda request, error: _fault(error.status_code, error.detail),
            UserError: lambda request, error: _fault(400, str(error)),
            ClientDisconnect: lambda request, error: _fault(400, "The request is incomplete."),
            # A bug: uvicorn logs the traceback.
            Exception: lambda request, error: _fault(500, "The server failed; see the terminal it runs in."),
        },
    )


class KnownHosts:
    """Middleware that refuses requests whose Host is not this machine, served on `host`."""

    def __init__(self, app: ASGIApp, host: str):
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _HOST.fullmatch(Headers(scope=scope).get("host", "").strip())
        known = found is not None and is_own_name((found[1] or found[2]).lower(), self._host)
        message = (
            f"This page is served on {self._host}, not under the name in the address bar. To serve it to other "
            "machines, type server.host=ADDRESS."
        )
        await (self._app if known else _fault(403, message))(scope, receive, send)


def is_own_name(name: str, host: str) -> bool:
    """Whether `name` is an address or name of this machine, served on `host`."""
    if name in ("localhost", host.lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return not is_loopback(host) and name == socket.gethostname().lower()
    return address.is_loopback or not is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_own_page(request: Request) -> None:
    """Raises: HTTPException if the request may come from a page of another site."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "none")
    own = origin is None or origin.partition("://")[2] == request.headers["host"]
    if not own or site not in ("same-origin", "none"):
        raise HTTPException(403, f"The request comes from {origin or 'another site'}. Use this server's own page.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "The request is not JSON. Send it with Content-Type: application/json")


async def _body(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for chunk in request.stream():  # to its end: a browser that is still sending does not see the answer
        size += len(chunk)
        if size <= MAX_BODY:
            body += chunk
    if size > MAX_BODY:
        raise HTTPException(413, f"The text is too long: a request may have at most {MAX_BODY:,} bytes. Shorten it.")
    return bytes(body)


async def _left(request: Request) -> None:
    """Return once the client of a fully read request has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _fault(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
