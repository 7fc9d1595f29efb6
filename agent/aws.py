"""AWS endpoints: what a host name says about the AWS service behind it.

In: a name from SNI, a DNS answer or an HTTP Host header. Out: service, region, partition and the
kind of endpoint; None for every name that is no AWS service endpoint.

A name of a customer's own instance or load balancer (``ec2-….compute.amazonaws.com``,
``….elb.amazonaws.com``) is none either: what answers there is not an AWS service. The table is made
by ``python -m agent.aws_build`` from botocore's endpoint data; botocore itself would cost the agent
61 MB and 1.5 s.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLE: Final = Path(__file__).with_name("aws_endpoints.json.gz")
SERVICE_NAMES: Final[Mapping[str, str]] = {
    "catalog.marketplace": "catalog-marketplace",
    "data-ats.iot": "iotdata",
    "data.iot": "iotdata",
    "dkr.ecr": "ecr",
    "email-smtp": "email",
    "entitlement.marketplace": "entitlement-marketplace",
    "iotsecuredtunneling": "tunneling.iot",
    "metering.marketplace": "metering-marketplace",
    "queue": "sqs",
    "runtime.sagemaker": "sagemaker-runtime",
    "s3-accesspoint": "s3",
    "s3-external-1": "s3",
    "s3-website": "s3",
    "streams.dynamodb": "dynamodb-streams",
    "transcribestreaming": "transcribe",
}
"""Prefix of a name → service, where the prefix alone would mislead a reader of rules."""

_CACHED_NAMES: Final = 4096
_LONGEST_NAME: Final = 253  # characters of a DNS name
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+")
_CUSTOMER_ZONES: Final = re.compile(
    r"(^|\.)(compute(-\d+)?|elb|awsglobalaccelerator)(\.[a-z]{2,4}(-[a-z]+)+-\d+)?$"
)
"""At the end of a name, or before its region; further left it may be a bucket's own word."""
_S3_EXPRESS: Final = re.compile(r"s3express-[a-z0-9]+-az\d+")
_OLD_S3: Final = re.compile(r"(s3(?:-website|-fips)?)-([a-z]{2}(?:-[a-z]+)+-\d)")
_FIPS: Final = re.compile(r"(?<![^.])fips-|-fips(?![^.])")
_PRIVATE_SCOPES: Final = frozenset({"private", "shared"})


class AwsEndpoint(NamedTuple):
    """An AWS service endpoint; the fields are columns of ``aws_call``."""

    service: str
    region: str | None
    partition: str
    variant: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A DNS suffix under which a partition has its endpoints."""

    suffix: str
    partition: str
    is_dualstack: bool
    region: re.Pattern[str]
    """What the partition's regions look like."""


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of AWS's names.

    Attributes:
        zones: Longest suffix first; of partitions that share one, the commonest last.
        prefixes: What stands before the region in the name of a service.
        hosts: Names that the rules alone would read wrongly.
    """

    zones: Sequence[Zone]
    prefixes: frozenset[str]
    hosts: Mapping[str, AwsEndpoint]


@lru_cache(_CACHED_NAMES)
def classify(host: str) -> AwsEndpoint | None:
    """Return what endpoint a host name is; None where it is no AWS service endpoint.

    Args:
        host: Any case, with or without a final dot; without a port.
    """
    return read_name(host, load_table())


def seen_at(endpoint: AwsEndpoint, remote_scope: str | None) -> AwsEndpoint:
    """Return the endpoint, told from where it was reached.

    A VPC endpoint with private DNS has the public name; only a private address gives it away.
    """
    if remote_scope in _PRIVATE_SCOPES and endpoint.variant != "vpce":
        return endpoint._replace(variant="vpce_inferred")
    return endpoint


def read_name(host: str, table: Table) -> AwsEndpoint | None:
    """Return what endpoint a host name is by ``table``."""
    name = host.removesuffix(".").lower()
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        return None
    exact = table.hosts.get(name)
    if exact is not None:
        return exact
    zones = [zone for zone in table.zones if name.endswith("." + zone.suffix)]
    zones = [zone for zone in zones if zone.suffix == zones[0].suffix]
    readings = [_read_in(zone, name, table.prefixes) for zone in zones]
    found = [reading for reading in readings if reading is not None]
    regional = [reading for reading in found if reading.region is not None]
    return next(iter([*regional, *found[-1:]]), None)


def service_of(prefix: str) -> str:
    """Return the service that a prefix stands for: ``api.ecr`` and ``dkr.ecr`` are ``ecr``."""
    return SERVICE_NAMES.get(prefix, prefix.removeprefix("api."))


@cache
def load_table() -> Table:
    """Return the table that comes with the agent."""
    plain = json.loads(gzip.decompress(TABLE.read_bytes()))
    return Table(
        zones=tuple(
            Zone(suffix, partition, is_dualstack, re.compile(region))
            for suffix, partition, is_dualstack, region in plain["zones"]
        ),
        prefixes=frozenset(plain["prefixes"]),
        hosts={host: AwsEndpoint(*fields) for host, fields in plain["hosts"].items()},
    )


def _read_in(zone: Zone, name: str, prefixes: frozenset[str]) -> AwsEndpoint | None:
    labels = name[: -len(zone.suffix) - 1].split(".")
    if _CUSTOMER_ZONES.search(".".join(labels)):
        return None
    is_vpce = labels[-1] == "vpce"
    if is_vpce:
        labels.pop()
    labels = [part for label in labels for part in _plain_s3(label)]
    region, before = _split_region(labels, zone)
    if region is None and (zone.is_dualstack or _names_region(before)):
        return None  # another partition's, or no endpoint at all
    flags = {flag for flag in ("fips", "dualstack") if flag in before}
    service, is_fips = _service(
        [label for label in before if label not in flags], prefixes, only_known=region is None
    )
    if service is None:
        return None
    is_dualstack = zone.is_dualstack or "dualstack" in flags
    variant = _variant(is_fips=is_fips or "fips" in flags, is_dualstack=is_dualstack)
    return AwsEndpoint(service, region, zone.partition, "vpce" if is_vpce else variant)


def _plain_s3(label: str) -> list[str]:
    """Return ``s3-eu-west-1`` as its two labels of today, a zone of S3 Express as plain S3."""
    if _S3_EXPRESS.fullmatch(label):
        return ["s3"]
    found = _OLD_S3.fullmatch(label)
    return [found[1], found[2]] if found else [label]


def _split_region(labels: list[str], zone: Zone) -> tuple[str | None, list[str]]:
    """Return the region and the labels that name the service, the last of them decisive.

    The region stands behind the service, or before it in old names and in those of databases.
    """
    for place in range(len(labels) - 1, max(-1, len(labels) - 4), -1):
        if zone.region.fullmatch(labels[place]):
            behind = labels[place + 1 :]
            return labels[place], behind or labels[:place]
        if labels[place] == "global" and place == len(labels) - 1:
            return "aws-global", labels[:place]
    return None, labels


def _names_region(labels: list[str]) -> bool:
    return bool(labels) and re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-\d+", labels[-1]) is not None


def _service(
    labels: list[str], prefixes: frozenset[str], *, only_known: bool
) -> tuple[str | None, bool]:
    """Return the service of the longest known prefix that the labels end in, and if it is FIPS.

    Of a service that is newer than the table, the last label is the prefix.
    """
    tails = [".".join(labels[start:]) for start in range(max(0, len(labels) - 3), len(labels))]
    for tail in tails:
        for prefix in (tail, _FIPS.sub("", tail)):
            if prefix in prefixes:
                return service_of(prefix), prefix != tail
    if only_known or not tails:
        return None, False
    prefix = _FIPS.sub("", tails[-1])
    return service_of(prefix), prefix != tails[-1]


def _variant(*, is_fips: bool, is_dualstack: bool) -> str:
    if is_fips:
        return "fips_dualstack" if is_dualstack else "fips"
    return "dualstack" if is_dualstack else "standard"
