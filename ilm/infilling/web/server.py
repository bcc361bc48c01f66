"""The server of the page: http.server of the standard library, with what keeps other sites and machines out.

- It listens on loopback unless told otherwise, and answers only requests whose Host is an address or a name of this
  machine: a site that rebinds its name to 127.0.0.1 (DNS rebinding) is refused.
- A POST must be JSON from a page of the same origin, which browsers let no other site send without asking first.
- The page, its style and its script are the only files; the Content-Security-Policy lets nothing else run or load.
"""

import errno
import ipaddress
import json
import logging
import socket
import sys
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ilm.errors import UserError
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.web.service import WebService, served_models
from ilm.infilling.web.worker import Abandoned, Busy

log = logging.getLogger("ilm")

MAX_BODY = 256 * 1024  # bytes
MAX_DISCARDED = 32 * 1024 * 1024  # bytes
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/results.js": ("results.js", "text/javascript; charset=utf-8"),
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


class Refused(Exception):
    """A request that is not answered, with its HTTP status and what to tell."""

    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


class WebServer(ThreadingHTTPServer):
    """Serves `service` on `host` and `port` (0 takes any free one). `url` is where.

    Raises: UserError if the port is taken, or the host is no address of this machine.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: WebService, host: str, port: int):
        self.service, self.host = service, host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise UserError(_why_not(host, port, error)) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}"

    def server_bind(self) -> None:
        # HTTPServer's own looks up the name of the machine, which takes seconds where there is no name server.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(sys.exception(), ConnectionError | TimeoutError):
            log.debug("%s: the connection ended", client_address)
        else:
            log.exception("a request of %s failed", client_address)

    def knows(self, host: str) -> bool:
        """Whether `host`, of a Host header, without its port, is this machine: an address, or a name of its own."""
        if host in ("localhost", self.host.lower()):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return not is_loopback(self.host) and host == socket.gethostname().lower()
        return address.is_loopback or not is_loopback(self.host)


def serve_folders(
    folders: Mapping[str, Path], defaults: DecodingSettings, device: str, dtype: str, host: str, port: int
) -> None:
    """Serve the page for the models in these folders until Ctrl-C, with `defaults` as the settings to begin with.

    Raises: UserError as `WebServer` and `served_models` do.
    """
    serve(WebService(served_models(folders, device, dtype), defaults), host, port)


def serve(service: WebService, host: str, port: int) -> None:
    """Serve the page until Ctrl-C.

    Raises: UserError as `WebServer` does.
    """
    with WebServer(service, host, port) as server:
        if not is_loopback(host):
            log.warning("server.host=%s: everyone who reaches this machine can use the page, without a password", host)
        try:
            print(f"Filling blanks at {server.url}  (Ctrl-C ends)", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended")
        finally:
            service.worker.stop()


def is_loopback(host: str) -> bool:
    """Whether an address or name of this machine is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Handler(BaseHTTPRequestHandler):
    server: WebServer
    server_version, sys_version = "ilm", ""
    timeout = 30  # seconds without a byte

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
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
        path = urlsplit(self.path).path
        if path in FILES:
            name, kind = FILES[path]
            return _file(name), kind
        if path == "/models":
            return _json(self.server.service.models())
        raise Refused(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _post(self) -> tuple[bytes, str]:
        service = self.server.service
        answers = {"/infill": service.infill, "/levels": service.levels}
        body = self._body()
        path = urlsplit(self.path).path
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

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
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
        try:
            host = (urlsplit(f"//{given[0]}").hostname or "") if len(given) == 1 else ""
        except ValueError:
            host = ""
        if not self.server.knows(host):
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
        finally:
            self.connection.settimeout(self.timeout)

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses (a method that is not there, a broken request), as JSON."""
        status = HTTPStatus(code)
        self._send(status, *_json({"error": status.phrase}))

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("%s %s", self.address_string(), format % args)


@cache
def _file(name: str) -> bytes:
    return files("ilm.infilling.web").joinpath(name).read_bytes()


def _json(value: Any) -> tuple[bytes, str]:
    return json.dumps(value, allow_nan=False).encode("ascii"), "application/json"


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _why_not(host: str, port: int, error: OSError) -> str:
    again = "python infill.py web=true"
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use, perhaps by another {again}. Take another port: {again} "
            f"server.port={port % 65535 + 1}, or any free one: {again} server.port=0"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} of {host} may not be opened by you. Take one above 1023: {again} server.port=7860"
    return f"server.host={host}: {error.strerror or error}. Give an address of this machine, such as 127.0.0.1"
