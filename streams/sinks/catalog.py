"""The kinds of receivers, and what sends to each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import urlsplit

from streams.receivers import (
    AlertmanagerReceiver,
    AnyReceiver,
    EmailReceiver,
    PagerDutyReceiver,
    SlackReceiver,
    TeamsReceiver,
    WebhookReceiver,
)
from streams.sinks import alertmanager, pagerduty, slack, teams, webhook
from streams.sinks.addresses import Addresses, host_name
from streams.sinks.attempts import Sink
from streams.sinks.exchange import HttpSink, client_for, tls_context
from streams.sinks.mail import MailSink

__all__ = ["make_sink", "make_sinks"]


def make_sinks(
    receivers: Mapping[str, AnyReceiver], *, private_hosts: Collection[str], webhook_key: bytes, proxy: str = ""
) -> dict[str, Sink]:
    """By the receivers' names. ``webhook_key`` signs where a webhook has no secret. Raises ValueError.

    ``proxy``: what leads to receivers outside; its host is allowed to be inside by being named so.
    """
    private = {host_name(host) for host in private_hosts}
    through = urlsplit(proxy).hostname or ""
    sinks: dict[str, Sink] = {}
    for name, receiver in receivers.items():
        try:
            if through and receiver.kind != "email" and host_name(receiver.target[0]) not in private:
                addresses, used = Addresses([through]), proxy
            else:
                addresses, used = Addresses(private_hosts), ""
            sinks[name] = make_sink(receiver, addresses=addresses, webhook_key=webhook_key, proxy=used)
        except (ValueError, OSError) as exc:
            raise ValueError(f"receiver {name}: {exc}") from exc
    return sinks


def make_sink(receiver: AnyReceiver, *, addresses: Addresses, webhook_key: bytes, proxy: str = "") -> Sink:
    """What sends to one receiver, over connections of its own. Raises ValueError, OSError on its ``ca_file``."""
    context = tls_context(None if receiver.ca_file is None else str(receiver.ca_file.expanduser()))
    if isinstance(receiver, EmailReceiver):
        return MailSink(receiver, addresses, context)
    client = client_for(addresses, context, proxy)
    if isinstance(receiver, WebhookReceiver):
        return HttpSink(receiver.url, client, webhook.compose_with(_keys(receiver, webhook_key)), webhook.judge)
    if isinstance(receiver, PagerDutyReceiver):
        key = receiver.routing_key.get_secret_value()
        return HttpSink(receiver.url, client, pagerduty.compose_with(key), pagerduty.judge)
    if isinstance(receiver, SlackReceiver):
        return HttpSink(receiver.url.get_secret_value(), client, slack.compose, slack.judge)
    if isinstance(receiver, TeamsReceiver):
        return HttpSink(receiver.url.get_secret_value(), client, teams.compose, teams.judge)
    assert isinstance(receiver, AlertmanagerReceiver)
    token = receiver.token.get_secret_value() if receiver.token else ""
    compose = alertmanager.compose_with(hours=receiver.resolve_after, token=token)
    return HttpSink(alertmanager.endpoint(receiver.url), client, compose, alertmanager.judge)


def _keys(receiver: WebhookReceiver, webhook_key: bytes) -> Sequence[bytes]:
    """What signs: the receiver's secrets, or the installation's key."""
    if receiver.secret is None:
        return [webhook_key]
    return [webhook.decode_secret(secret) for secret in receiver.secret.get_secret_value().split()]
