import pytest

from analyzer.arns import (
    Arns,
    EntityKind,
    exclusion_arn,
    finding_arn,
    parse,
    run_arn,
    stable_id,
    template_arn,
)

HERE = Arns("111122223333", "eu-west-1")
TARGET = HERE.target("0-AbCd12Ef")
TEMPLATE = template_arn(TARGET, "0-Gh34IjKl")
RUN = run_arn(TEMPLATE, "0-Mn56OpQr")


def test_arns_nest_and_come_apart_again() -> None:
    finding = parse(finding_arn(RUN, "0-St78UvWx"))
    assert finding is not None
    assert finding.text == (
        "arn:aws:inspector:eu-west-1:111122223333:target/0-AbCd12Ef/template/0-Gh34IjKl"
        "/run/0-Mn56OpQr/finding/0-St78UvWx"
    )
    assert finding.kind is EntityKind.FINDING
    assert finding.id == "0-St78UvWx"
    assert finding.parents == ("0-AbCd12Ef", "0-Gh34IjKl", "0-Mn56OpQr")
    assert finding.parent == RUN


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HERE.resource_group("0-aaaaaaaa"), EntityKind.RESOURCE_GROUP),
        (TARGET, EntityKind.TARGET),
        (TEMPLATE, EntityKind.TEMPLATE),
        (RUN, EntityKind.RUN),
        (exclusion_arn(RUN, "0-aaaaaaaa"), EntityKind.EXCLUSION),
        (HERE.rules_package("secure-channels"), EntityKind.RULES_PACKAGE),
    ],
)
def test_arn_says_what_it_names(text: str, kind: EntityKind) -> None:
    arn = parse(text)
    assert arn is not None
    assert arn.kind is kind
    assert HERE.is_own(arn)
    assert not Arns("111122223333", "eu-north-1").is_own(arn)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn:aws:inspector:eu-west-1:111122223333:target/0-short",
        TARGET + "/",
        TARGET + "/run/0-Mn56OpQr",
        TARGET.replace("111122223333", "1"),
        TARGET + "\n",
        "arn:aws:sns:eu-west-1:111122223333:topic",
    ],
)
def test_other_texts_are_no_arn(text: str) -> None:
    assert parse(text) is None


def test_packages_that_inspector_had_keep_its_arns() -> None:
    assert HERE.rules_package("runtime-behavior") == (
        "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-lLmwe1zd"
    )
    assert HERE.rules_package("security-best-practices").endswith("/0-SnojL3Z6")


@pytest.mark.parametrize(
    ("package", "id_"),
    [
        ("common-vulnerabilities-and-exposures", "0-ubA5XvBh"),
        ("cis-benchmarks", "0-sJBhCr0F"),
        ("network-reachability", "0-SPzU33xe"),
    ],
)
def test_packages_that_proctor_has_not_keep_their_arns(package: str, id_: str) -> None:
    assert HERE.rules_package(package) == (
        f"arn:aws:inspector:eu-west-1:357557129151:rulespackage/{id_}"
    )


def test_other_packages_have_an_id_that_never_changes() -> None:
    assert stable_id("rulespackage", "secure-channels") == "0-lYr3fdjx"
    assert HERE.rules_package("secure-channels").endswith("/0-lYr3fdjx")


def test_region_without_a_row_has_packages_of_the_own_account() -> None:
    arns = Arns("111122223333", "eu-south-9")
    assert arns.rules_package("runtime-behavior").startswith(
        "arn:aws:inspector:eu-south-9:111122223333:rulespackage/0-"
    )
    assert (
        Arns(region="eu-west-2")
        .rules_package("runtime-behavior")
        .startswith("arn:aws:inspector:eu-west-2:146838936955:rulespackage/0-")
    )


def test_package_is_found_by_its_arn() -> None:
    packages = ("runtime-behavior", "secure-channels")
    assert HERE.package_of(HERE.rules_package("secure-channels"), packages) == "secure-channels"
    assert HERE.package_of(TARGET, packages) is None


def test_government_regions_have_their_own_partition() -> None:
    assert Arns(region="us-gov-west-1").target("0-aaaaaaaa").startswith("arn:aws-us-gov:")
