"""What an attack on the synthetic hospital is told with: a story, and one record of each kind of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from streams.demo.hospital import Emission, Hospital
from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = ["DCM", "Story", "cloud", "device", "ehr"]

DCM = "http://dicom.nema.org/resources/ontology/DCM"


@dataclass(frozen=True)
class Story:
    name: str
    #: Titles of rules, or names of detectors, that must see it.
    seen_by: tuple[str, ...]
    tell: Callable[[Hospital, int], Iterator[Emission]]

    @property
    def summary(self) -> str:
        """What happens in it, in a sentence."""
        return (self.tell.__doc__ or "").strip()


def ehr(hospital: Hospital, story: str, time: int, staff: str, patient: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("interaction", "read")
    kwargs.setdefault("address", hospital.address_of(staff))
    record = audit_event(id=hospital.event_id(), time=time, staff=staff, patient=patient, **kwargs)
    return Emission("audit.ehr", "fhir", staff.encode(), time, record, story)


def cloud(hospital: Hospital, story: str, time: int, user: str, name: str, service: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("address", "198.51.100.23")
    record = cloudtrail(id=hospital.event_id(), time=time, user=user, name=name, service=service, **kwargs)
    return Emission("audit.cloud", "cloudtrail", user.encode(), time, record, story)


def device(hospital: Hospital, story: str, time: int, name: str, type_: str, **kwargs: Any) -> Emission:
    kwargs.setdefault("address", hospital.address_of(name))
    record = device_event(id=hospital.event_id(), time=time, device=name, type=type_, **kwargs)
    return Emission("audit.iot", "device", name.encode(), time, record, story)
