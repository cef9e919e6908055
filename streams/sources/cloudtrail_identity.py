"""Who acted, in CloudTrail: one name per person, for every type of ``userIdentity``.

What is usual is learned by actor, so an actor must be the same in every session of a person and must not be shared.

- ``sourceIdentity``, which the identity provider sets and role chaining keeps, is the person; so is ``onBehalfOf``.
- A session of a role is named by role and session, because people's sessions bear their names. Where the session's
  name was made up by an SDK, a service or a machine, the role alone is the actor: each session of it is another.
- An IAM user without ARN (a sign-in that failed) has the ARN that its account and name give.
- Anything else is its ARN, principal, service, name or account, whichever comes first; else its type, else the service.

Source: AWS CloudTrail user guide, *CloudTrail userIdentity element*.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import compile as regex
from typing import Any, Final

__all__ = ["Identities"]

_KEPT: Final = 16_384
#: Names of sessions that nobody chose: a time in seconds or less, a UUID, a hash, an instance. Ten digits alone may
#: be somebody's NPI.
_MADE_UP: Final = regex(
    r"(?<=[^\d])\d{10}|\d{12}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-|(?<![0-9A-Za-z])(?=[a-f]*\d)[0-9a-f]{16,}(?![0-9A-Za-z])"
    r"|^i-[0-9a-f]{8,17}$|^(?:AWSCLI-Session|botocore-session|aws-sdk-\w+|aws-go-sdk)"
)
_IDS: Final = ("principalId", "invokedBy", "userName", "accountId")


class Identities:
    """Reads ``userIdentity``; remembers up to 16,384 actors by their ARN, which changes no answer."""

    def __init__(self) -> None:
        self._actors: dict[str, str] = {}

    def read(self, identity: Mapping[str, Any], service: str, region: object, fields: dict[str, Any]) -> str:
        """``user:…`` for one identity, and what ECS says of it put into ``fields``. Never raises."""
        type_, name, session = identity.get("type"), identity.get("userName"), identity.get("sessionContext")
        if type(type_) is str and type_:
            fields["wardwatch.identity"] = type_
        found = identity.get("arn")
        if type(found) is not str or not found:
            found = _named(identity, region)
        if found:
            fields["user.id"] = found
        actor = ""
        if type(session) is dict:
            person = session.get("sourceIdentity")
            if type(person) is str and person:
                actor = f"user:{person}"
            if type(name) is not str:
                issuer = session.get("sessionIssuer")
                name = issuer.get("userName") if type(issuer) is dict else None
        if type(name) is str and name:
            fields["user.name"] = name
        if not actor and "onBehalfOf" in identity and (person := _person(identity["onBehalfOf"])):
            actor = f"user:{person}"
        if actor:
            return actor
        if not found:
            return f"user:{fields.get('wardwatch.identity') or service}"
        return self._actors.get(found) or self._actor(found)

    def _actor(self, found: str) -> str:
        if len(self._actors) >= _KEPT:
            self._actors.clear()
        actor = self._actors[found] = f"user:{_lasting(found)}"
        return actor


def _named(identity: Mapping[str, Any], region: object) -> str:
    """What an identity without ARN is known by; "" where it has no name at all."""
    name = identity.get("userName")
    if identity.get("type") == "IAMUser" and type(name) is str and name:
        arn = _arn(identity.get("accountId"), name, region)
        if arn:
            return arn
    for key in _IDS:
        value = identity.get(key)
        if type(value) is str and value:
            return value
    return ""


def _arn(account: object, name: str, region: object) -> str:
    if type(account) is not str or not account:
        return ""
    place = region if type(region) is str else ""
    partition = "aws-cn" if place.startswith("cn-") else "aws-us-gov" if place.startswith("us-gov-") else "aws"
    return f"arn:{partition}:iam::{account}:user/{name}"


def _person(behalf: object) -> str:
    """The user of IAM Identity Center whom a session acts for."""
    if type(behalf) is not dict:
        return ""
    user, store = behalf.get("userId"), behalf.get("identityStoreArn")
    if type(user) is not str or not user:
        return ""
    return f"{store}/user/{user}" if type(store) is str and store else user


def _lasting(name: str) -> str:
    """An ARN or principal without a session's name that nobody chose."""
    if ":assumed-role/" in name:
        role, _, session = name.rpartition("/")
        return role if _MADE_UP.search(session) and role.partition(":assumed-role/")[2] else name
    if name.startswith("AROA"):
        role, _, session = name.partition(":")
        return role if session and _MADE_UP.search(session) else name
    return name
