"""The AWS account that findings are written for, in formats of AWS.

In: a run's ARN, or what an operator's environment says. Out: account, region, partition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NOBODY: Final = "000000000000"
_ACCOUNT: Final = re.compile(r"\d{12}")
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_PARTITIONS: Final = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
_ARN_PARTS: Final = 6  # arn:partition:service:region:account:resource


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """An account and a region; by default those of nobody, which no API accepts."""

    account_id: str = NOBODY
    region: str = "us-east-1"

    @property
    def partition(self) -> str:
        """Return the partition of the region."""
        found = (name for prefix, name in _PARTITIONS if self.region.startswith(prefix))
        return next(found, "aws")

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in this account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def of_run(self, arn: str | None) -> AwsAccount:
        """Return the account that a run's ARN names; this one where it names none."""
        parts = (arn or "").split(":", _ARN_PARTS - 1)
        return self._with(parts[4], parts[3]) if len(parts) == _ARN_PARTS else self

    def _with(self, account_id: str, region: str) -> AwsAccount:
        return AwsAccount(
            account_id if _ACCOUNT.fullmatch(account_id) else self.account_id,
            region if _REGION.fullmatch(region) else self.region,
        )


def account_of(environment: Mapping[str, str]) -> AwsAccount:
    """Return the account of ``AWS_ACCOUNT_ID`` and ``AWS_REGION`` or ``AWS_DEFAULT_REGION``."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    return AwsAccount()._with(environment.get("AWS_ACCOUNT_ID", ""), region)  # noqa: SLF001 (own)
