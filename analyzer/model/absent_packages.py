"""Absent packages: rules packages that Inspector had and Proctor has not.

Templates that name them by their ARNs go on working. What they looked for is not evaluated, and
every run of such a template says so in an exclusion.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class AbsentPackage:
    """A rules package that runs cannot evaluate.

    Attributes:
        title: Its name at Inspector.
        instead: What to do about it.
    """

    title: str
    instead: str


ABSENT_PACKAGES: Final = MappingProxyType(
    {
        "common-vulnerabilities-and-exposures": AbsentPackage(
            "Common Vulnerabilities and Exposures",
            "Look for known vulnerabilities with a scanner that has a database of them.",
        ),
        "cis-benchmarks": AbsentPackage(
            "CIS Operating System Security Configuration Benchmarks",
            "Check benchmarks with a scanner that has them, such as OpenSCAP.",
        ),
        "network-reachability": AbsentPackage(
            "Network Reachability",
            "Analyze the configuration of the network where it is kept, such as in the VPC.",
        ),
    }
)
"""By the id that their ARNs stand for."""


def evaluated(packages: Iterable[str]) -> list[str]:
    """Return the ids of packages without those that are absent."""
    return [package_id for package_id in packages if package_id not in ABSENT_PACKAGES]
