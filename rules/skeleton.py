"""Skeletons: a new rule file that loads, works as an example, and says where to write.

In: an id and the kind of detection. Out: the text of a rule file. Its tests pass and kill every
mutant; its check lists what is still to be filled in. The texts stand in ``skeletons/``, each as a
whole rule file whose id is the kind of its detection.
"""

from __future__ import annotations

from importlib import resources

from rules.detection import DETECTIONS

SKELETON_KINDS = tuple(DETECTIONS)


def skeleton(rule_id: str, kind: str) -> str:
    """Return the text of a new rule file with a detection of ``kind``."""
    file = resources.files("rules").joinpath("skeletons", f"{kind}.yaml")
    return file.read_text(encoding="utf-8").replace(f"\nid: {kind}\n", f"\nid: {rule_id}\n", 1)
