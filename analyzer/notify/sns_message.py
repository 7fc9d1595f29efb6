"""The text of an SNS message, field for field as Amazon Inspector Classic wrote it.

In: a notice. Out: JSON text; SNS' subject stays empty, and there are no message attributes.
"""

from __future__ import annotations

import msgspec

from analyzer.notify.notice import Notice


def sns_message(notice: Notice) -> str:
    """Return the message of a notice, its keys in Inspector's order."""
    event = notice.event
    fields = {"template": event.template_arn, "target": event.target_arn}
    if event.run_arn:  # there is none yet when notifications are enabled
        fields["run"] = event.run_arn
    fields["time"] = notice.time
    fields["event"] = event.kind.value
    if event.state is not None:
        fields["newstate"] = event.state.value
    if event.finding_arn:
        fields["finding"] = event.finding_arn
    if event.findings_count is not None:
        fields["findingsCount"] = java_map(event.findings_count)
    return msgspec.json.encode(fields).decode()


def java_map(counts: dict[str, int]) -> str:
    """Return ``{key=1, other=2}``: a map as Java prints it, which receivers take apart again."""
    return "{" + ", ".join(f"{key}={counts[key]}" for key in sorted(counts)) + "}"
