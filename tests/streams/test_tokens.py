"""Tokens from a file, a command and an endpoint: fresh in time, and no secret in any word about them."""

from __future__ import annotations

import base64
import json
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from streams.tokens import Credentials, Token, TokenError, TokenSource, from_command, from_endpoint, from_file

SECRET = "s3cret & more"


def jwt(**claims: Any) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("lives", "value", "kept"),
    [
        (300.0, "opaque", 269),  # until half a minute before its end
        (None, jwt(exp=1_000_300), 269),
        (None, "opaque", 0),  # nobody knows how long: asked for each time
        (None, jwt(sub="x"), 0),
        (None, "a.b.c", 0),
        (20.0, "short", 0),
    ],
)
def test_a_token_is_used_until_shortly_before_its_end(lives: float | None, value: str, kept: int) -> None:
    clock, fetched = Clock(), []

    def fetch() -> Token:
        fetched.append(clock.now)
        return Token(value, lives)

    source = TokenSource(fetch, clock=clock)
    assert source.token() == value
    for second in range(1, 271):
        clock.now = 1_000_000 + second
        before = len(fetched)
        assert source.token() == value
        assert (len(fetched) == before) is (second <= kept), second
        if second > kept:
            break


def test_a_file_is_read_for_every_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = TokenSource(from_file(file), reuse=False)
    with pytest.raises(TokenError, match=r"no token can be read from .*token \(No such file or directory\)"):
        source.token()
    for value in (jwt(exp=9_999_999_999), "two"):
        file.write_text(f"{value}\n")
        assert source.token() == value
    for wrong, reason in (("", "it is empty"), ("two words", "not one word"), ("a\x01auth=b", "not one word")):
        file.write_text(wrong)
        with pytest.raises(TokenError, match=reason):
            source.token()


def test_a_command_that_fails_is_named_and_what_it_printed_is_not() -> None:
    python = sys.executable
    assert from_command([python, "-c", "print('abc')"])() == Token("abc", None)
    for code, reason in (
        ("raise SystemExit(3)", "ended with 3"),
        (f"print({SECRET!r})", "not one word"),
    ):
        with pytest.raises(TokenError, match=reason) as caught:
            from_command([python, "-c", code])()
        assert SECRET not in str(caught.value)
    with pytest.raises(TokenError, match=r"gave no token \(No such file"):
        from_command(["/nowhere/at-all"])()


class Endpoint(BaseHTTPRequestHandler):
    answer: tuple[int, dict[str, Any]] = (200, {})
    asked: list[tuple[str, dict[str, list[str]]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append((self.headers["Authorization"], parse_qs(body)))
        code, said = self.answer
        content = json.dumps(said).encode()
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[tuple[str, type[Endpoint]]]:
    handler = type("Handler", (Endpoint,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token", handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_asked_as_the_standard_says(endpoint: tuple[str, type[Endpoint]]) -> None:
    url, handler = endpoint
    fetch = from_endpoint(url, Credentials("pump gateway", SECRET, "kafka"), ssl.create_default_context())
    handler.answer = (200, {"access_token": "abc", "expires_in": 60, "token_type": "Bearer"})
    assert fetch() == Token("abc", 60.0)
    ((authorization, form),) = handler.asked
    assert form == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
    assert base64.b64decode(authorization.removeprefix("Basic ")) == b"pump+gateway:s3cret+%26+more"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, {"error": "invalid_client"}), r"refuses \(401 invalid_client\): mend token_client or its secret"),
        ((401, {"error": SECRET * 20}), r"refuses \(401\)"),
        ((302, {}), r"refuses \(302\)"),
        ((200, {"token": "abc"}), "answers what is no token: mend token_url"),
        ((200, {"access_token": "two words"}), "not one word"),
        ((200, {"access_token": "abc", "expires_in": "soon"}), "answers what is no token"),
    ],
    ids=str,
)
def test_an_endpoint_that_gives_none_is_told_in_one_sentence(
    endpoint: tuple[str, type[Endpoint]], answer: tuple[int, dict[str, Any]], reason: str
) -> None:
    url, handler = endpoint
    handler.answer = answer
    with pytest.raises(TokenError, match=reason) as caught:
        from_endpoint(url, Credentials("x", SECRET), ssl.create_default_context())()
    assert SECRET not in str(caught.value)
    assert len(handler.asked) == 1  # credentials went nowhere else


def test_a_secret_goes_nowhere_unencrypted() -> None:
    with pytest.raises(ValueError, match="is not https: the secret would travel unencrypted"):
        from_endpoint("http://idp.hospital.example/token", Credentials("x", SECRET), ssl.create_default_context())
    assert SECRET not in repr(Credentials("x", SECRET))
    with pytest.raises(TokenError, match=r"does not answer \(Connection refused"):
        from_endpoint("http://127.0.0.1:9/token", Credentials("x", SECRET), ssl.create_default_context())()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads, and the child uses none
def test_a_fork_in_the_middle_of_fetching_holds_nobody() -> None:
    source = TokenSource(lambda: Token("abc", None))
    with source._lock:
        child = os.fork()
        if not child:
            os._exit(0 if source.token() == "abc" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
