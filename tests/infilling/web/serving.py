"""A server of the page in a thread, with models that answer at once, and what asks it."""

import http.client
import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ilm.infilling.infiller import Infiller
from ilm.infilling.model_cache import ModelCache
from ilm.infilling.web.queue import Abandoned
from ilm.infilling.web.server import WebServer
from ilm.infilling.web.service import WebService
from tests.infilling.small_models import ENTRIES, MASK_TYPES, Bigrams, decoding, random_model, vocabulary

ROWS = ENTRIES + 5
DEFAULTS = decoding(candidates=2, max_answer_tokens=6)
JSON = {"Content-Type": "application/json"}


def bigrams(word: str) -> Infiller:
    """It answers this word, of one token, to every blank."""
    words = vocabulary()
    model = Bigrams(ROWS)
    (token,) = words.encode(f" {word}")
    model.table[[words.start_of_infill, words.end_of_infill], token] = 8.0
    model.table[token, words.end_of_infill] = 8.0
    return Infiller(model, words)


class Slow(Infiller):
    """Its decoding goes on for a long time, until something ends it."""

    begun = ended = None

    def __call__(self, texts, decoding):
        self.begun.set()
        try:
            for _ in range(500):
                time.sleep(0.01)
                super().__call__(texts, decoding)
        except Abandoned:
            self.ended.set()
            raise


@dataclass
class ServedModel:
    """What the page knows of a `TrainedModel`."""

    name: str
    level: str
    load: Callable[[], Infiller]
    mask_types: tuple[str, ...] = MASK_TYPES
    condition: dict[str, list[str]] = field(default_factory=dict)
    run = None

    @cached_property
    def path(self) -> Path:
        return Path(tempfile.mkdtemp())

    def require_infilling(self) -> None:
        pass

    def fingerprint(self) -> str:
        return f"of {self.name}"


def served(name: str, level: str, infiller: Infiller) -> ServedModel:
    return ServedModel(name, level, lambda: infiller)


def service_with(models: Sequence[ServedModel], max_loaded: int = 8) -> WebService:
    return WebService(models, ModelCache(lambda model: model.load(), max_loaded), DEFAULTS)


class running:
    """A server on a free port of loopback, in a thread."""

    def __init__(self, service: WebService, host: str = "127.0.0.1"):
        self.server = WebServer(service, host, 0)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> WebServer:
        self.thread.start()
        return self.server

    def __exit__(self, *_) -> None:
        self.server.should_exit = True
        self.thread.join()


def ask(server: WebServer, method: str, path: str, body=None, headers=None):
    """Status, headers and body of an answer; the body is read as JSON where it is."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    try:
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, headers if headers is not None else JSON if body is not None else {})
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    kind = response.headers.get_content_type()
    return response.status, response.headers, json.loads(content) if kind == "application/json" else content.decode()


def post(server: WebServer, path: str, **body):
    status, _, answer = ask(server, "POST", path, body)
    return status, answer


def slow(infillers) -> Slow:
    infiller = Slow(infillers["a1"].model, infillers["a1"].vocabulary)
    infiller.begun, infiller.ended = threading.Event(), threading.Event()
    return infiller


def send(server: WebServer, model: str, request: str | None = None) -> socket.socket:
    body = json.dumps({"model": model, "text": "I _", "request": request}).encode()
    connection = socket.create_connection(server.address)
    head = (
        f"POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    connection.sendall(head.encode() + b"\r\n" + body)
    return connection


def three_models() -> dict[str, Infiller]:
    return {
        "a1": bigrams("eat"),
        "b2": bigrams("play"),
        "random": Infiller(random_model("gpt2", ROWS), vocabulary()),
    }


def service_of(infillers: dict[str, Infiller]) -> WebService:
    levels = {"a1": "A1", "b2": "B2", "random": "all"}
    return service_with([served(name, levels[name], infiller) for name, infiller in infillers.items()])
