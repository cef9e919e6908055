"""Every source there is, and which of them a record belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from streams.sources.atna import ATNA
from streams.sources.auth0 import AUTH0
from streams.sources.azure_activity import AZURE_ACTIVITY
from streams.sources.azure_iot import AZURE_IOT
from streams.sources.base import BadRecord, Source
from streams.sources.cloudtrail import CLOUDTRAIL
from streams.sources.device import DEVICE
from streams.sources.duo import DUO
from streams.sources.emqx import EMQX
from streams.sources.entra_audit import ENTRA_AUDIT
from streams.sources.entra_signin import ENTRA_SIGNIN
from streams.sources.fhir import FHIR
from streams.sources.fhir_dstu2 import FHIR_DSTU2
from streams.sources.fhir_provenance import FHIR_PROVENANCE
from streams.sources.fhir_r5 import FHIR_R5
from streams.sources.fhir_stu3 import FHIR_STU3
from streams.sources.gcp_audit import GCP_AUDIT
from streams.sources.github import GITHUB
from streams.sources.google_workspace import GOOGLE_WORKSPACE
from streams.sources.hl7v2 import HL7V2
from streams.sources.kubernetes import KUBERNETES
from streams.sources.local_time import zone_named
from streams.sources.m365 import M365
from streams.sources.mosquitto import MOSQUITTO
from streams.sources.okta import OKTA
from streams.sources.onelogin import ONELOGIN
from streams.sources.own import OWN
from streams.sources.slack import SLACK
from streams.sources.vpc_flow import VPC_FLOW

__all__ = ["SOURCES", "by_name", "recognise", "set_ehr_zone"]

#: In this order they are asked whether a record is theirs, those with many records first.
SOURCES: tuple[Source, ...] = (
    *(FHIR, FHIR_R5, FHIR_STU3, FHIR_DSTU2, FHIR_PROVENANCE, ATNA, HL7V2),
    DEVICE,
    CLOUDTRAIL,
    AZURE_IOT,
    EMQX,
    MOSQUITTO,
    VPC_FLOW,
    KUBERNETES,
    GCP_AUDIT,
    OKTA,
    M365,
    ENTRA_SIGNIN,
    ENTRA_AUDIT,
    AZURE_ACTIVITY,
    GOOGLE_WORKSPACE,
    GITHUB,
    SLACK,
    AUTH0,
    DUO,
    ONELOGIN,
    OWN,
)

_BY_NAME = {source.name: source for source in SOURCES}
_BY_TOPIC: dict[str | None, tuple[Source, ...]] = {
    None: SOURCES,
    **{source.topic: tuple(s for s in SOURCES if s.topic == source.topic) for source in SOURCES},
}


def by_name(name: str) -> Source:
    """The source of that name. Raises ValueError that names the nearest right one."""
    try:
        return _BY_NAME[name]
    except KeyError:
        near = get_close_matches(name, _BY_NAME, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no source of that name, only {', '.join(_BY_NAME)}{hint}") from None


def recognise(record: Mapping[str, Any], topic: str | None = None) -> Source:
    """The source whose shape the record has, among those of ``topic`` where one is given. Raises BadRecord."""
    sources = _BY_TOPIC.get(topic, SOURCES)
    for source in sources:
        if source.recognises(record):
            return source
    known = ", ".join(source.name for source in sources)
    raise BadRecord(f"the record has the shape of no source known here: {known}")


def set_ehr_zone(name: str) -> None:
    """Take times without an offset, which audit messages and HL7 v2 may have, to be in the zone of that name.

    "" for none: such records are refused. Raises ValueError where there is no such zone.
    """
    ATNA.zone = HL7V2.zone = zone_named(name)
