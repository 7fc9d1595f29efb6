"""One call as the audit log keeps it: a record like CloudTrail's.

In: who called what, and what came of it. Out: a record that JSON can hold. Reads are kept with what
was asked and without what was answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.access import AccessKey
    from analyzer.aws.errors import AwsError
    from analyzer.aws.shapes import Operation

EVENT_SOURCE: Final = "inspector.amazonaws.com"
_EVENT_VERSION: Final = "1.08"  # of CloudTrail's records
_API_VERSION: Final = "v20160216"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_AGENT: Final = 512  # characters of a User-Agent that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call by somebody who showed a key."""

    request_id: str
    at_us: int
    key: AccessKey
    operation: Operation
    source: str
    user_agent: str
    parameters: Mapping[str, Any] | None = None


def call_record(
    call: Call,
    *,
    account: str,
    region: str,
    answer: Mapping[str, Any] | None = None,
    error: AwsError | None = None,
) -> dict[str, Any]:
    """Return the record of a call that was answered, or refused with ``error``."""
    moment = _EPOCH + timedelta(microseconds=call.at_us)
    is_read = call.operation.is_read
    record = {
        "eventVersion": _EVENT_VERSION,
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": EVENT_SOURCE,
        "eventName": call.operation.name,
        "eventType": "AwsApiCall",
        "apiVersion": _API_VERSION,
        "awsRegion": region,
        "recipientAccountId": account,
        "sourceIPAddress": call.source,
        "userAgent": call.user_agent[:_LONGEST_AGENT],
        "userIdentity": {
            "type": "IAMUser" if call.key.token is None else "AssumedRole",
            "userName": call.key.name,
            "accessKeyId": call.key.key_id,
            "accountId": account,
        },
        "requestID": call.request_id,
        "readOnly": is_read,
        "requestParameters": call.parameters or None,
        "responseElements": None if is_read else answer or None,
    }
    if error is not None:
        record |= {"errorCode": error.code, "errorMessage": str(error)}
    return record
