"""The server of the page: http.server of the standard library, on loopback unless told otherwise."""

import errno
import ipaddress
import logging
import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from ilm.errors import UserError
from ilm.infilling.web.handler import Handler
from ilm.infilling.web.service import WebService

log = logging.getLogger("ilm")

MAX_CONNECTIONS = 200
_FULL = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class WebServer(ThreadingHTTPServer):
    """Serves `service` on `host` and `port` (0 takes any free one). `url` is where.

    Raises: UserError if the port is taken, or the host is no address of this machine.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, service: WebService, host: str, port: int):
        self.service, self.host = service, host
        self._places = threading.Semaphore(MAX_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if not host.strip():  # to the system this is every address of the machine
            raise UserError("server.host is empty. Give an address of this machine, such as 127.0.0.1")
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            raise UserError(_why_not(host, port, error)) from error
        # Everywhere is no address to type into a browser.
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}"

    def server_bind(self) -> None:
        # HTTPServer's own looks up the name of the machine, which takes seconds where there is no name server.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there are not too many."""
        if not self._places.acquire(blocking=False):
            request.setblocking(False)
            request.send(_FULL)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread was begun, which would have given the place back
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """What the thread does."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's fault; everything else is a bug."""
        if isinstance(sys.exception(), ConnectionError | TimeoutError | BlockingIOError):
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
