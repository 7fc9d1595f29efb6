"""JUnit: checked expectations as the XML that CI systems show as tests.

In: checks. Out: one test case per expectation; the same checks give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from analyzer.words import counted, printable
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.replay.expectations import Check

SUITE: Final = "proctor replay"
_MAX_NAMED: Final = 20  # findings that a failure lists


def to_junit(checks: Sequence[Check]) -> bytes:
    """Return a JUnit document: one suite, one case per check."""
    counts = {"tests": str(len(checks)), "failures": str(sum(not item.holds for item in checks))}
    root = ET.Element("testsuites", counts)
    suite = ET.SubElement(root, "testsuite", {"name": SUITE, **counts})
    for item in checks:
        name = f"{printable(item.name)}: {counted(item.expected, 'finding')}"
        case = ET.SubElement(suite, "testcase", {"classname": SUITE, "name": name})
        if not item.holds:
            failure = ET.SubElement(case, "failure", {"message": failure_text(item)})
            failure.text = _found(item)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def failure_text(item: Check) -> str:
    """Return ``rule telnet-client: expected 2 findings, found 1``."""
    expected = counted(item.expected, "finding")
    return f"{printable(item.name)}: expected {expected}, found {len(item.findings):,}"


def _found(item: Check) -> str:
    lines = [
        f"{finding.severity} {finding.rule} on {printable(finding.agent_id)}: "
        f"{printable(canonical(finding.group).decode())}"
        for finding in item.findings[:_MAX_NAMED]
    ]
    if len(item.findings) > _MAX_NAMED:
        lines.append(f"and {len(item.findings) - _MAX_NAMED} more")
    return "\n".join(lines)
