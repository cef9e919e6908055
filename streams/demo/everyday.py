"""What looks like trouble and happens in a hospital every day: its alerts are what a rule's level has to be worth.

Each kind of act comes at random times at so many a day in a hospital of 5,000 staff, in proportion in another. The
rates are assumptions of this product, made so that each kind that a rule looks for and that is ordinary somewhere
occurs; no hospital was counted. An attack is not among them, nor what only an attacker does. Some of everyone cause
more of it than others, the first hundredth a tenth; the Zipf of traffic would let one user or patient be in all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from heapq import merge
from typing import Any, Final

from streams.demo.hospital import Emission, Hospital
from streams.demo.story import DCM, cloud, device, ehr

__all__ = ["everyday"]

_DAY: Final = 86_400_000
_STAFF: Final = 5_000
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"

_Act = Callable[[Hospital, int], Emission]


def everyday(hospital: Hospital, begin: int, days: int) -> Iterator[Emission]:
    """Everyday trouble from ``begin`` (ms since the epoch) on for ``days``, by time."""
    yield from merge(
        *(
            _course(hospital, begin, begin + days * _DAY, rate * len(hospital.staff) / _STAFF, act)
            for rate, act in _EVERY_DAY
        ),
        *(
            filter(
                _in_office_hours,
                _course(hospital, begin, begin + days * _DAY, 2 * rate * len(hospital.staff) / _STAFF, act),
            )
            for rate, act in _EVERY_WORKING_DAY
        ),
        _forgotten(hospital, begin, days),
        _updates(hospital, begin + _DAY * 2),
        key=lambda emission: emission.time,
    )


def _course(hospital: Hospital, begin: int, end: int, a_day: float, act: _Act) -> Iterator[Emission]:
    time = float(begin)
    while (time := time + hospital.random.expovariate(a_day / _DAY)) < end:
        yield act(hospital, int(time))


def _in_office_hours(emission: Emission) -> bool:
    """Half of the day, seven to seven."""
    return 7 <= emission.time % _DAY // 3_600_000 < 19


def _some(hospital: Hospital, choices: list[Any]) -> Any:
    return choices[int(len(choices) * hospital.random.random() ** 2)]


def _forgotten(hospital: Hospital, begin: int, days: int) -> Iterator[Emission]:
    """Passwords that their owners remember at the third attempt; they go on to their work."""
    login = (DCM, "110122", "Login")
    each = int(_DAY * _STAFF / (30 * len(hospital.staff)))
    for time in range(begin, begin + days * _DAY, each):
        staff, patient = _some(hospital, hospital.staff), _some(hospital, hospital.patients)
        for number, outcome in enumerate(("8", "8", "0")):
            yield ehr(
                hospital,
                "",
                time + number * 9000,
                staff,
                patient,
                type_code="110114",
                subtype=login,
                outcome=outcome,
            )


def _updates(hospital: Hospital, begin: int) -> Iterator[Emission]:
    """One announced update of every pump, in one night."""
    pumps = [(name, type_) for name, type_ in hospital.devices if type_ == "infusion-pump"]
    for number, (name, type_) in enumerate(pumps):
        yield device(
            hospital, "", begin + number * 20_000, name, type_, event="firmware", action="firmware_update",
            address="10.21.0.5", details={"to": "4.1.3", "signature": "valid", "maintenance": True},
        )  # fmt: skip


def _access(
    hospital: Hospital,
    time: int,
    *,
    label: str = "",
    media: str = "",
    action: str = "",
    query: bool = False,
    office: bool = False,
    **kwargs: Any,
) -> Emission:
    """``office``: by one of the twenty who administer users and review the audit trail."""
    staff = hospital.staff[-20:] if office else hospital.staff
    emission = ehr(hospital, "", time, _some(hospital, staff), _some(hospital, hospital.patients), **kwargs)
    record = emission.record
    if label:
        record["entity"][1]["securityLabel"] = [{"code": label}]
    if media:
        record["agent"][1]["media"] = {"system": DCM, "code": media}
    if action:
        record["action"] = action
    if query:
        record["entity"] = record["entity"][2:]
    return emission


def _security(code: str, **kwargs: Any) -> _Act:
    return partial(_access, type_code="110113", subtype=(DCM, code, code), **kwargs)


def _disclosure(**kwargs: Any) -> _Act:
    return partial(_access, type_code="110106", subtype=(_LIFECYCLE, "disclose", "Disclose"), **kwargs)


def _at_device(hospital: Hospital, time: int, *, event: str, action: str, **kwargs: Any) -> Emission:
    name, type_ = _some(hospital, hospital.devices)
    return device(hospital, "", time, name, type_, event=event, action=action, **kwargs)


def _in_cloud(hospital: Hospital, time: int, *, name: str, service: str, **kwargs: Any) -> Emission:
    user = _some(hospital, hospital.admins)
    return cloud(hospital, "", time, user, name, service, address=hospital.address_of(user), **kwargs)


#: Acts a day in a hospital of 5,000 staff.
_EVERY_DAY: Final[tuple[tuple[float, _Act], ...]] = (
    (3, _security("110127", purpose="ETREAT")),
    (120, partial(_access, purpose="ETREAT")),
    (150, _disclosure()),
    (40, _disclosure(purpose="PATRQT")),
    (400, _disclosure(media="110038")),
    (25, _disclosure(media="110032")),
    (0.3, _disclosure(media="110030")),
    (0.2, _disclosure(media="110031")),
    (1, partial(_access, interaction="delete")),
    (12, partial(_access, type_code="110110", subtype=(_LIFECYCLE, "merge", "Merge"), action="U")),
    (2, partial(_access, type_code="110110", subtype=(_LIFECYCLE, "unmerge", "Unmerge"), action="U")),
    (300, partial(_access, type_code="110114", subtype=(DCM, "110122", "Login"), outcome="8")),
    (60, partial(_access, type_code="110114", subtype=(DCM, "110122", "Login"), address="203.0.113.20")),
    (0.1, _security("110126", outcome="8")),
    (4, _security("110132", outcome="8")),
    (6, _security("AuthZ-Consent", outcome="8")),
    (200, partial(_access, interaction="search", query=True)),
    (30, partial(_access, label="EMP")),
    (0.3, partial(_access, label="CEL")),
    (0.2, partial(_access, label="V")),
    (0.2, partial(_access, label="HIV", purpose="HPAYMT")),
    (500, partial(_access, label="R")),
    (80, partial(_access, purpose="HPAYMT")),
    (20, partial(_access, purpose="HRESCH")),
    (10, partial(_at_device, event="authentication", action="login", outcome="failure")),
    (60, partial(_at_device, event="authentication", action="login", details={"account": "ward-3"})),
    (400, partial(_at_device, event="alarm", action="alarm_silenced", details={"seconds": 120})),
    (0.3, partial(_at_device, event="alarm", action="alarm_silenced", details={"seconds": 1800})),
    (100, partial(_at_device, event="command", action="limit_override", details={"limit": "soft"})),
    (600, partial(_at_device, event="command", action="rate_changed", operator="Practitioner/synthetic-p00007")),
    (15, partial(_at_device, event="connection", action="address_changed")),
    (2, partial(_at_device, event="log", action="certificate_expiring", details={"days_left": 10})),
    (0.1, partial(_at_device, event="log", action="certificate_expired")),
    (0.2, partial(_at_device, event="log", action="usb_inserted")),
    (30, partial(_at_device, event="configuration", action="setting_changed", details={"maintenance": True})),
    (0.2, partial(_at_device, event="configuration", action="setting_changed", details={"maintenance": False})),
    (5, partial(_at_device, event="configuration", action="drug_library_updated")),
    (1, partial(_in_cloud, name="StartFHIRExportJob", service="healthlake")),
    (0.2, partial(_in_cloud, name="DeleteBucketPolicy", service="s3", request={"bucketName": "synthetic-test"})),
    (2, partial(_in_cloud, name="ModifySnapshotAttribute", service="ec2", error="Client.UnauthorizedOperation")),
    (20, partial(_in_cloud, name="ListAccessKeys", service="iam")),
)

#: The same, of acts that only people in offices do.
_EVERY_WORKING_DAY: Final[tuple[tuple[float, _Act], ...]] = (
    (10, partial(_access, type_code="110101", subtype=("", "", ""), action="R", office=True)),
    (25, _security("110137", office=True)),
    (3, _security("110139", office=True)),
    (2, _security("110131", office=True)),
    (0.3, _security("110129", office=True)),
)
