"""The import call against a real HTTP server that answers as Kibana's API says it does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from pathlib import Path
from typing import Any

import pytest
from answering import Answering, Asked, answering
from typer.testing import CliRunner

from dashboards.kibana.load import KibanaError, load
from dashboards.kibana.objects import saved_objects
from streams import cli

OBJECTS = saved_objects()
DONE = {"success": True, "successCount": len(OBJECTS), "warnings": [], "successResults": []}


@contextmanager
def kibana(
    status: int = 200, body: Any = None, *, version: str = "8.19.21", headers: dict[str, str] | None = None
) -> Iterator[Answering]:
    """Tells its version, and gives one answer to every import."""

    def answer(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if asked.path.endswith("/api/status"):
            return 200, {}, json.dumps({"version": {"number": version}} if version else {}).encode()
        content = DONE if body is None else body
        return status, headers or {}, content if isinstance(content, bytes) else json.dumps(content).encode()

    with answering(answer) as serving:
        yield serving


def parts(headers: dict[str, str], body: bytes) -> list[Message]:
    """A multipart body as the standard library's own parser reads it."""
    whole = message_from_bytes(b"Content-Type: " + headers["content-type"].encode() + b"\r\n\r\n" + body, policy=HTTP)
    assert whole.get_content_type() == "multipart/form-data"
    return list(whole.iter_parts())


def test_the_objects_arrive_as_the_api_documents() -> None:
    with kibana() as serving:
        assert load(f"{serving.url}/", OBJECTS, api_key="a2V5", username="nobody", password="none") == len(OBJECTS)
    method, path, headers, body = serving.asked[-1]
    assert (method, path) == ("POST", "/api/saved_objects/_import?overwrite=true")
    assert headers["kbn-xsrf"]
    assert headers["authorization"] == "ApiKey a2V5"
    (part,) = parts(headers, body)
    assert part.get_param("name", header="content-disposition") == "file"
    assert str(part.get_filename()).endswith(".ndjson"), "Kibana refuses any other ending"
    assert [json.loads(line) for line in part.get_payload(decode=True).splitlines()] == OBJECTS


@pytest.mark.parametrize(
    ("space", "path"), [("", "/kbn/api"), ("default", "/kbn/api"), ("ward-7", "/kbn/s/ward-7/api")]
)
def test_a_space_is_part_of_the_path_after_kibana_s_own(space: str, path: str) -> None:
    with kibana() as serving:
        load(f"{serving.url}/kbn", OBJECTS, space=space, username="soc", password="p:ss")
    assert [request[1] for request in serving.asked] == [
        "/kbn/api/status",
        f"{path}/saved_objects/_import?overwrite=true",
    ]
    assert serving.asked[-1][2]["authorization"] == "Basic " + base64.b64encode(b"soc:p:ss").decode()


CONFLICT = {"id": "wardwatch-alerts", "type": "index-pattern", "error": {"type": "ambiguous_conflict"}}
MISSING = {
    "id": "wardwatch-overview",
    "type": "dashboard",
    "error": {"type": "missing_references", "references": [{"type": "search", "id": "wardwatch-alerts-latest"}]},
}
UNKNOWN = {
    "id": "x",
    "type": "dashboard",
    "error": {"type": "unknown", "message": "belongs to a more recent version", "statusCode": 422},
}


def refused(*errors: dict[str, Any]) -> dict[str, Any]:
    return {"success": False, "successCount": 0, "errors": list(errors)}


def boom(status: int, message: str) -> dict[str, Any]:
    return {"statusCode": status, "error": "Name of the status", "message": message}


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (200, refused(CONFLICT), "refused index-pattern wardwatch-alerts (ambiguous_conflict: another space has it"),
        (200, refused(MISSING), "(it refers to what is not there: search wardwatch-alerts-latest)"),
        (200, refused(UNKNOWN), "dashboard x (unknown: belongs to a more recent version)"),
        (200, refused(*[CONFLICT] * 5), "and 2 more: mend what it says, and run setup again"),
        (200, b"<html>log in</html>", "is no Kibana (200): mend the address"),
        (200, [], "is no Kibana (200): mend the address"),
        (400, boom(400, "Invalid file extension .json"), "refused the file (400): Invalid file extension .json"),
        (
            401,
            boom(401, "unable to authenticate user"),
            "does not know who asks (401): set WARDWATCH_ELASTICSEARCH_API",
        ),
        (
            403,
            boom(403, "Unable to bulk_create dashboard"),
            "does not allow it (403): the key or user needs All on Saved",
        ),
        (404, boom(404, "Not Found"), "has no space ward-7 (404): make it"),
        (302, b"", "sends to https://login.example/ (302): name Kibana itself"),
        (413, b"too large", "is no Kibana (413)"),
        (503, b"Kibana server is not ready yet", "is not ready (503): try again in a minute"),
    ],
)
def test_what_kibana_refuses_is_one_sentence(status: int, body: Any, told: str) -> None:
    with (
        kibana(status, body, headers={"location": "https://user:secret@login.example/"}) as serving,
        pytest.raises(KibanaError) as caught,
    ):
        load(serving.url.replace("//", "//soc:secret@"), OBJECTS, space="ward-7")
    said = str(caught.value)
    assert told in said
    assert "secret" not in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("version", "taken"), [("8.14.3", False), ("7.17.0", False), ("8.15.0", True), ("9.1.0", True), ("", True)]
)
def test_a_kibana_too_old_is_told_before_anything_is_sent(version: str, taken: bool) -> None:
    with kibana(version=version) as serving:
        if taken:
            assert load(serving.url, OBJECTS) == len(OBJECTS)
        else:
            with pytest.raises(KibanaError, match=rf"is {version}, and the dashboard needs 8\.15 or later: upgrade it"):
                load(serving.url, OBJECTS)
    assert any(method == "POST" for method, *_ in serving.asked) == taken


def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(KibanaError, match=r"no Kibana answers at http://127\.0\.0\.1:9 \(ConnectError\): start it"):
        load("http://soc:secret@127.0.0.1:9", OBJECTS)


def test_a_file_to_import_by_hand_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDWATCH_PUBLIC_URL", "https://w.example")
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path / "home"))
    out = tmp_path / "kibana.ndjson"
    made = CliRunner().invoke(cli.app, ["setup", "--space", "ward-7", "--kibana-file", str(out)])
    assert (made.exit_code, made.stderr) == (0, "")
    assert (
        made.stdout
        == f"kibana         {len(OBJECTS)} objects in {out}: import them under Stack Management, Saved Objects\n"
    )
    lines = out.read_text().splitlines()
    assert [json.loads(line) for line in lines] == saved_objects(public_url="https://w.example", space="ward-7")
    assert not (tmp_path / "home").exists()
    failed = CliRunner().invoke(cli.app, ["setup", "--kibana-file", str(tmp_path / "nowhere" / "out.ndjson")])
    assert failed.exit_code == 1
    assert failed.stderr.endswith("cannot be written (No such file or directory): name another file\n")
