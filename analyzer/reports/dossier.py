"""The dossier: a result together with what it is told in.

In: a result and rules packages. Out: rules, packages and hosts by id, and sentences; every format
of ``analyzer.reports`` is made from one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import Final

from analyzer.reports.aws_account import AwsAccount
from analyzer.results.document import HostResult, Result
from analyzer.results.findings import Finding, text_of
from analyzer.words import printable
from rules.format import Rule
from rules.loader import Package

_INSTANCE: Final = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FIRST_US: Final = (_FIRST - _EPOCH) // timedelta(microseconds=1)
_LAST_US: Final = (_LAST - _EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Dossier:
    """A result, and the texts and names that findings are told in."""

    result: Result
    rules: Mapping[str, Rule]
    packages: Mapping[str, Package]
    hosts: Mapping[str, HostResult]
    aws: AwsAccount
    version: str
    """Of Proctor."""

    @property
    def checked(self) -> tuple[str, ...]:
        """Return the ids of the rules that the run was judged by, sorted."""
        return tuple(sorted({outcome.rule for outcome in self.result.outcomes}))

    def sentence(self, finding: Finding) -> str:
        """Return what was found, without control characters."""
        return printable(text_of(finding, self.rules.get(finding.rule)))

    def host_name(self, agent_id: str) -> str:
        """Return the host's name, or the agent's id where it is not known."""
        host = self.hosts.get(agent_id)
        return printable((host.hostname if host else None) or agent_id)

    def package_of(self, rule_id: str) -> Package | None:
        """Return the package that a rule belongs to, where it is known."""
        rule = self.rules.get(rule_id)
        return next((known for known in self.packages.values() if rule in known.rules), None)

    def package_title(self, package_id: str) -> str:
        """Return a package's title, or its id where it is not known."""
        package = self.packages.get(package_id)
        return package.title if package else package_id


def dossier_of(
    result: Result,
    packages: Iterable[Package],
    *,
    aws: AwsAccount | None = None,
    version: str | None = None,
) -> Dossier:
    """Return the dossier of a result.

    Args:
        result: Of any run.
        packages: Those it was judged by; a rule that is missing is told by its title.
        aws: Whose findings they are; a run with an ARN says so itself.
        version: Of Proctor; the installed one if it is left out.
    """
    known = {package.id: package for package in packages}
    return Dossier(
        result=result,
        rules={rule.id: rule for package in known.values() for rule in package.rules},
        packages=known,
        hosts={host.agent_id: host for host in result.hosts},
        aws=(aws or AwsAccount()).of_run(result.run.arn),
        version=_installed() if version is None else version,
    )


def is_instance(agent_id: str) -> bool:
    """Tell whether an agent's id is that of an EC2 instance."""
    return _INSTANCE.fullmatch(agent_id) is not None


def iso_time(ts_us: int) -> str:
    """Return a moment as ``2026-11-24T09:30:00.000000Z``.

    A recording may claim any 64 bit number: beyond the years 1 to 9999, the first or last moment.
    """
    moment = _EPOCH + timedelta(microseconds=min(max(ts_us, _FIRST_US), _LAST_US))
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def milliseconds(ts_us: int) -> int:
    """Return a moment as milliseconds since 1970, rounded down."""
    return ts_us // 1000


def _installed() -> str:
    try:
        return metadata.version("proctor")
    except metadata.PackageNotFoundError:  # it runs from bare sources
        return "0"
