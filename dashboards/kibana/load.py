"""Loading saved objects by Kibana's import API: ``POST [/s/SPACE]/api/saved_objects/_import?overwrite=true``.

A second load replaces what the first made. Kibana answers 200 also where it refused an object, and says so in the body.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from dashboards.kibana.objects import OLDEST_KIBANA, ndjson
from streams.sinks.elasticsearch import without_password

__all__ = ["KibanaError", "load"]

#: Seconds for one request. Kibana writes all objects and waits until they can be searched.
TIMEOUT = 60.0
#: Kibana looks at the ending of the file's name.
_FILE = "wardwatch.ndjson"


class KibanaError(Exception):
    """Kibana did not take the objects. The message says why and how to mend it."""


def load(
    url: str,
    objects: Sequence[dict[str, Any]],
    *,
    space: str = "",
    api_key: str = "",
    username: str = "",
    password: str = "",
) -> int:
    """Load ``objects`` into ``space``; gives how many Kibana has. Raises KibanaError.

    ``api_key``: base64, and wins over ``username`` and ``password``. Redirects are not followed: a login page would
    answer 200 to anything.
    """
    headers = {"kbn-xsrf": "wardwatch"}
    if api_key:
        headers["authorization"] = f"ApiKey {api_key}"
    auth = (username, password) if username and not api_key else None
    base = url.rstrip("/") + (f"/s/{quote(space, safe='')}" if space not in ("", "default") else "")
    told = without_password(url)
    try:
        with httpx.Client(timeout=TIMEOUT, headers=headers, auth=auth) as client:
            _check_version(client.get(f"{url.rstrip('/')}/api/status"), told)
            answer = client.post(
                f"{base}/api/saved_objects/_import",
                params={"overwrite": "true"},
                files={"file": (_FILE, ndjson(objects), "application/ndjson")},
            )
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise KibanaError(f"no Kibana answers at {told} ({type(exc).__name__}): start it, or mend the address") from exc
    said = _said(answer)
    if answer.status_code != 200:
        raise KibanaError(_refusal(answer, said, told, space))
    if not said.get("success"):
        raise KibanaError(_errors(said, told))
    return int(said.get("successCount", 0))


def _check_version(answer: httpx.Response, told: str) -> None:
    """Raises KibanaError on one too old; a Kibana that keeps its version to itself is let pass."""
    version = _said(answer).get("version")
    number = version.get("number", "") if isinstance(version, Mapping) else ""
    parts = [part for part in str(number).split(".")[:2] if part.isdecimal()]
    if len(parts) == 2 and tuple(map(int, parts)) < OLDEST_KIBANA:
        oldest = ".".join(map(str, OLDEST_KIBANA))
        raise KibanaError(f"Kibana at {told} is {number}, and the dashboard needs {oldest} or later: upgrade it")


def _said(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(answer: httpx.Response, said: Mapping[str, Any], told: str, space: str) -> str:
    status = answer.status_code
    detail = str(said.get("message", ""))[:300]
    if status == 401:
        return (
            f"Kibana at {told} does not know who asks (401): set WARDWATCH_ELASTICSEARCH_API_KEY, or "
            "WARDWATCH_ELASTICSEARCH_USERNAME and WARDWATCH_ELASTICSEARCH_PASSWORD"
        )
    if status == 403:
        return (
            f"Kibana at {told} does not allow it (403): the key or user needs All on Saved Objects Management, "
            f"Dashboard, Discover and Data View Management{f' in space {space}' if space else ''}"
        )
    if status == 404:
        where = f"space {space}" if space else "import API"
        return f"Kibana at {told} has no {where} (404): make it, or mend the name or the address"
    if 300 <= status < 400:
        place = without_password(answer.headers.get("location", "elsewhere"))
        return f"Kibana at {told} sends to {place} ({status}): name Kibana itself, with its base path"
    if status == 503:
        return f"Kibana at {told} is not ready (503): try again in a minute"
    if status == 200 or not detail:
        return f"what answers at {told} is no Kibana ({status}): mend the address"
    return f"Kibana at {told} refused the file ({status}): {detail}"


def _errors(said: Mapping[str, Any], told: str) -> str:
    """What Kibana refused, the first few by name."""
    found = said.get("errors")
    if not isinstance(found, list) or not found:
        return f"what answers at {told} is no Kibana (200): mend the address"
    named = [f"{one.get('type')} {one.get('id')} ({_reason(one.get('error', {}))})" for one in found[:3]]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"Kibana at {told} refused {', '.join(named)}{more}: mend what it says, and run setup again"


def _reason(error: Mapping[str, Any]) -> str:
    kind = str(error.get("type", "unknown"))
    if kind == "missing_references":
        missing = ", ".join(f"{one.get('type')} {one.get('id')}" for one in error.get("references", []))
        return f"it refers to what is not there: {missing}"
    if kind in ("conflict", "ambiguous_conflict"):
        return f"{kind}: another space has it, or several like it: delete those"
    return f"{kind}: {error['message']}"[:300] if error.get("message") else kind
