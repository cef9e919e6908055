"""Which receivers hear of an alert: by its severity, its sources and what found it. A pure function of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from detectors.base import SEVERITIES, Alert, Finding
from streams.receivers import Receiver

__all__ = ["Routes"]


class Routes:
    """The receivers of one installation, for :class:`streams.pipeline.Alerting`."""

    def __init__(self, receivers: Mapping[str, Receiver]) -> None:
        self._wanted = [
            (name, SEVERITIES.index(r.minimum_severity), tuple(r.sources), tuple(r.detectors))
            for name, r in sorted(receivers.items())
        ]

    def of(self, alert: Alert) -> list[str]:
        """Names of the receivers that want ``alert``, in their order."""
        severity = SEVERITIES.index(alert.severity)
        return [
            name
            for name, minimum, sources, detectors in self._wanted
            if severity >= minimum
            and any(
                _matches(sources, [finding.source]) and _matches(detectors, _finders(finding))
                for finding in alert.findings
            )
        ]


def _finders(finding: Finding) -> Iterable[str]:
    return finding.detector, str(finding.rule.get("id", "")), str(finding.rule.get("name", ""))


def _matches(globs: Sequence[str], names: Iterable[str]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for name in names for glob in globs)
