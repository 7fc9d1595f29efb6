"""One story that calls all 37 operations. Comes in: a way to call. Goes out: every answer.

The same story is told by boto3 and by the `aws` command.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.aws_server import ACCOUNT, AGENT

Call = Callable[[str, dict[str, Any]], Any]
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:assessments"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/inspector"
ATTRIBUTE = {"key": "ticket", "value": "T-1"}
TAG = {"key": "team", "value": "web"}
FINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "CANCELED", "FAILED", "ERROR")


@dataclass
class Story:
    """What was called, and what came back."""

    call: Call
    name: str
    answers: dict[str, Any] = field(default_factory=dict)

    def __call__(self, operation: str, **parameters: Any) -> Any:  # noqa: ANN401 (JSON)
        """Call an operation; its last answer is kept."""
        answer = self.call(operation, parameters)
        self.answers[operation] = answer
        return answer

    def tell(self) -> Story:
        """Call everything."""
        self._role()
        packages = self._packages()
        target = self._target()
        template = self._template(target, packages)
        run = self._run(template)
        self._findings(run)
        self._exclusions(run, template)
        self._report(run)
        self("DeleteAssessmentRun", assessmentRunArn=run)
        self("DeleteAssessmentTemplate", assessmentTemplateArn=template)
        self("DeleteAssessmentTarget", assessmentTargetArn=target)
        return self

    def _role(self) -> None:
        self("RegisterCrossAccountAccessRole", roleArn=ROLE)
        self("DescribeCrossAccountAccessRole")

    def _packages(self) -> list[str]:
        arns: list[str] = self("ListRulesPackages")["rulesPackageArns"]
        self("DescribeRulesPackages", rulesPackageArns=arns[:10], locale="EN_US")
        return arns

    def _target(self) -> str:
        selector = [{"key": "no-such-tag"}]
        group = self("CreateResourceGroup", resourceGroupTags=selector)["resourceGroupArn"]
        self("DescribeResourceGroups", resourceGroupArns=[group])
        made = self(
            "CreateAssessmentTarget", assessmentTargetName=self.name, resourceGroupArn=group
        )
        target: str = made["assessmentTargetArn"]
        self("UpdateAssessmentTarget", assessmentTargetArn=target, assessmentTargetName=self.name)
        self("DescribeAssessmentTargets", assessmentTargetArns=[target])
        self("ListAssessmentTargets", filter={"assessmentTargetNamePattern": f"{self.name}*"})
        self("PreviewAgents", previewAgentsArn=target)
        return target

    def _template(self, target: str, packages: list[str]) -> str:
        made = self(
            "CreateAssessmentTemplate",
            assessmentTargetArn=target,
            assessmentTemplateName=f"{self.name} daily",
            durationInSeconds=180,
            rulesPackageArns=packages,
            userAttributesForFindings=[ATTRIBUTE],
        )
        template: str = made["assessmentTemplateArn"]
        self("ListAssessmentTemplates", assessmentTargetArns=[target])
        self("SetTagsForResource", resourceArn=template, tags=[TAG])
        self("ListTagsForResource", resourceArn=template)
        event = {"resourceArn": template, "event": "FINDING_REPORTED", "topicArn": TOPIC}
        self("SubscribeToEvent", **event)
        self("ListEventSubscriptions", resourceArn=template)
        self("UnsubscribeFromEvent", **event)
        return template

    def _run(self, template: str) -> str:
        made = self("StartAssessmentRun", assessmentTemplateArn=template)
        run: str = made["assessmentRunArn"]
        self("ListAssessmentRuns", assessmentTemplateArns=[template])
        self._wait(run, lambda state: state == "COLLECTING_DATA")
        time.sleep(3)
        self("StopAssessmentRun", assessmentRunArn=run, stopAction="START_EVALUATION")
        self._wait(run, lambda state: state in FINAL)
        self("DescribeAssessmentTemplates", assessmentTemplateArns=[template])
        self("ListAssessmentRunAgents", assessmentRunArn=run)
        self("GetTelemetryMetadata", assessmentRunArn=run)
        return run

    def _wait(self, run: str, reached: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 120
        while True:
            answer = self("DescribeAssessmentRuns", assessmentRunArns=[run])
            state = answer["assessmentRuns"][0]["state"]
            if reached(state):
                return
            assert time.monotonic() < deadline, state
            assert state not in FINAL, answer
            time.sleep(0.5)

    def _findings(self, run: str) -> None:
        where = {"agentIds": [AGENT], "ruleNames": ["insecure-client-login"]}
        arns = self("ListFindings", assessmentRunArns=[run], filter=where)["findingArns"]
        more = [{"key": "owner", "value": "web"}, {"key": "note", "value": "x"}]
        self("AddAttributesToFindings", findingArns=arns[:10], attributes=more)
        self("RemoveAttributesFromFindings", findingArns=arns[:10], attributeKeys=["note"])
        self("DescribeFindings", findingArns=arns, locale="EN_US")

    def _exclusions(self, run: str, template: str) -> None:
        arns = self("ListExclusions", assessmentRunArn=run)["exclusionArns"]
        asked = arns or [f"{run}/exclusion/0-AAAAAAAA"]
        self("DescribeExclusions", exclusionArns=asked, locale="EN_US")
        made = self("CreateExclusionsPreview", assessmentTemplateArn=template)
        deadline = time.monotonic() + 60
        while True:
            shown = self(
                "GetExclusionsPreview",
                assessmentTemplateArn=template,
                previewToken=made["previewToken"],
            )
            if shown["previewStatus"] == "COMPLETED":
                return
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def _report(self, run: str) -> None:
        deadline = time.monotonic() + 60
        while True:
            made = self(
                "GetAssessmentReport",
                assessmentRunArn=run,
                reportFileFormat="HTML",
                reportType="FULL",
            )
            if made["status"] == "COMPLETED":
                return
            assert made["status"] == "WORK_IN_PROGRESS"
            assert time.monotonic() < deadline
            time.sleep(0.5)
