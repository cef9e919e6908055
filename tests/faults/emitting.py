"""A service as a process of its own, for the fault tests: ``emitting.py KAFKA SOURCE``, until its input ends.

Each of its events is dated by its own clock and breaks a rule, so each has an alert. It says how many there were.
"""

from __future__ import annotations

import itertools
import select
import sys
import time

from streams.demo.records import audit_event, device_event
from streams.emitter import Emitter


def main(kafka: str, source: str) -> None:
    with Emitter(kafka, producer="tests") as emitter:
        for number in itertools.count():
            if select.select([sys.stdin], [], [], 0.1)[0]:
                break
            now = int(time.time() * 1000)
            if source == "fhir":
                record = audit_event(
                    id=f"fhir-{number}",
                    time=now,
                    interaction="delete",
                    staff=f"synthetic-p{number % 7}",
                    address="192.0.2.7",
                    patient=f"synthetic-{number % 9:06}",
                )
            else:
                record = device_event(
                    id=f"device-{number}",
                    time=now,
                    device=f"pump-{number % 7}",
                    type="pump",
                    event="firmware",
                    action="firmware_downgrade",
                    address="192.0.2.8",
                )
            emitter.emit(record, source=source)
    print(number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
