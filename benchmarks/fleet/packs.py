"""Packs: the forty patterns and their variants as rules, as if they had been read from files.

In: how many. Out: real rules of the format's grammar, the same ones every time.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from benchmarks.fleet.patterns import PATTERNS
from benchmarks.fleet.variants import variant
from rules.format import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

SIZES: Final = (40, 160, 500)
_SEED: Final = 5
_REFERENCE: Final = {
    "title": "NIST SP 800-94: Guide to Intrusion Detection and Prevention Systems",
    "url": "https://csrc.nist.gov/pubs/sp/800/94/final",
}


def make_rules(count: int) -> tuple[Rule, ...]:
    """Return the first ``count`` rules; a larger pack begins with the smaller one."""
    return tuple(Rule.model_validate(document) for document in make_documents(count))


def make_documents(count: int) -> list[dict[str, Any]]:
    """Return rules as plain values of rule files."""
    rng = random.Random(_SEED)
    detections = dict(PATTERNS)
    for number in range(count - len(PATTERNS)):
        detections[f"variant-{number:03d}"] = variant(rng, number)
    return [_document(*item) for item in list(detections.items())[:count]]


def _document(name: str, detection: Mapping[str, Any]) -> dict[str, Any]:
    title = name.replace("-", " ").capitalize()
    return {
        "format": 1,
        "id": name,
        "title": title,
        "severity": "Medium",
        "version": 1,
        "status": "experimental",
        "description": f"{title}, seen in the telemetry of a made-up fleet.",
        "rationale": "Measures what rules of this form cost.",
        "recommendation": "Read it as a measure only.",
        "references": [_REFERENCE],
        "detection": dict(detection),
        "summary": _summary(detection["group_by"]),
    }


def _summary(group_by: list[str]) -> str:
    return ", ".join(f"{{{column}}}" for column in group_by) or "{count} events of the host"
