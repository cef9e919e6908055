"""What nearly every record of CloudTrail is like, so that one can be told from its bytes.

Source: AWS CloudTrail user guide, *CloudTrail record contents*.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta

from detectors.rules.projection import ANYTHING, OBJECT
from streams.sources.plain import Plain
from streams.sources.times import milliseconds

__all__ = ["PLAIN"]

_TEXT: Final[Any] = Annotated[str, Meta(min_length=1)]
_TIME: Final[Any] = Annotated[datetime, Meta(tz=True)]
_MAYBE_TEXT: Final[Any] = str | None

PLAIN: Final = Plain(
    fields={
        "eventVersion": ANYTHING,
        "userIdentity": OBJECT,
        "eventTime": _TIME,
        "eventSource": _TEXT,
        "eventName": _TEXT,
        "awsRegion": _MAYBE_TEXT,
        "sourceIPAddress": _MAYBE_TEXT,
        "userAgent": _MAYBE_TEXT,
        "errorCode": _MAYBE_TEXT,
        "errorMessage": ANYTHING,
        "requestParameters": OBJECT,
        "responseElements": OBJECT,
        "additionalEventData": OBJECT,
        "requestID": ANYTHING,
        "eventID": _MAYBE_TEXT,
        "readOnly": ANYTHING,
        "resources": ANYTHING,
        "eventType": ANYTHING,
        "apiVersion": ANYTHING,
        "managementEvent": ANYTHING,
        "recipientAccountId": ANYTHING,
        "serviceEventDetails": OBJECT,
        "sharedEventID": ANYTHING,
        "vpcEndpointId": ANYTHING,
        "vpcEndpointAccountId": ANYTHING,
        "eventCategory": ANYTHING,
        "addendum": ANYTHING,
        "sessionCredentialFromConsole": ANYTHING,
        "edgeDeviceDetails": ANYTHING,
        "tlsDetails": ANYTHING,
        "insightDetails": ANYTHING,
        "eventContext": ANYTHING,
    },
    required=frozenset({"eventName", "eventSource", "eventTime"}),
    copies={
        "cloud.account.id": ("recipientAccountId", "userIdentity.accountId"),
        "cloud.region": ("awsRegion",),
        "error.code": ("errorCode",),
        "event.action": ("eventName",),
        "event.provider": ("eventSource",),
        "user.name": ("userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName"),
        "user_agent.original": ("userAgent",),
        "wardwatch.bucket": ("requestParameters.bucketName",),
        "wardwatch.identity": ("userIdentity.type",),
    },
    time="eventTime",
    moment=partial(milliseconds, field="eventTime", utc=True),
)
