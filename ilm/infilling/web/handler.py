"""One request to the page's server, and what keeps other sites and slow or broken clients out.

- Only requests whose Host is an address or a name of this machine are answered: a site that rebinds its name to
  127.0.0.1 (DNS rebinding) is refused.
- A POST must be JSON from a page of the same origin, which browsers let no other site send without asking first.
- The page, its style and its scripts are the only files; the Content-Security-Policy lets nothing else run or load.
- A request must have arrived within half a minute, however slowly its bytes come.
"""

import io
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from typing import Any

from ilm.errors import UserError
from ilm.infilling.web.queue import Abandoned, Busy

log = logging.getLogger("ilm")

MAX_BODY = 256 * 1024  # bytes
MAX_DISCARDED = 32 * 1024 * 1024  # bytes
REQUEST_SECONDS = 30.0
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/results.js": ("results.js", "text/javascript; charset=utf-8"),
    "/export.js": ("export.js", "text/javascript; charset=utf-8"),
    "/form.js": ("form.js", "text/javascript; charset=utf-8"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_ORIGIN = re.compile(r"^https?://[^/]*")  # which clients of proxies send too
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{0,5})?", re.IGNORECASE)


class Refused(Exception):
    """A request that is not answered, with its HTTP status and what to tell."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class _Timely(socket.SocketIO):
    """A socket to be read until a deadline: a timeout alone begins anew with every byte."""

    def __init__(self, connection: socket.socket, seconds: float):
        super().__init__(connection, "r")
        self._connection, self._end = connection, time.monotonic() + seconds

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request came too slowly")
        self._connection.settimeout(left)
        return super().readinto(buffer)


class Handler(BaseHTTPRequestHandler):
    """Answers one request for a `WebServer`, and closes the connection."""

    server_version, sys_version = "ilm", ""
    default_request_version = "HTTP/1.0"  # what is no request at all is answered as one of this version
    timeout = 30  # seconds for what is sent to be taken

    def setup(self) -> None:
        """As the base class does, but with a deadline for the request."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Timely(self.connection, REQUEST_SECONDS))

    def do_GET(self) -> None:
        """A file of the page, the models, or the progress."""
        self._answer(self._get)

    do_HEAD = do_GET  # `_send` leaves the body out

    def do_POST(self) -> None:
        """Candidates or levels."""
        self._answer(self._post)

    def _answer(self, method: Callable[[], tuple[bytes, str]]) -> None:
        try:
            self._check_host()
            status, (body, kind) = HTTPStatus.OK, method()
        except Refused as error:
            status, (body, kind) = error.status, _json({"error": str(error)})
        except Busy as error:
            status, (body, kind) = HTTPStatus.SERVICE_UNAVAILABLE, _json({"error": str(error)})
        except UserError as error:
            status, (body, kind) = HTTPStatus.BAD_REQUEST, _json({"error": str(error)})
        except (Abandoned, ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception:  # a bug: the whole of it is for the one who runs the server
            log.exception("%s %s failed", self.command, self.path)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body, kind = _json({"error": "The server failed; its terminal says why."})
        self._send(status, body, kind)

    def _get(self) -> tuple[bytes, str]:
        path, service = self._path(), self.server.service
        if path in FILES:
            name, kind = FILES[path]
            return _file(name), kind
        answers = {"/models": service.models, "/progress": service.progress}
        if path not in answers:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        return _json(answers[path]())

    def _post(self) -> tuple[bytes, str]:
        service = self.server.service
        answers = {"/infill": service.infill, "/levels": service.levels}
        body, path = self._body(), self._path()
        if path not in answers:
            raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")
        self._check_origin()
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Expected Content-Type: application/json")
        try:
            request = json.loads(body.decode("utf-8"), parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise UserError("The request is no JSON in UTF-8.") from None
        if not isinstance(request, Mapping):
            raise UserError("The request is no JSON object.")
        return _json(answers[path](request, self._gone))

    def _path(self) -> str:
        return _ORIGIN.sub("", self.path).partition("?")[0]

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit() and len(length) < 16):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "The request needs a Content-Length.")
        if int(length) > MAX_BODY:
            # Read nevertheless, since a browser that is still sending does not see the answer.
            left = min(int(length), MAX_DISCARDED)
            while left and (chunk := self.rfile.read(min(left, 65536))):
                left -= len(chunk)
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The text is too long: a request may have {MAX_BODY:,} bytes. Shorten it.",
            )
        return self.rfile.read(int(length))

    def _check_host(self) -> None:
        """Raises: Refused if the request is for the name of another machine."""
        given = self.headers.get_all("Host", [])
        found = _HOST.fullmatch(given[0].strip()) if len(given) == 1 else None
        if not (found and self.server.knows((found[1] or found[2]).lower())):
            raise Refused(
                HTTPStatus.FORBIDDEN,
                f"This page is served as {self.server.url}, not under the name in the address bar. To serve it to "
                "other machines, type server.host=ADDRESS.",
            )

    def _check_origin(self) -> None:
        """Raises: Refused if a page of another site sent this."""
        origin, site = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "none")
        own = origin is None or origin.partition("://")[2] == self.headers.get("Host")
        if not own or site not in ("same-origin", "none"):
            raise Refused(HTTPStatus.FORBIDDEN, "Requests of other sites are refused.")

    def _gone(self) -> bool:
        """Whether the browser has closed the connection: it sends nothing more in any case."""
        self.connection.settimeout(0)
        try:
            return self.connection.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _send(self, status: HTTPStatus, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        try:
            self.connection.settimeout(self.timeout)
            self.send_response(status)
            own = {"Content-Type": kind, "Content-Length": str(len(body))}
            for name, value in {**HEADERS, **own, **(more or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses (a method that is not there, a broken request), as JSON."""
        unknown = code == HTTPStatus.NOT_IMPLEMENTED
        status = HTTPStatus.METHOD_NOT_ALLOWED if unknown else HTTPStatus(code)
        self._send(status, *_json({"error": status.phrase}), {"Allow": "GET, HEAD, POST"} if unknown else None)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are told to who debugs alone."""
        log.debug("%s %s", self.address_string(), format % args)


@cache
def _file(name: str) -> bytes:
    return files("ilm.infilling.web").joinpath(name).read_bytes()


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value, allow_nan=False).encode("ascii"), "application/json"


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
