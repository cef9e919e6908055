"""Users of Elasticsearch for Kibana and the workers, made of secrets in files."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from answering import answering
from composed import COMPOSE, ROOT, secrets_in

SCRIPT = ROOT / "deploy" / "elasticsearch" / "credentials.sh"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    return secrets_in(tmp_path)


def run_credentials(secrets: Path, url: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SECRETS": str(secrets), "ELASTICSEARCH": url}
    return subprocess.run(["sh", str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_kibana_and_workers_are_given_users_of_their_own(secrets: Path) -> None:
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert (result.returncode, result.stderr) == (0, "")
    asked = [(each.method, each.path, json.loads(each.body)) for each in elasticsearch.asked]
    assert asked[0] == ("POST", "/_security/user/kibana_system/_password", {"password": "synthetic-kibana_password"})
    roles = {path.rpartition("/")[2]: body for method, path, body in asked[1::2] if method == "PUT"}
    privileges = {name: set(role["indices"][0]["privileges"]) for name, role in roles.items()}
    assert {name: role["indices"][0]["names"] for name, role in roles.items()} == {
        "wardwatch_worker": ["wardwatch-alerts-*", "wardwatch-findings-*"],
        "wardwatch_events": ["wardwatch-events-*"],
        "wardwatch_identity": ["wardwatch-events-*", "wardwatch-alerts-*"],
    }
    for name in ("wardwatch_worker", "wardwatch_events"):
        assert not {"all", "manage", "delete", "write", "read"} & privileges[name]
    assert "index" not in privileges["wardwatch_events"], "what is kept is not changed"
    assert privileges["wardwatch_identity"] == {"read"}
    assert [(path, body) for _, path, body in asked[2::2]] == [
        (f"/_security/user/{user}", {"password": f"synthetic-{secret}_password", "roles": [role]})
        for user, secret, role in (
            ("wardwatch", "wardwatch", "wardwatch_worker"),
            ("wardwatch_events", "events", "wardwatch_events"),
            ("wardwatch_identity", "identity", "wardwatch_identity"),
        )
    ]
    basic = base64.b64encode(b"elastic:synthetic-elastic_password").decode()
    assert {each.headers["authorization"] for each in elasticsearch.asked} == {f"Basic {basic}"}


@pytest.mark.parametrize("password", ["", 'a"b', "two words", "$(id)"])
def test_a_password_that_could_be_misread_is_refused_before_anything_is_asked(secrets: Path, password: str) -> None:
    (secrets / "wardwatch_password").write_text(password)
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert result.returncode != 0
    assert (
        result.stderr == "secret wardwatch_password is empty or has other characters than letters, digits, . _ and -\n"
    )
    assert elasticsearch.asked == []


def test_users_that_are_refused_end_the_service(secrets: Path) -> None:
    with answering(lambda asked: (403 if "role" in asked.path else 200, {}, b"{}")) as elasticsearch:
        result = run_credentials(secrets, elasticsearch.url)
    assert result.returncode != 0
    assert "403" in result.stderr
    assert len(elasticsearch.asked) == 2
    assert "synthetic" not in result.stdout + result.stderr


def test_the_passwords_that_the_guide_makes_are_ones_that_the_services_take(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    lines = re.findall(r"^    ((?:umask|for name) .*)$", guide, re.MULTILINE)
    assert len(lines) == 2
    subprocess.run(["sh", "-c", "\n".join(lines)], cwd=tmp_path, check=True)
    made = sorted((tmp_path / "secrets").iterdir())
    assert [path.name for path in made] == sorted(Path(each["file"]).name for each in COMPOSE["secrets"].values())
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}, "Elasticsearch refuses any but 400 and 600"
    assert len({path.read_text() for path in made}) == len(made)
    assert all(len(path.read_text()) >= 24 for path in made)
    with answering(lambda _: (200, {}, b"{}")) as elasticsearch:
        assert run_credentials(tmp_path / "secrets", elasticsearch.url).returncode == 0
