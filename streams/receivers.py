"""Receivers as settings: where on-call is reached, what it wants to hear of, and how much of it.

A receiver is ``webhook`` unless it says another ``kind``. What is wrong with one is told by its name and field.
"""

from __future__ import annotations

import json
import re
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from detectors.base import Severity

__all__ = [
    "KIND",
    "AlertmanagerReceiver",
    "AnyReceiver",
    "EmailReceiver",
    "PagerDutyReceiver",
    "Receiver",
    "ReceiverName",
    "SlackReceiver",
    "TeamsReceiver",
    "WebhookReceiver",
    "check_url",
]

#: How pydantic's errors name the kind of receiver that a setting was read as; no part of the setting's own name.
KIND = "kind="

_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_URL = re.compile(r"https?://[^\s/?#]+\S*", re.ASCII)


def _listed(value: Any) -> Any:
    """A list, or in the environment its items with commas between them, or as JSON."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.startswith("[") else [item.strip() for item in value.split(",") if item.strip()]


def _address(value: str) -> str:
    """One mail address alone: what goes into a header and an envelope as it is."""
    if parseaddr(value) != ("", value) or not re.fullmatch(r"[!-~]+@[A-Za-z0-9.-]+", value, re.ASCII):
        raise ValueError("a mail address is name@domain, without spaces or a display name")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value, re.ASCII):
        raise ValueError("a receiver's name is of up to 64 letters, digits, dots, dashes and underscores")
    return value


def check_url(value: str) -> str:
    """``value``, an HTTP address. Raises ValueError where it is none."""
    if not _URL.fullmatch(value):
        raise ValueError("an address begins with https:// or http:// and a host")
    try:
        urlsplit(value).port  # noqa: B018  # raises
    except ValueError as exc:
        raise ValueError("the port of an address is a number up to 65535") from exc
    return value


def _secret_url(value: SecretStr) -> SecretStr:
    check_url(value.get_secret_value())
    return value


Globs = Annotated[list[str], NoDecode, BeforeValidator(_listed)]
Url = Annotated[str, BeforeValidator(check_url)]
#: What a receiver is called, in ids and headers too.
ReceiverName = Annotated[str, AfterValidator(_name)]
MailAddress = Annotated[str, BeforeValidator(_address)]


class Receiver(BaseModel):
    """What every kind of receiver has."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    minimum_severity: Severity = Field(default="low", description="alerts below it are not sent")
    sources: Globs = Field(default_factory=list, description="globs of sources; none: all")
    detectors: Globs = Field(
        default_factory=list, description="globs of detectors' names, rules' ids or rules' titles; none: all"
    )
    group_minutes: int = Field(
        default=0, ge=0, le=1440, description="minutes in which more of the same rule and entity become one message"
    )
    per_hour: int = Field(default=0, ge=0, description="messages an hour, past which one summary tells; 0: no cap")
    ca_file: Path | None = Field(default=None, description="PEM file of authorities to trust instead of the system's")

    @property
    def target(self) -> tuple[str, bool]:
        """The host it is reached at, and whether in the clear."""
        raise NotImplementedError

    @field_validator("ca_file")
    @classmethod
    def _there(cls, path: Path | None) -> Path | None:
        if path is not None and not path.expanduser().is_file():
            raise ValueError(f"{path} is no file")
        return path


def _at(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.scheme == "http"


class WebhookReceiver(Receiver):
    """Whatever takes Standard Webhooks 1.0."""

    kind: Literal["webhook"] = "webhook"
    url: Url = Field(description="where alerts are posted")
    secret: SecretStr | None = Field(
        default=None,
        description="whsec_… to sign with, or several while one replaces another; else the installation's own key",
    )

    @field_validator("secret")
    @classmethod
    def _whole(cls, secret: SecretStr | None) -> SecretStr | None:
        """Refused here, so that nobody learns of it when the first alert is due."""
        from streams.sinks.webhook import decode_secret  # noqa: PLC0415  # an HTTP client, for this alone

        if secret is not None:
            for one in secret.get_secret_value().split() or [""]:
                decode_secret(one)
        return secret

    @property
    def target(self) -> tuple[str, bool]:
        return _at(self.url)


class PagerDutyReceiver(Receiver):
    """A PagerDuty service with an Events API v2 integration."""

    kind: Literal["pagerduty"]
    routing_key: SecretStr = Field(description="the integration key, 32 letters and digits")
    url: Url = Field(default=_PAGERDUTY, description="where events are posted; another host in the EU service region")

    @field_validator("routing_key")
    @classmethod
    def _whole(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[A-Za-z0-9]{32}", key.get_secret_value(), re.ASCII):
            raise ValueError("an integration key has 32 letters and digits")
        return key

    @property
    def target(self) -> tuple[str, bool]:
        return _at(self.url)


class SlackReceiver(Receiver):
    """A channel with an incoming webhook."""

    kind: Literal["slack"]
    url: Annotated[SecretStr, Field(description="the incoming webhook's address")]

    _whole = field_validator("url")(staticmethod(_secret_url))

    @property
    def target(self) -> tuple[str, bool]:
        return _at(self.url.get_secret_value())


class TeamsReceiver(Receiver):
    """A channel with the workflow "Post to a channel when a webhook request is received"."""

    kind: Literal["teams"]
    url: Annotated[SecretStr, Field(description="the workflow's address")]

    _whole = field_validator("url")(staticmethod(_secret_url))

    @property
    def target(self) -> tuple[str, bool]:
        return _at(self.url.get_secret_value())


class AlertmanagerReceiver(Receiver):
    """A Prometheus Alertmanager, which groups, routes and silences by itself."""

    kind: Literal["alertmanager"]
    url: Url = Field(description="its address, to which /api/v2/alerts is added")
    token: SecretStr | None = Field(default=None, description="bearer token, where a proxy before it asks for one")
    resolve_after: float = Field(default=24.0, gt=0, le=8760, description="hours after which it counts as resolved")

    @property
    def target(self) -> tuple[str, bool]:
        return _at(self.url)


class EmailReceiver(Receiver):
    """Mailboxes, reached through one SMTP server."""

    kind: Literal["email"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]+$", description="the mail server")
    port: int = Field(default=587, ge=1, le=65535, description="587 for starttls, 465 for tls")
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description="none: inside your network only")
    username: str = Field(default="", description="to log in with; empty: without")
    password: SecretStr = Field(default=SecretStr(""), description="its password")
    sender: MailAddress = Field(description="the address mail comes from")
    to: Annotated[list[MailAddress], NoDecode, BeforeValidator(_listed)] = Field(
        min_length=1, description="who gets it"
    )

    @model_validator(mode="after")
    def _login_is_whole(self) -> EmailReceiver:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password come together")
        if self.username and self.tls == "none":
            raise ValueError('a password is not sent in the clear: tls is "starttls" or "tls"')
        return self

    @property
    def target(self) -> tuple[str, bool]:
        return self.host, self.tls == "none"


def _kind(value: Any) -> str:
    kind = value.get("kind", "webhook") if isinstance(value, dict) else getattr(value, "kind", "webhook")
    return f"{KIND}{kind}"


AnyReceiver = Annotated[
    Annotated[WebhookReceiver, Tag(f"{KIND}webhook")]
    | Annotated[PagerDutyReceiver, Tag(f"{KIND}pagerduty")]
    | Annotated[SlackReceiver, Tag(f"{KIND}slack")]
    | Annotated[TeamsReceiver, Tag(f"{KIND}teams")]
    | Annotated[AlertmanagerReceiver, Tag(f"{KIND}alertmanager")]
    | Annotated[EmailReceiver, Tag(f"{KIND}email")],
    Discriminator(
        _kind,
        custom_error_type="receiver_kind",
        custom_error_message="kind is none of webhook, pagerduty, slack, teams, alertmanager and email",
    ),
]
