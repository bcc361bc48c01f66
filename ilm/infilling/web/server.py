"""The page's server: uvicorn on our own socket, with the time limits that it lacks."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ilm.config.infill import Decoding, Server
from ilm.errors import UserError
from ilm.infilling.mixture import Specialists
from ilm.infilling.model_cache import ModelCache
from ilm.infilling.web.app import HEADERS, create_app, is_loopback
from ilm.infilling.web.queue import Worker
from ilm.infilling.web.service import WebService
from ilm.runs.trained_model import TrainedModel

log = logging.getLogger("ilm")

MAX_CONNECTIONS = 200  # a request over another connection is answered with 503
MAX_SECONDS = 30.0  # for a request to arrive, and for a stalled client to resume reading


class TimedProtocol(H11Protocol):
    """Closes the connections of slow clients."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # pause writing while anything is unsent
        self._after_limit(self._close_incomplete)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._after_limit(self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._after_limit(self._close_incomplete)

    def _after_limit(self, act: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(MAX_SECONDS, act)

    def _close_incomplete(self) -> None:
        if self.cycle is None or self.cycle.more_body:
            self.transport.close()


class WebServer(uvicorn.Server):
    """Serves `service` at `url`, on `host` and `port` (0: any free one).

    Raises: UserError if the port is taken, or `host` is not an address of this machine.
    """

    def __init__(self, service: WebService, host: str, port: int):
        self.listener = _listen(host, port)
        self.address = self.listener.getsockname()[:2]
        # A wildcard address cannot be typed into a browser.
        shown = socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.address[1]}"
        self.worker = Worker()
        limits: dict[str, Any] = {"http": TimedProtocol, "limit_concurrency": MAX_CONNECTIONS + 1}
        quiet: dict[str, Any] = {"log_config": None, "log_level": "error", "access_log": False, "server_header": False}
        # One request per connection.
        headers = [*HEADERS.items(), ("Connection", "close")]
        app = create_app(service, self.worker, host)
        super().__init__(uvicorn.Config(app, ws="none", lifespan="off", headers=headers, **limits, **quiet))

    def run(self) -> None:  # type: ignore[override]  # on its own socket
        """Serve until Ctrl-C, raised as KeyboardInterrupt, or `should_exit`."""
        super().run([self.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, then print the address; from here on uvicorn handles Ctrl-C."""
        await super().startup(sockets)
        print(f"Filling blanks at {self.url}  (Ctrl-C ends)", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which waits for responses; first stop the computation."""
        self.worker.stop()
        await super().shutdown(sockets)


def serve(
    models: Sequence[TrainedModel | Specialists],
    cache: ModelCache,
    defaults: Decoding,
    address: Server,
    about: Mapping[str, Any],
) -> None:
    """Serve the page until Ctrl-C; parameters as in `WebService`.

    Raises: UserError as `WebService` and `WebServer`.
    """
    server = WebServer(WebService(models, cache, defaults, about), address.host, address.port)
    if not is_loopback(address.host):
        log.warning("server.host=%s: anyone who can reach this machine can use the page; no password", address.host)
    try:
        server.run()
    except KeyboardInterrupt:
        print("\nended")


def _listen(host: str, port: int) -> socket.socket:
    v6 = ":" in host
    family = socket.AF_INET6 if v6 else socket.AF_INET
    try:
        if not host.strip():  # to the system, all addresses
            raise OSError(errno.EADDRNOTAVAIL, "the host is empty")
        return socket.create_server((host, port), family=family, dualstack_ipv6=v6 and socket.has_dualstack_ipv6())
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise UserError(
            f"The page cannot be served at server.host={host} server.port={port}: {reason}. Type another port, "
            "python infill.py web=true server.port=0 for any free one, or an address of this machine, such as "
            "server.host=127.0.0.1"
        ) from error
