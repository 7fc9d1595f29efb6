"""Rules packages, and the account's role.

In: input as ``input`` reads it. Out: answers in AWS's words, from the desk of assessments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from analyzer.aws.errors import invalid_input, modelled
from analyzer.aws.operations.paging import limit_of, token_of, with_page
from analyzer.aws.values import Structure, failures, rules_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.assessments import Assessments

_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::(?P<account>[0-9]{12}):role/[\x21-\x7e]+")
_LINKED_ROLE: Final = "aws-service-role/inspector.amazonaws.com/AWSServiceRoleForAmazonInspector"


@dataclass(frozen=True, slots=True)
class PackageOperations:
    """Answers for rules packages and the role."""

    desk: Assessments

    async def list_rules_packages(self, request: Mapping[str, Any]) -> Structure:
        """List the ARNs of rules packages."""
        page = await self.desk.list_packages(limit=limit_of(request), token=token_of(request))
        return with_page("rulesPackageArns", [value.arn for value in page.items], page)

    async def describe_rules_packages(self, request: Mapping[str, Any]) -> Structure:
        """Show rules packages."""
        found = await self.desk.describe_packages(request["rulesPackageArns"])
        return {
            "rulesPackages": [rules_package(value) for value in found.items],
            "failedItems": failures(found.failed),
        }

    async def register_cross_account_access_role(self, request: Mapping[str, Any]) -> None:
        """Remember a role of this account; nothing here needs it."""
        arn = request["roleArn"]
        match = _ROLE.fullmatch(arn)
        if match is None:
            raise invalid_input("INVALID_IAM_ROLE_ARN", f"{arn!r} is no ARN of a role")
        if match["account"] != self.desk.arns.account:
            raise modelled(
                "InvalidCrossAccountRoleException",
                "ROLE_DOES_NOT_EXIST_OR_INVALID_TRUST_RELATIONSHIP",
                f"{arn} is not of this account, {self.desk.arns.account}",
            )
        await self.desk.register_role(arn)

    async def describe_cross_account_access_role(self, _: Mapping[str, Any]) -> Structure:
        """Show the role; before one is registered, the service's own."""
        role = await self.desk.role()
        arns = self.desk.arns
        linked = f"arn:{arns.partition}:iam::{arns.account}:role/{_LINKED_ROLE}"
        return {
            "roleArn": role.arn if role else linked,
            "valid": True,
            "registeredAt": role.registered_us if role else 0,
        }
