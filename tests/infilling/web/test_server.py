"""The page's server, over HTTP: what is not meant for it, or broken, slow or too much, is refused."""

import json
import re
import socket
import time

import pytest

from ilm.config.check import check
from ilm.config.infill import Infill
from ilm.errors import UserError
from ilm.infilling.web import server as web_server
from ilm.infilling.web.app import MAX_BODY, is_loopback
from ilm.infilling.web.server import WebServer
from tests.conftest import REPOSITORY, compose
from tests.infilling.web.serving import (
    JSON,
    ServedModel,
    ask,
    post,
    running,
    send,
    served,
    service_of,
    service_with,
    slow,
)

PAGE = REPOSITORY / "ilm" / "infilling" / "web" / "page"


def test_the_page_is_whole_and_loads_nothing_from_elsewhere(server):
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
    for file in PAGE.iterdir():
        status, headers, text = ask(server, "GET", "/" if file.name == "index.html" else f"/{file.name}")
        assert (status, headers["Content-Type"]) == (200, f"{kinds[file.suffix]}; charset=utf-8")
        for found in re.findall(r'(?:src|href)="([^"]+)"', text):
            assert found == "data:," or (PAGE / found).is_file()
        assert "://" not in text
        assert "//cdn" not in text
        assert "innerHTML" not in text
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


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
    service = service_with([served("a1", "A1", infillers["a1"])])
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
    [
        "/../app.py",
        "/%2e%2e/app.py",
        "/app.py",
        "//etc/passwd",
        "/page.js/../../app.py",
        "/x",
        "/infill",
        "/%00",
        "/%ff",
    ],
)
def test_only_the_page_is_there(server, path):
    status, _, answer = ask(server, "GET", path)
    assert status == 404
    assert answer["error"] == "Not Found"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"seed": ' + b"1" * 5000 + b"}"),
        b'{"model": "a1", "text": "_", "temperature": NaN}',
        b'{"model": "a1", "text": "\\ud800 _"}',
    ],
)
def test_what_is_no_json_object_is_refused(server, body):
    status, _, answer = ask(server, "POST", "/infill", body, JSON)
    assert status == 400
    assert answer["error"].startswith("The request is not ")


def test_many_unknown_fields_keep_nobody_waiting(server):
    begin = time.monotonic()
    status, _, answer = ask(server, "POST", "/infill", {f"field{n}": 1 for n in range(15_000)})
    assert (status, len(answer["error"]) < 500) == (400, True)
    assert time.monotonic() - begin < 5


def test_long_requests_are_told_so_and_nothing_breaks(server):
    status, _, answer = ask(server, "POST", "/infill", {"model": "a1", "text": "x" * 5_000_000 + " _"})
    assert status == 413
    assert f"may have at most {MAX_BODY:,} bytes" in answer["error"]
    assert post(server, "/infill", model="a1", text="I _")[0] == 200


@pytest.mark.parametrize(("size", "status"), [(0, 200), (2 * MAX_BODY, 413)])
def test_a_body_may_come_in_chunks(server, size, status):
    body = json.dumps({"model": "a1", "text": "x" * size + " _"}).encode()
    with socket.create_connection(server.address, timeout=10) as connection:
        head = b"POST /infill HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for begin in range(0, len(body), 65_536):
            chunk = body[begin : begin + 65_536]
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 %d" % status)


def test_other_methods_are_refused_as_json(server):
    for method in ("PUT", "OPTIONS", "DELETE"):
        status, _, answer = ask(server, method, "/infill", {})
        assert status == 405
        assert answer["error"] == "Method Not Allowed"


def test_head_is_get_without_its_body(server):
    for path in ("/", "/models"):
        with socket.create_connection(server.address, timeout=10) as connection:
            connection.sendall(b"HEAD " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        length = ask(server, "GET", path)[1]["Content-Length"]
        assert head.startswith(b"HTTP/1.1 200")
        assert f"content-length: {length}".encode() in head
        assert body == b""


@pytest.mark.parametrize("sent", [b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_is_no_request_has_a_status_too(server, sent):
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(sent)
        assert connection.recv(64).startswith(b"HTTP/1.1 400 ")


def test_a_request_that_comes_too_slowly_is_left(server, monkeypatch):
    """However many bytes it sends in between: each of them would begin a plain timeout anew."""
    monkeypatch.setattr(web_server, "MAX_SECONDS", 0.3)
    with socket.create_connection(server.address, timeout=10) as connection:
        begin = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012
            while time.monotonic() - begin < 10:
                connection.sendall(b"G")
                time.sleep(0.05)
        assert time.monotonic() - begin < 5


def test_idle_connections_keep_nobody_out_and_too_many_are_turned_away(infillers):
    service = service_with([served("a1", "A1", infillers["a1"])])
    with running(service) as server:
        idle = [socket.create_connection(server.address) for _ in range(100)]
        assert post(server, "/infill", model="a1", text="I _")[0] == 200
        idle += [socket.create_connection(server.address) for _ in range(100)]
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


def test_a_bug_shows_the_browser_no_traceback(infillers, caplog):
    def load():
        raise RuntimeError("secret detail")

    service = service_with([ServedModel("a1", "A1", load)])
    with running(service) as server:
        status, answer = post(server, "/infill", model="a1", text="_")
    assert status == 500
    assert "secret" not in answer["error"]
    assert "secret detail" in caplog.text


def test_a_cancelled_request_ends_in_the_middle_and_the_next_is_answered(infillers):
    infiller = slow(infillers)
    service = service_with([served("slow", "A1", infiller), served("b2", "B2", infillers["b2"])])
    with running(service) as server:
        connection = send(server, "slow")
        assert infiller.begun.wait(10)
        connection.close()
        assert infiller.ended.wait(10)
        assert post(server, "/infill", model="b2", text="I _")[1]["candidates"][0]["text"] == "I play"


def test_the_server_ends_while_a_model_computes(infillers):
    infiller = slow(infillers)
    with running(service_with([served("slow", "A1", infiller)])) as server:
        connection = send(server, "slow")
        assert infiller.begun.wait(10)
    assert infiller.ended.is_set()
    connection.close()


def test_more_requests_than_may_wait_are_told_so(infillers):
    service = service_with([served("a1", "A1", infillers["a1"])])
    with running(service) as server:
        server.worker.max_waiting = 0
        status, answer = post(server, "/infill", model="a1", text="_")
        assert status == 503
        assert "Try again" in answer["error"]
        server.worker.max_waiting = 1
        assert post(server, "/infill", model="a1", text="_")[0] == 200


def test_a_taken_port_is_told_with_what_to_type(server, infillers):
    port = server.address[1]
    with pytest.raises(
        UserError, match=rf"port={port}: Address already in use.*infill.py web=true server.port=0 for any"
    ):
        WebServer(service_of(infillers), "127.0.0.1", port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.name.invalid", "::zz", "", " "])
def test_a_host_that_is_no_address_here_is_told(infillers, host):
    """To the system no host at all is every address of the machine."""
    with pytest.raises(UserError, match=r"server\.host=.* an address of this machine, such as server.host=127"):
        WebServer(service_of(infillers), host, 0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("server.port=70000", "server.port=70000: expected at most 65535"),
        ("server.port=-1", "server.port=-1"),
        ("server.max_loaded=0", "server.max_loaded=0: expected at least 1"),
        ("input=x.csv", "web=true with input=x.csv"),
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
    packed = {path for pattern in patterns["ilm.infilling.web"] for path in folder.glob(pattern)}
    assert packed == {*PAGE.iterdir()}
