"""The shipped packages: no problem, every mutant killed, severities as specified."""

import pytest

from rules.check import Report, check
from rules.loader import load_packages


@pytest.fixture(scope="module")
def report() -> Report:
    return check()


def test_shipped_rules_have_no_problem(report: Report) -> None:
    assert [str(problem) for problem in (*report.malformed, *report.problems)] == []


def test_every_mutant_is_killed(report: Report) -> None:
    assert report.mutants > 100
    assert report.killed == report.mutants


def test_severities() -> None:
    severities = {rule.id: rule.severity for package in load_packages() for rule in package.rules}

    assert severities == {
        "aslr-disabled": "Medium",
        "aws-endpoint-without-tls": "Medium",
        "dep-unsupported": "Medium",
        "executable-without-dep": "Medium",
        "expired-certificate-served": "Medium",
        "imdsv1-burst": "High",
        "imdsv1-used": "Low",
        "insecure-client-general": "Low",
        "insecure-client-login": "Medium",
        "insecure-server-protocol": "Informational",
        "outdated-tls-version": "Medium",
        "password-complexity": "Medium",
        "password-maximum-age": "Medium",
        "password-minimum-length": "Medium",
        "root-process-with-insecure-permissions": "High",
        "ssh-password-authentication": "Medium",
        "ssh-protocol-1": "Medium",
        "ssh-root-login": "Medium",
        "unused-listening-tcp-port": "Informational",
        "writable-system-directory": "High",
    }


def test_every_rule_says_what_it_cannot_see() -> None:
    assert all(rule.limitations for package in load_packages() for rule in package.rules)
