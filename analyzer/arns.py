"""ARNs: the names that the outside knows everything by, built and taken apart.

In: account, region, ids. Out: ARN texts that nest as Amazon Inspector's do, a child's starting with
its parent's; and the parts of such a text. Pure.
"""

from __future__ import annotations

import hashlib
import re
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ARN: Final = 300
DEFAULT_ACCOUNT: Final = "000000000000"
DEFAULT_REGION: Final = "us-east-1"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH: Final = 8
_ID: Final = r"0-[0-9A-Za-z]{8}"
_SHAPES: Final = (
    r"resourcegroup/(?P<resource_group>{id})",
    r"rulespackage/(?P<rules_package>{id})",
    (
        r"target/(?P<target>{id})(?:/template/(?P<template>{id})"
        r"(?:/run/(?P<run>{id})(?:/finding/(?P<finding>{id})|/exclusion/(?P<exclusion>{id}))?)?)?"
    ),
)
_ARN: Final = re.compile(
    r"arn:(?P<partition>[a-z-]+):inspector:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):(?:"
    + "|".join(shape.replace("{id}", _ID) for shape in _SHAPES)
    + r")"
)


class EntityKind(StrEnum):
    """What an ARN can name; the values are the words of Inspector's error codes."""

    RESOURCE_GROUP = "RESOURCE_GROUP"
    TARGET = "ASSESSMENT_TARGET"
    TEMPLATE = "ASSESSMENT_TEMPLATE"
    RUN = "ASSESSMENT_RUN"
    FINDING = "FINDING"
    EXCLUSION = "EXCLUSION"
    RULES_PACKAGE = "RULES_PACKAGE"

    @property
    def words(self) -> str:
        """Return what people call it."""
        return self.value.replace("_", " ").lower()


_KINDS: Final = (  # the innermost part that is there says what the ARN names
    ("exclusion", EntityKind.EXCLUSION),
    ("finding", EntityKind.FINDING),
    ("run", EntityKind.RUN),
    ("template", EntityKind.TEMPLATE),
    ("target", EntityKind.TARGET),
    ("rules_package", EntityKind.RULES_PACKAGE),
    ("resource_group", EntityKind.RESOURCE_GROUP),
)


_OF_INSPECTOR: Final = (  # the columns of the table, behind region and account
    "common-vulnerabilities-and-exposures",
    "cis-benchmarks",
    "network-reachability",
    "security-best-practices",
    "runtime-behavior",
)
# Source: the user guide's list of rules-package ARNs by region, 2019; "-" where it had none.
_TABLE: Final = """
us-east-1      316112463485  0-gEjTy7T7 0-rExsr2X8 0-PmNV0Tcd 0-R01qwB5Q 0-gBONHN9h
us-east-2      646659390643  0-JnA8Zp85 0-m8r61nnh 0-cE4kTR30 0-AxKmMHPX 0-UCYZFKPV
us-west-1      166987590008  0-TKgzoVOa 0-xUY8iRqX 0-TxmXimXF 0-byoQRFYm 0-yeYxlt0x
us-west-2      758058086616  0-9hgA516p 0-H5hpSawc 0-rD1z6dpl 0-JJOtZiqQ 0-vg5GGHSD
ap-south-1     162588757376  0-LqnJE9dO 0-PSUlX14m 0-YxKfjFu1 0-fs0IZZBj 0-EhMQZy6C
ap-northeast-2 526946625049  0-PoGHMznc 0-T9srhg1z 0-s3OmLzhL 0-2WRpmi4n 0-PoYq7lI7
ap-southeast-2 454640832652  0-D5TGAxiR 0-Vkd2Vxjq 0-FLcuV4Gz 0-asL6HRgN 0-P8Tel2Xj
ap-northeast-1 406045910587  0-gHP9oWNT 0-7WNjqgGu 0-YI95DVd7 0-bBUQnxMq 0-knGBhqEu
eu-central-1   537503971621  0-wNqHa8M9 0-nZrAVuv8 0-6yunpJ91 0-ZujVHEPB 0-0GMUM6fg
eu-west-1      357557129151  0-ubA5XvBh 0-sJBhCr0F 0-SPzU33xe 0-SnojL3Z6 0-lLmwe1zd
eu-west-2      146838936955  0-kZGCqcE1 0-IeCjwf1W 0-AizSYyNq 0-XApUiSaP -
eu-north-1     453420244670  0-IgdgIewd 0-Yn8jlX7f 0-52Sn74uu 0-HfBQSbSf -
us-gov-east-1  206278770380  0-3IFKFuOb 0-pTLCdIww -          0-vlgEGcVD 0-850TmCFX
us-gov-west-1  850862329162  0-4oQgcI4G 0-Ac4CFOuc -          0-rOTGqe5G 0-JMyjuzoW
"""


@dataclass(frozen=True, slots=True)
class _Service:
    """The account that owns a region's rules packages, and ids that clients may have written."""

    account: str
    ids: dict[str, str]


def _services() -> dict[str, _Service]:
    services = {}
    for region, account, *ids in map(str.split, _TABLE.strip().splitlines()):
        named = zip(_OF_INSPECTOR, ids, strict=True)
        services[region] = _Service(account, {name: id_ for name, id_ in named if id_ != "-"})
    return services


_SERVICES: Final = _services()


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN taken apart.

    ``id`` is the innermost id; ``parents`` are the ids around it, outermost first: of a finding
    those of target, template and run.
    """

    text: str
    kind: EntityKind
    partition: str
    region: str
    account: str
    id: str
    parents: tuple[str, ...]

    @property
    def parent(self) -> str:
        """Return the ARN of what it lies in; empty where it lies in nothing."""
        return self.text.rsplit("/", 2)[0] if self.parents else ""


@dataclass(frozen=True, slots=True)
class Arns:
    """Builds the ARNs of one server: one account in one region."""

    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION

    @property
    def partition(self) -> str:
        """Return the partition that the region lies in."""
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def service_account(self) -> str:
        """Return the account that owns the region's rules packages."""
        known = _SERVICES.get(self.region)
        return known.account if known else self.account

    def resource_group(self, id_: str) -> str:
        """Return the ARN of a resource group."""
        return f"{self._prefix(self.account)}:resourcegroup/{id_}"

    def target(self, id_: str) -> str:
        """Return the ARN of an assessment target."""
        return f"{self._prefix(self.account)}:target/{id_}"

    def rules_package(self, package_id: str) -> str:
        """Return the ARN of a rules package of ours, the same for ever.

        Packages that Inspector had too have its ARN in the region; others have one made from
        their name.
        """
        known = _SERVICES.get(self.region)
        id_ = known.ids.get(package_id) if known else None
        id_ = id_ or stable_id("rulespackage", package_id)
        return f"{self._prefix(self.service_account)}:rulespackage/{id_}"

    def package_of(self, arn: str, package_ids: Iterable[str]) -> str | None:
        """Return which of the packages an ARN names; None where it names none of them."""
        return next((id_ for id_ in package_ids if self.rules_package(id_) == arn), None)

    def is_own(self, arn: Arn) -> bool:
        """Tell whether an ARN names something of this account, or a rules package, here."""
        is_package = arn.kind is EntityKind.RULES_PACKAGE
        owner = self.service_account if is_package else self.account
        return (arn.partition, arn.region, arn.account) == (self.partition, self.region, owner)

    def _prefix(self, account: str) -> str:
        return f"arn:{self.partition}:inspector:{self.region}:{account}"


def template_arn(target_arn: str, id_: str) -> str:
    """Return the ARN of an assessment template."""
    return f"{target_arn}/template/{id_}"


def run_arn(template: str, id_: str) -> str:
    """Return the ARN of an assessment run."""
    return f"{template}/run/{id_}"


def finding_arn(run: str, id_: str) -> str:
    """Return the ARN of a finding."""
    return f"{run}/finding/{id_}"


def exclusion_arn(run: str, id_: str) -> str:
    """Return the ARN of an exclusion."""
    return f"{run}/exclusion/{id_}"


def parse(text: str) -> Arn | None:
    """Return an ARN of Inspector's taken apart; None where the text is none."""
    match = _ARN.fullmatch(text) if len(text) <= MAX_ARN else None
    if match is None:
        return None
    parts = match.groupdict()
    kind, id_ = next((kind, parts[name]) for name, kind in _KINDS if parts[name])
    around = [parts[name] for name in ("target", "template", "run") if parts[name]]
    return Arn(
        text=text,
        kind=kind,
        partition=parts["partition"],
        region=parts["region"],
        account=parts["account"],
        id=id_,
        parents=tuple(item for item in around if item != id_),
    )


def stable_id(*parts: object) -> str:
    """Return the id that parts always have: ``0-`` and eight letters or digits of their hash."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    digits = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "0-" + "".join(digits)
