"""A synthetic hospital: staff who read records, devices that report, a cloud account that is administered.

Seeded: the same arguments give the same records, whatever the clock says. A few of everyone cause most of the traffic
(Zipf), as in any hospital. :meth:`Hospital.traffic` is an ordinary day; attacks are in :mod:`streams.demo.stories`.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from streams.demo.records import audit_event, cloudtrail, device_event

__all__ = ["Emission", "Hospital"]

_INTERACTIONS = (("read", 70), ("search", 14), ("update", 10), ("create", 6))
_RESOURCES = ("Observation", "Encounter", "MedicationRequest", "DiagnosticReport", "Condition")
_DEVICES = ("infusion-pump", "patient-monitor", "ventilator", "glucose-meter")
_CALLS = (
    ("DescribeInstances", "ec2"),
    ("ListBuckets", "s3"),
    ("GetObject", "s3"),
    ("AssumeRole", "sts"),
    ("GetCallerIdentity", "sts"),
    ("DescribeDBInstances", "rds"),
)


class Emission(NamedTuple):
    """One record on its way: where to, under which key, what, and which story it belongs to ("" for ordinary)."""

    topic: str
    source: str
    key: bytes
    time: int
    record: dict[str, Any]
    story: str = ""


class Hospital:
    """Everyone and everything in it. ``mix`` gives the shares of EHR, device and cloud events."""

    def __init__(
        self,
        *,
        seed: int = 1,
        staff: int = 200,
        patients: int = 1000,
        devices: int = 80,
        mix: tuple[float, float, float] = (0.5, 0.3, 0.2),
    ) -> None:
        self.random = random.Random(f"hospital {seed}")
        self.staff = [f"synthetic-p{n:05}" for n in range(staff)]
        self.patients = [f"synthetic-{n:06}" for n in range(patients)]
        self.devices = [(f"{_DEVICES[n % len(_DEVICES)]}-{n:04}", _DEVICES[n % len(_DEVICES)]) for n in range(devices)]
        self.admins = [f"synthetic-admin{n:02}" for n in range(max(2, staff // 50))]
        self._mix = list(accumulate(mix))
        self._zipf = {n: list(accumulate(1 / (rank + 1) for rank in range(n))) for n in (staff, patients, devices)}
        self._number = 0
        self._seed = seed

    def traffic(self, begin: int, *, per_second: float) -> Iterator[Emission]:
        """Ordinary events without end, from ``begin`` (ms since the epoch) on, at exponential intervals."""
        time = float(begin)
        while True:
            time += self.random.expovariate(per_second) * 1000
            share = self.random.random() * self._mix[-1]
            kind = bisect(self._mix, share)
            yield (self._ehr, self._device, self._cloud)[min(kind, 2)](int(time))

    def event_id(self) -> str:
        """Ids rise, so that a second run with another seed repeats none."""
        self._number += 1
        return f"synthetic-{self._seed}-{self._number:09}"

    def pick(self, choices: list[Any]) -> Any:
        """One of ``choices``, the first ones far more often."""
        weights = self._zipf.get(len(choices))
        if weights is None:
            return self.random.choice(choices)
        return choices[bisect(weights, self.random.random() * weights[-1])]

    def address_of(self, name: str) -> str:
        """The one desk or ward port that someone or something uses."""
        number = sum(name.encode()) * 31 + int(name[-4:]) if name[-4:].isdigit() else sum(name.encode())
        return f"10.{20 + number % 5}.{number // 5 % 250}.{1 + number % 250}"

    def _ehr(self, time: int) -> Emission:
        staff, patient = self.pick(self.staff), self.pick(self.patients)
        interaction = self.random.choices([n for n, _ in _INTERACTIONS], [w for _, w in _INTERACTIONS])[0]
        record = audit_event(
            id=self.event_id(),
            time=time,
            interaction=interaction,
            staff=staff,
            address=self.address_of(staff),
            patient=patient,
            what=self.random.choice(_RESOURCES),
        )
        return Emission("audit.ehr", "fhir", staff.encode(), time, record)

    def _device(self, time: int) -> Emission:
        device, type_ = self.pick(self.devices)
        record = device_event(
            id=self.event_id(),
            time=time,
            device=device,
            type=type_,
            event="telemetry",
            action="measurement",
            address=self.address_of(device),
            patient=self.patients[hash_of(device) % len(self.patients)],
            measurements=(("8867-4", float(self.random.randrange(55, 110)), "/min"),),
        )
        return Emission("audit.iot", "device", device.encode(), time, record)

    def _cloud(self, time: int) -> Emission:
        admin = self.pick(self.admins)
        name, service = self.random.choice(_CALLS)
        record = cloudtrail(
            id=self.event_id(), time=time, name=name, service=service, user=admin, address=self.address_of(admin)
        )
        return Emission("audit.cloud", "cloudtrail", admin.encode(), time, record)


def hash_of(name: str) -> int:
    """A small number of a name, the same in every process."""
    return sum(byte * (place + 1) for place, byte in enumerate(name.encode()))
