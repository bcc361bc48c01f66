"""The page's server, over HTTP: every answer is right and one's own, and what is not meant for it is refused."""

import http.client
import json
import logging
import math
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
import torch
from conftest import REPOSITORY, compose
from small_models import ENTRIES, Bigrams, random_model, vocabulary

from ilm.config import Infill, check
from ilm.errors import UserError
from ilm.infilling.decoding import Infiller
from ilm.infilling.sampling import DecodingSettings
from ilm.infilling.web import handler
from ilm.infilling.web.handler import FILES, MAX_BODY
from ilm.infilling.web.models import ServedModel, served_models
from ilm.infilling.web.server import WebServer, is_loopback
from ilm.infilling.web.service import WebService
from ilm.infilling.web.worker import Abandoned
from ilm.network.models import save_model

ROWS = ENTRIES + 5
DEFAULTS = DecodingSettings(candidates=2, max_answer_tokens=6)
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

    def __call__(self, texts, **settings):
        self.begun.set()
        try:
            for _ in range(500):
                time.sleep(0.01)
                super().__call__(texts, **settings)
        except Abandoned:
            self.ended.set()
            raise


def served(name: str, level: str, infiller: Infiller) -> ServedModel:
    return ServedModel(name, level, infiller.vocabulary.mask_types, lambda: infiller, lambda: f"of {name}")


@pytest.fixture(scope="module")
def infillers() -> dict[str, Infiller]:
    return {
        "a1": bigrams("eat"),
        "b2": bigrams("play"),
        "random": Infiller(random_model("gpt2", ROWS), vocabulary()),
    }


@pytest.fixture(scope="module")
def server(infillers):
    levels = {"a1": "A1", "b2": "B2", "random": "all"}
    service = WebService([served(name, levels[name], infiller) for name, infiller in infillers.items()], DEFAULTS)
    with running(service) as found:
        yield found


class running:
    """A server on a free port of loopback, in a thread, with its service's worker."""

    def __init__(self, service: WebService, host: str = "127.0.0.1"):
        self.server = WebServer(service, host, 0)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> WebServer:
        self.thread.start()
        return self.server

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.server.service.worker.stop()
        self.thread.join()


def ask(server: WebServer, method: str, path: str, body=None, headers=None):
    """Status, headers and body of an answer; the body is read as JSON where it is."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
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


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(server):
    for path, (_, kind) in FILES.items():
        status, headers, text = ask(server, "GET", path)
        assert (status, headers["Content-Type"]) == (200, kind)
        for found in re.findall(r'(?:src|href)="([^"]+)"', text):
            assert found == "data:," or f"/{found}" in FILES
        assert "://" not in text
        assert "//cdn" not in text
        assert "innerHTML" not in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_models_are_listed_with_their_blanks_and_loaded_when_asked(infillers):
    service = WebService([served("a1", "A1", infillers["a1"]), served("b2", "B2", infillers["b2"])], DEFAULTS)
    with running(service) as server:
        before = ask(server, "GET", "/models")[2]
        assert post(server, "/infill", model="b2", text="I _ pasta.")[0] == 200
        after = ask(server, "GET", "/models")[2]
    blanks = ["sentence", "ngram", "word"]
    assert before["models"] == [
        {"name": "a1", "level": "A1", "blanks": blanks, "loaded": False},
        {"name": "b2", "level": "B2", "blanks": blanks, "loaded": False},
    ]
    assert [model["loaded"] for model in after["models"]] == [False, True]
    assert before["settings"]["candidates"] == 2
    assert before["settings"]["max_answer_tokens"] == 6


def test_candidates_are_those_of_the_infiller_with_their_tokens(server, infillers):
    text = "I [word] pasta and {leftover lunch} here."
    status, found = post(server, "/infill", model="random", text=text, candidates=4, seed=5, top_p=None)
    direct = infillers["random"](
        "I [word] pasta and [ngram] here.", **(asdict(DEFAULTS) | {"candidates": 4, "seed": 5, "top_p": None})
    )[0]
    assert status == 200
    assert found["text"] == "I [word] pasta and [ngram] here."
    assert found["answers"] == ["leftover lunch"]
    expected = sorted(direct, key=lambda infilling: -infilling.log_probability)
    assert [candidate["text"] for candidate in found["candidates"]] == [infilling.text for infilling in expected]
    for candidate, infilling in zip(found["candidates"], expected, strict=True):
        assert candidate["log_probability"] == pytest.approx(infilling.log_probability)
        assert candidate["complete"] == infilling.complete
        assert candidate["left_out"] == [0, 0]
        for answer, whole in zip(candidate["answers"], infilling.answers, strict=True):
            assert answer["text"] == whole
            assert candidate["text"][answer["start"] :][: answer["length"]] == whole
            assert "".join(token for token, _ in answer["tokens"]) == whole
            assert answer["tokens"][-1][0] == ""
            assert math.fsum(value for _, value in answer["tokens"]) == pytest.approx(answer["log_probability"])
        values = [answer["log_probability"] for answer in candidate["answers"]]
        assert math.fsum(values) == pytest.approx(candidate["log_probability"])


def test_limits_search_and_long_texts_reach_the_infiller(server):
    status, found = post(server, "/infill", model="random", text="I [ngram:2] a [word:pa...].", best=True, candidates=3)
    assert status == 200
    for candidate in found["candidates"]:
        assert len(candidate["answers"][0]["tokens"]) == 3
        assert candidate["answers"][1]["text"].startswith("pa")
    values = [candidate["log_probability"] for candidate in found["candidates"]]
    assert values == sorted(values, reverse=True)
    status, found = post(server, "/infill", model="a1", text="many words " * 100 + "I _", cut=True)
    assert status == 200
    assert found["candidates"][0]["left_out"][0] > 500


def test_twenty_requests_at_once_get_their_own_answers(server, infillers):
    def request(number: int):
        model = ("random", "a1", "b2")[number % 3]
        text = f"I like {'very ' * (number % 4)}[word] number {number}."
        return model, text, post(server, "/infill", model=model, text=text, seed=number)

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(request, range(20)))
    for number, (model, text, (status, answer)) in enumerate(found):
        direct = infillers[model](text, **(asdict(DEFAULTS) | {"seed": number}))[0]
        assert status == 200
        assert {candidate["text"] for candidate in answer["candidates"]} == {infilling.text for infilling in direct}


def test_the_level_whose_model_finds_the_answers_likelier_has_the_larger_share(server, infillers):
    status, found = post(server, "/levels", models=["a1", "b2", "random"], text="I {eat} pasta and {eat}.")
    scores = {
        name: infiller.score("I [word] pasta and [word].", ["eat", "eat"]) for name, infiller in infillers.items()
    }
    assert status == 200
    assert {row["model"]: row["log_probability"] for row in found["models"]} == pytest.approx(scores)
    shares = {row["level"]: row["share"] for row in found["levels"]}
    odds = math.exp(scores["a1"] - scores["b2"])
    assert shares == pytest.approx({"A1": odds / (1 + odds), "B2": 1 / (1 + odds)})
    assert max(shares, key=shares.get) == {"a1": "A1", "b2": "B2"}[max(("a1", "b2"), key=scores.get)]
    judged = found["models"][0]
    assert (judged["text"], judged["blanked"]) == ("I eat pasta and eat.", "I [word] pasta and [word].")
    assert [judged["text"][a["start"] :][: a["length"]] for a in judged["answers"]] == ["eat", "eat"]
    candidate = post(server, "/levels", models=["a1", "b2"], text="I [word] pasta and [word].", answers=["eat", "eat"])
    assert candidate[1]["levels"] == [{"level": level, "share": pytest.approx(shares[level])} for level in shares]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/infill", {"model": "a1", "text": "No blank."}, "has no blank"),
        ("/infill", {"model": "a1", "text": "many words " * 200 + "_"}, "tokens"),
        ("/infill", {"model": "nope", "text": "_"}, "no model 'nope'"),
        ("/infill", {"model": "../../etc/passwd", "text": "_"}, "no model"),
        ("/infill", {"text": "_"}, "model is missing"),
        ("/infill", {"model": "a1", "text": 3, "seeds": 1}, "text: expected a text; unknown field 'seeds'"),
        ("/infill", {"model": "a1", "text": "_", "candidates": 1000}, "candidates=1000: expected at most 20"),
        ("/infill", {"model": "a1", "text": "_", "candidates": True}, "candidates: expected a whole number"),
        ("/infill", {"model": "a1", "text": "_", "candidates": 0}, "candidates=0"),
        ("/infill", {"model": "a1", "text": "_", "temperature": 10**400}, "temperature: expected a number"),
        ("/infill", {"model": "a1", "text": "_", "seed": None}, "seed: expected a whole number"),
        ("/infill", {"model": "a1", "text": "_", "request": "x" * 65}, "request: expected at most 64 characters"),
        ("/infill", {"model": "a1", "text": "\ud800 _"}, "not valid UTF-8"),
        ("/infill", {"model": "a1", "text": "{document: all} _"}, ""),
        ("/levels", {"models": [], "text": "{a}"}, "No model is chosen"),
        ("/levels", {"models": [1], "text": "{a}"}, "expected lists of texts"),
    ],
)
def test_faults_are_told(server, path, body, message):
    status, answer = post(server, path, **body)
    if message:
        assert status == 400
        assert message in answer["error"]
        assert "Traceback" not in answer["error"]
    else:  # "document" is no type that any of these models has: it is part of the answer
        assert answer["answers"] == ["document: all"]


@pytest.mark.parametrize(
    ("text", "answers", "message"),
    [
        ("I eat.", None, "Put braces around"),
        ("I {eat} _", None, "Blanks: 2, answers: 1"),
        ("I [word].", ["eat", "play"], "Blanks: 1, answers: 2"),
        ("I [word].", [""], "none of them empty"),
    ],
)
def test_what_cannot_be_judged_is_told_by_model(server, text, answers, message):
    status, found = post(server, "/levels", models=["a1", "b2"], text=text, answers=answers)
    assert status == 200
    assert found["levels"] == []
    assert all(message in row["error"] for row in found["models"])


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**JSON, "Host": "evil.example"}, 403),  # DNS rebinding
        ({**JSON, "Host": "evil.example:7860"}, 403),
        ({**JSON, "Host": ""}, 403),
        ({**JSON, "Host": "[::1"}, 403),
        ({**JSON, "Host": "192.168.0.9"}, 403),
        ({**JSON, "Host": "0.0.0.0"}, 403),
        ({**JSON, "Host": "a@localhost"}, 403),
        ({**JSON, "Host": "localhost/evil.example"}, 403),
        ({**JSON, "Host": "localhost#evil.example"}, 403),
        ({**JSON, "Origin": "http://evil.example"}, 403),
        ({**JSON, "Origin": "null"}, 403),
        ({**JSON, "Origin": "http://localhost:1"}, 403),  # another port is another site
        ({**JSON, "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),  # what a form of another site can send
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({**JSON, "Host": "localhost:9000"}, 200),  # a tunnel's port
        ({**JSON, "Host": "localhost:9000", "Origin": "http://localhost:9000", "Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_other_sites_are_refused(server, headers, status):
    found, _, answer = ask(server, "POST", "/infill", {"model": "a1", "text": "I _"}, headers)
    assert found == status
    assert ("error" in answer) == (status != 200)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_the_page_itself_is_not_given_to_other_names(server, host):
    assert ask(server, "GET", "/", headers={"Host": host})[0] == 403


def test_an_open_server_knows_addresses_and_its_own_name(infillers):
    service = WebService([served("a1", "A1", infillers["a1"])], DEFAULTS)
    with running(service, "0.0.0.0") as server:
        for host in ("192.168.0.9:7860", "127.0.0.1", "[fe80::1]:80", "localhost", socket.gethostname()):
            assert ask(server, "GET", "/models", headers={"Host": host})[0] == 200, host
        assert ask(server, "GET", "/models", headers={"Host": "evil.example"})[0] == 403
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.org")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/%2e%2e/server.py", "/server.py", "//etc/passwd", "/page.js/../server.py", "/x"],
)
def test_only_the_page_is_there(server, path):
    status, _, answer = ask(server, "GET", path)
    assert (status, answer) == (404, {"error": "There is no such page."})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model": "a1", "text": "_", "temperature": NaN}'])
def test_what_is_no_json_object_is_refused(server, body):
    status, _, answer = ask(server, "POST", "/infill", body, JSON)
    assert status == 400
    assert answer["error"].startswith("The request is no JSON")


@pytest.mark.parametrize("depth", [100_000])
def test_deep_json_is_refused(server, depth):
    assert ask(server, "POST", "/infill", b"[" * depth, JSON)[0] == 400


def test_long_requests_are_told_so_and_nothing_breaks(server):
    status, _, answer = ask(server, "POST", "/infill", {"model": "a1", "text": "x" * 5_000_000 + " _"})
    assert status == 413
    assert f"may have {MAX_BODY:,} bytes" in answer["error"]
    assert post(server, "/infill", model="a1", text="I _")[0] == 200


@pytest.mark.parametrize("length", [None, "-1", "1e3", "9" * 30, "٣"])
def test_a_body_without_a_plain_length_is_refused(server, length):
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        line = b"" if length is None else b"Content-Length: " + length.encode() + b"\r\n"
        connection.sendall(b"POST /infill HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 411")


def test_other_methods_are_refused_as_json(server):
    for method in ("PUT", "OPTIONS", "DELETE"):
        status, headers, answer = ask(server, method, "/infill", {})
        assert (status, headers["Allow"]) == (405, "GET, HEAD, POST")
        assert "error" in answer


def test_head_is_get_without_its_body(server):
    for path in ("/", "/models"):
        with socket.create_connection(server.server_address[:2], timeout=10) as connection:
            connection.sendall(b"HEAD " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        length = ask(server, "GET", path)[1]["Content-Length"]
        assert head.startswith(b"HTTP/1.0 200")
        assert f"Content-Length: {length}".encode() in head
        assert body == b""


@pytest.mark.parametrize(("address", "status"), [(b"http://[x", b"404"), (b"http://localhost/models", b"200")])
def test_an_address_may_be_whole(server, address, status):
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(b"GET " + address + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.0 " + status)


@pytest.mark.parametrize("sent", [b"NONSENSE\r\n\r\n", b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"])
def test_what_is_no_request_has_a_status_too(server, sent):
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(sent)
        assert re.match(rb"HTTP/1\.0 (400|505) ", connection.recv(64))


def test_a_request_that_comes_too_slowly_is_left(server, monkeypatch):
    """However many bytes it sends in between: each of them would begin a plain timeout anew."""
    monkeypatch.setattr(handler, "REQUEST_SECONDS", 0.3)
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        begin = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            while time.monotonic() - begin < 10:
                connection.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - begin < 5


def test_idle_connections_keep_nobody_out_and_too_many_are_turned_away(infillers):
    service = WebService([served("a1", "A1", infillers["a1"])], DEFAULTS)
    with running(service) as server:
        idle = [socket.create_connection(server.server_address[:2]) for _ in range(100)]
        assert post(server, "/infill", model="a1", text="I _")[0] == 200
        idle += [socket.create_connection(server.server_address[:2]) for _ in range(100)]
        deadline = time.monotonic() + 10
        while ask(server, "GET", "/models")[0] != 503 and time.monotonic() < deadline:
            pass
        assert ask(server, "GET", "/models")[0] == 503
        for connection in idle:
            connection.close()
        while ask(server, "GET", "/models")[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert ask(server, "GET", "/models")[0] == 200


def test_markup_comes_back_as_text(server):
    text = "<script>alert(1)</script> I _ <img src=x onerror=alert(1)>"
    status, headers, answer = ask(server, "POST", "/infill", {"model": "a1", "text": text})
    assert (status, headers.get_content_type()) == (200, "application/json")
    assert answer["candidates"][0]["text"] == text.replace("_", "eat")


def test_a_bug_shows_the_browser_no_traceback(infillers, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("ilm"), "propagate", True)

    def load():
        raise RuntimeError("secret detail")

    service = WebService([ServedModel("a1", "A1", ("word",), load, lambda: "")], DEFAULTS)
    with running(service) as server:
        status, answer = post(server, "/infill", model="a1", text="_")
    assert status == 500
    assert "secret" not in answer["error"]
    assert "secret detail" in caplog.text


def slow(infillers) -> Slow:
    infiller = Slow(infillers["a1"].model, infillers["a1"].vocabulary)
    infiller.begun, infiller.ended = threading.Event(), threading.Event()
    return infiller


def send(server: WebServer, model: str, request: str | None = None) -> socket.socket:
    body = json.dumps({"model": model, "text": "I _", "request": request}).encode()
    connection = socket.create_connection(server.server_address[:2])
    head = (
        f"POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    connection.sendall(head.encode() + b"\r\n" + body)
    return connection


def test_a_cancelled_request_ends_in_the_middle_and_the_next_is_answered(infillers):
    infiller = slow(infillers)
    service = WebService([served("slow", "A1", infiller), served("b2", "B2", infillers["b2"])], DEFAULTS)
    with running(service) as server:
        connection = send(server, "slow")
        assert infiller.begun.wait(10)
        connection.close()
        assert infiller.ended.wait(10)
        assert post(server, "/infill", model="b2", text="I _")[1]["candidates"][0]["text"] == "I play"


def test_the_server_ends_while_a_model_computes(infillers):
    infiller = slow(infillers)
    with running(WebService([served("slow", "A1", infiller)], DEFAULTS)) as server:
        connection = send(server, "slow")
        assert infiller.begun.wait(10)
    assert infiller.ended.is_set()
    connection.close()


def test_more_requests_than_may_wait_are_told_so(infillers):
    service = WebService([served("a1", "A1", infillers["a1"])], DEFAULTS)
    with running(service) as server:
        service.worker._most = 0
        status, answer = post(server, "/infill", model="a1", text="_")
        assert status == 503
        assert "Try again" in answer["error"]
        service.worker._most = 1
        assert post(server, "/infill", model="a1", text="_")[0] == 200


def test_a_taken_port_is_told_with_what_to_type(server):
    port = server.server_address[1]
    with pytest.raises(UserError, match=rf"Port {port} of 127.0.0.1 is in use.*server.port={port + 1}.*server.port=0"):
        WebServer(server.service, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.name.invalid", "::zz", "", " "])
def test_a_host_that_is_no_address_here_is_told(server, host):
    """To the system no host at all is every address of the machine."""
    with pytest.raises(UserError, match=r"server\.host.*Give an address of this machine"):
        WebServer(server.service, host, 0)


def test_models_are_read_from_folders_when_first_asked(tmp_path, infillers):
    random = infillers["random"]
    save_model(random.model, random.vocabulary, tmp_path / "m")
    (rounded,) = served_models({"m": tmp_path / "m"}, "cpu", "bfloat16")
    assert rounded.load().model.dtype == torch.bfloat16
    (model,) = served_models({"m": tmp_path / "m"}, "cpu")
    assert (model.level, model.mask_types) == ("m", ("sentence", "ngram", "word"))
    service = WebService([model], DEFAULTS)
    found = service.infill({"model": "m", "text": "I _."}, lambda: False)
    direct = random("I _.", **asdict(DEFAULTS))[0]
    assert {candidate["text"] for candidate in found["candidates"]} == {infilling.text for infilling in direct}
    service.worker.stop()


def test_no_more_models_are_in_memory_than_may(infillers):
    loads = []

    def model(name: str) -> ServedModel:
        def load() -> Infiller:
            loads.append(name)
            return infillers["a1"]

        return ServedModel(name, name, infillers["a1"].vocabulary.mask_types, load, lambda: f"of {name}")

    service = WebService([model(name) for name in "abc"], DEFAULTS, max_loaded=2)
    for name in "abacab":
        assert service.infill({"model": name, "text": "I _."}, lambda: False)["fingerprint"] == f"of {name}"
    # a and b are read; then a is asked again, so that c takes the place of b, and at the end b that of c.
    assert loads == ["a", "b", "c", "b"]
    assert [found["loaded"] for found in service.models()["models"]] == [True, True, False]
    found = service.levels({"models": ["a", "b", "c"], "text": "I {eat}."}, lambda: False)
    assert len({row["log_probability"] for row in found["models"]}) == 1
    service.worker.stop()


def test_the_original_answers_stand_beside_the_candidates(server, infillers):
    found = post(server, "/infill", model="random", text="I {eat} pasta for {the lunch}.", seed=3)[1]
    original = found["original"]
    assert original["text"] == "I eat pasta for the lunch."
    assert [original["text"][a["start"] :][: a["length"]] for a in original["answers"]] == ["eat", "the lunch"]
    expected = infillers["random"].score("I [word] pasta for [ngram].", ["eat", "the lunch"])
    assert original["log_probability"] == pytest.approx(expected)
    assert (found["level"], found["settings"]["seed"], found["fingerprint"]) == ("all", 3, "of random")
    for text in ("I [word] pasta.", "I {eat} _."):
        assert post(server, "/infill", model="random", text=text)[1]["original"] is None


def test_of_a_long_text_the_original_is_judged_on_what_the_candidates_were_given(server, infillers):
    text = "many words " * 60 + "I {eat} pasta." + " and so on" * 60
    found = post(server, "/infill", model="random", text=text, cut=True)[1]
    before, after = found["original"]["left_out"]
    assert [before, after] == found["candidates"][0]["left_out"]
    assert min(before, after) > 100
    part = text.replace("{eat}", "[word]")[before : len(text) + 1 - after]
    assert found["original"]["log_probability"] == pytest.approx(infillers["random"].score(part, ["eat"]))


def test_all_models_judge_the_same_part_of_a_long_text(infillers):
    longer = Infiller(random_model("gpt2", ROWS, positions=192), vocabulary())
    own = infillers["random"]
    service = WebService([served("long", "A1", longer), served("short", "B1", own)], DEFAULTS)
    text = "many words " * 20 + "I {eat} pasta." + " and so on" * 20
    blanked = text.replace("{eat}", "[word]")
    request = {"models": ["long", "short"], "text": text, "cut": True}
    found = service.levels(request, lambda: False)
    before, after = found["left_out"]
    assert min(before, after) > 50
    part = blanked[before : len(blanked) - after]
    scores = [infiller.score(part, ["eat"]) for infiller in (longer, own)]
    assert [row["log_probability"] for row in found["models"]] == pytest.approx(scores)
    assert len(found["levels"]) == 2
    # Alone the longer one reads more.
    assert service.levels({**request, "models": ["long"]}, lambda: False)["left_out"] != (before, after)
    refused = service.levels({**request, "cut": False}, lambda: False)
    assert all("the model takes" in row["error"] for row in refused["models"])
    assert refused["levels"] == []
    service.worker.stop()


def test_how_far_a_request_is_can_be_asked(infillers):
    infiller = slow(infillers)
    service = WebService([served("slow", "A1", infiller)], DEFAULTS)
    with running(service) as server:
        connections = [send(server, "slow", request=name) for name in ("first", "second")]
        assert infiller.begun.wait(10)
        deadline = time.monotonic() + 10
        while len(jobs := ask(server, "GET", "/progress")[2]["jobs"]) < 2 or jobs[0]["steps"] < 3:
            assert time.monotonic() < deadline
        assert sorted(job["request"] for job in jobs) == ["first", "second"]
        assert [(job["doing"], job["model"]) for job in jobs] == [("filling", "slow"), ("waiting", "")]
        for connection in connections:
            connection.close()
        while ask(server, "GET", "/progress")[2]["jobs"]:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("files", [[], ["config.json"]])
def test_a_folder_without_a_model_is_told_at_the_start(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError):
        served_models({"m": tmp_path}, "cpu")
    with pytest.raises(UserError):
        served_models({"m": tmp_path / "missing"}, "cpu")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("server.port=70000", "server.port=70000: expected a port from 1 to 65535"),
        ("server.port=-1", "server.port=-1"),
        ("server.max_loaded=0", "server.max_loaded=0: expected a whole number of at least 1"),
        ("input=x.csv", "web=true beside input=x.csv"),
    ],
)
def test_the_configuration_is_checked(override, message):
    cfg, choices = compose("infill", "web=true", override)
    with pytest.raises(UserError, match=message):
        check(cfg, Infill, choices)


def test_an_installed_package_has_the_page():
    import tomllib

    patterns = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = REPOSITORY / "ilm" / "infilling" / "web"
    packed = {path.name for pattern in patterns["ilm.infilling.web"] for path in folder.glob(pattern)}
    assert packed == {path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
