"""OAUTHBEARER tokens: from a file, a command or an OIDC token endpoint, and for how long each may be used again.

Nothing here logs a token or a secret, and no error quotes one.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Credentials", "TokenError", "TokenSource", "from_command", "from_endpoint", "from_file"]

#: Seconds that a command or an endpoint may take.
_PATIENCE = 10.0
#: Seconds before its end at which a token is no longer used for a new connection.
_MARGIN = 30.0
#: Bytes of an answer; tokens are far smaller.
_LARGEST = 256 * 1024


class TokenError(Exception):
    """No token can be had. The message says from where, why, and what to mend."""


class Token(NamedTuple):
    value: str
    lives: float | None  #: seconds from now, where whoever gave it said so


class Credentials(NamedTuple):
    """What a client shows to a token endpoint."""

    client: str
    secret: str
    scope: str = ""

    def __repr__(self) -> str:
        return f"Credentials(client={self.client!r}, scope={self.scope!r})"


class TokenSource:
    """Gives a token, a fresh one in time. Used by any thread, and after a fork."""

    def __init__(
        self, fetch: Callable[[], Token], *, reuse: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        """``reuse``: whether one is kept until shortly before its end. ``clock``: seconds since the epoch."""
        self._fetch = fetch
        self._reuse = reuse
        self._clock = clock
        self._kept = ""
        self._until = 0.0
        self._lock = threading.Lock()
        self._process = os.getpid()

    def token(self) -> str:
        """A token that may be shown now. Raises TokenError."""
        if self._process != os.getpid():  # who held the lock at the fork is not here to let go of it
            self._process, self._lock = os.getpid(), threading.Lock()
        with self._lock:
            now = self._clock()
            if not self._kept or now >= self._until:
                token = self._fetch()
                ends = _expiry(token.value) if token.lives is None else now + token.lives
                self._kept = token.value if self._reuse else ""
                self._until = 0.0 if ends is None else ends - _MARGIN
                return token.value
            return self._kept


def from_file(file: Path) -> Callable[[], Token]:
    """The file's text, read each time: whoever renews the token replaces the file."""

    def fetch() -> Token:
        try:
            value = file.expanduser().read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            reason = getattr(exc, "strerror", None) or "it is no text"
            raise TokenError(f"no token can be read from {file} ({reason}): mend token_file") from exc
        return _given(value, str(file))

    return fetch


def from_command(command: Sequence[str]) -> Callable[[], Token]:
    """What ``command`` prints. It is run without a shell and without input."""

    def fetch() -> Token:
        try:
            done = subprocess.run(  # noqa: S603  # the operator's own command
                list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            reason = getattr(exc, "strerror", None) or f"it took longer than {_PATIENCE:.0f} s"
            raise TokenError(f"token_command {command[0]} gave no token ({reason}): run it by hand") from exc
        if done.returncode:
            raise TokenError(f"token_command {command[0]} ended with {done.returncode}: run it by hand to see why")
        return _given(done.stdout.decode("ascii", "replace").strip(), f"token_command {command[0]}")

    return fetch


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Client credentials go to the address that was set, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def from_endpoint(url: str, credentials: Credentials, context: ssl.SSLContext) -> Callable[[], Token]:
    """The answer of an OAuth 2.0 token endpoint to client credentials: RFC 6749, sections 2.3.1, 4.4 and 5.1.

    Raises ValueError on an address that is not https; only this host itself may do without.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and (parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "::1", "localhost")):
        raise ValueError(f"token_url {url} is not https: the secret would travel unencrypted")
    form = {"grant_type": "client_credentials"} | ({"scope": credentials.scope} if credentials.scope else {})
    client, secret = (urllib.parse.quote_plus(part) for part in credentials[:2])
    headers = {
        "Authorization": f"Basic {base64.b64encode(f'{client}:{secret}'.encode()).decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
    }
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))

    def fetch() -> Token:
        request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), headers)  # noqa: S310  # see above
        try:
            with opener.open(request, timeout=_PATIENCE) as answer:
                said = json.loads(answer.read(_LARGEST))
            return _given(str(said["access_token"]), url, float(said["expires_in"]) if "expires_in" in said else None)
        except urllib.error.HTTPError as exc:
            with exc:
                reason = f"{exc.code} {_error_of(exc.read(_LARGEST))}".strip()
            raise TokenError(f"the token endpoint {url} refuses ({reason}): mend token_client or its secret") from None
        except OSError as exc:
            cause = getattr(exc, "reason", exc)
            reason = getattr(cause, "strerror", None) or str(cause)
            raise TokenError(f"the token endpoint {url} does not answer ({reason}): mend token_url") from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise TokenError(f"{url} answers what is no token: mend token_url") from exc

    return fetch


def _error_of(body: bytes) -> str:
    """The error code of RFC 6749, section 5.2; empty where there is none."""
    try:
        code = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isascii() and len(code) < 64 else ""


def _given(value: str, where: str, lives: float | None = None) -> Token:
    """Raises TokenError on what no server would take: RFC 6750 allows a token these characters alone."""
    if not value or not all(c.isascii() and (c.isalnum() or c in "-._~+/=") for c in value):
        raise TokenError(f"what {where} gives is no token: it is {'empty' if not value else 'not one word'}")
    return Token(value, lives)


def _expiry(token: str) -> float | None:
    """Seconds since the epoch at which a JSON Web Token ends, by its own word (RFC 7519); None for any other."""
    try:
        payload = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None
