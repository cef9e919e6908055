"""What vendors write is read whatever it is written like: times, addresses, verbs."""

from __future__ import annotations

import pytest

from streams.sources.base import BadRecord
from streams.sources.checks import EXPECTED
from streams.sources.parts import UNTIMED, network, when
from streams.sources.verbs import kind, paired

NOON = 1_772_366_400_000  #: 2026-03-01T12:00:00Z


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T13:00:00+01:00", NOON),
        ("2026-03-01 12:00:00.000000000", NOON),
        ("2026-03-01 12:00:00.000 UTC", NOON),
        (NOON // 1000, NOON),
        (NOON / 1000 + 0.25, NOON + 250),
        (str(NOON // 1000), NOON),
        (f"{NOON // 1000}.5", NOON + 500),
        (NOON, NOON),
        (str(NOON), NOON),
        (NOON * 1000, NOON),
        (NOON * 1_000_000, NOON),
        (None, UNTIMED),
        ("", UNTIMED),
        ("-", UNTIMED),
    ],
)
def test_times_of_vendors(value: object, want: int) -> None:
    assert when({"at": value}, "at") == want


@pytest.mark.parametrize(
    "value", ["yesterday", "2026-03-01", 0, -1, 10**40, "9" * 30, "-5", True, [], {}, "٣٣٣٣٣٣٣٣٣٣"]
)
def test_a_time_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(BadRecord, match=r"^at "):
        when({"at": value}, "at")


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("192.0.2.7", ("192.0.2.7", 0)),
        ("192.0.2.7:44321", ("192.0.2.7", 44321)),
        ("[2001:DB8::7]:443", ("2001:db8::7", 443)),
        ("2001:db8:0::7", ("2001:db8::7", 0)),
        ("::ffff:192.0.2.7", ("192.0.2.7", 0)),
        ("192.0.2.7:99999", ("192.0.2.7", 0)),
        ("<null>", ("", 0)),
        ("ward 7", ("", 0)),
        (7, ("", 0)),
        (None, ("", 0)),
    ],
)
def test_addresses_as_they_are_written(raw: object, want: tuple[str, int]) -> None:
    assert network(raw) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("CreateUser", "creation"),
        ("google.cloud.run.v1.Services.CreateService", "creation"),
        ("setIamPermissions", "change"),
        ("repo.destroy", "deletion"),
        ("REMOVE_PRIVILEGE", "deletion"),
        ("FileDownloaded", "access"),
        ("Add member to role.", "change"),
        ("addGroupMember", "change"),
        ("Add user", "creation"),
        ("Remove member from group", "change"),
        ("inboundSsoProfileDeleted", "deletion"),
        ("FileModified", "change"),
        ("SearchQueryPerformed", "access"),
        ("something", "change"),
    ],
)
def test_the_verb_of_an_action_tells_its_type(name: str, want: str) -> None:
    assert kind(name) == want


def test_every_type_is_one_that_ecs_expects_beside_its_category() -> None:
    for category in ("iam", "authentication", "session", "configuration", "file", "database", "email", "web"):
        for type_ in ("access", "creation", "deletion", "change", "start", "end"):
            assert paired(category, type_) in EXPECTED[category]
