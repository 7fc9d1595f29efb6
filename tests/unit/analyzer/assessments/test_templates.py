import pytest

from analyzer.arns import Arns
from analyzer.assessments import Assessments, Limits, claim, identity_of
from analyzer.errors import (
    InvalidInputError,
    LimitExceededError,
    NoSuchEntityError,
    StoreError,
)
from analyzer.model import EventKind, Range, Tag, Template, TemplateFilter
from analyzer.store import MemoryStore, event_of
from tests.desks import ARNS, PACKAGES, START_US, make_desk

TOPIC = "arn:aws:sns:eu-west-1:111122223333:findings"


@pytest.fixture
def desk() -> Assessments:
    return make_desk()


async def make_template(desk: Assessments, **changes: object) -> Template:
    target = await desk.create_target("web")
    values: dict[str, object] = {
        "name": "weekly",
        "duration_s": 180,
        "packages": [ARNS.rules_package("runtime-behavior"), "secure-channels"],
        **changes,
    }
    return await desk.create_template(target.arn, **values)  # type: ignore[arg-type]


async def test_template_comes_back_as_it_was_made(desk: Assessments) -> None:
    template = await make_template(desk, user_attributes=[Tag("team", "blue")])
    assert template.packages == ("runtime-behavior", "secure-channels")
    assert template.arn.startswith(template.target_arn + "/template/")
    assert (await desk.describe_templates([template.arn])).items == (template,)
    assert (await desk.list_templates(TemplateFilter(name_pattern="w*"))).items == (template,)
    await desk.delete_template(template.arn)
    assert (await desk.list_templates()).items == ()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": ""}, "INVALID_ASSESSMENT_TEMPLATE_NAME"),
        ({"duration_s": 179}, "INVALID_ASSESSMENT_TEMPLATE_DURATION"),
        ({"duration_s": 86_401}, "INVALID_ASSESSMENT_TEMPLATE_DURATION"),
        ({"packages": ["arn:aws:nothing"]}, "INVALID_RULES_PACKAGE_ARN"),
        ({"packages": ["runtime-behaviour"]}, "INVALID_RULES_PACKAGE_ARN"),
        ({"user_attributes": [Tag("a"), Tag("a")]}, "INVALID_USER_ATTRIBUTE_KEY"),
        (
            {"user_attributes": [Tag(str(n)) for n in range(11)]},
            "INVALID_NUMBER_OF_USER_ATTRIBUTES",
        ),
    ],
)
async def test_templates_are_checked(
    desk: Assessments, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(InvalidInputError) as error:
        await make_template(desk, **changes)
    assert error.value.code == code


async def test_names_are_unique_in_a_target(desk: Assessments) -> None:
    template = await make_template(desk)
    with pytest.raises(InvalidInputError) as error:
        await desk.create_template(template.target_arn, name="weekly", duration_s=200, packages=[])
    assert error.value.code == "ASSESSMENT_TEMPLATE_NAME_ALREADY_TAKEN"
    other = await desk.create_target("other")
    await desk.create_template(other.arn, name="weekly", duration_s=200, packages=[])


async def test_packages_of_other_regions_do_not_exist(desk: Assessments) -> None:
    elsewhere = Arns(region="us-east-1").rules_package("runtime-behavior")
    with pytest.raises(NoSuchEntityError):
        await make_template(desk, packages=[elsewhere])


async def test_packages_that_only_inspector_had_may_stand_in_templates(desk: Assessments) -> None:
    """Code that names them by their ARNs goes on working, and is told that they are not here."""
    vulnerabilities = "arn:aws:inspector:eu-west-1:357557129151:rulespackage/0-ubA5XvBh"
    ours = ARNS.rules_package("runtime-behavior")
    template = await make_template(desk, packages=[vulnerabilities, ours])
    assert desk.package_arns(template.packages) == (vulnerabilities, ours)
    (described,) = (await desk.describe_packages([vulnerabilities])).items
    assert described.name == "Common Vulnerabilities and Exposures"
    assert described.description.startswith("Not part of Proctor")
    assert vulnerabilities not in [each.arn for each in (await desk.list_packages()).items]
    filtered = TemplateFilter(packages=desk.package_ids([vulnerabilities]))
    assert [each.arn for each in (await desk.list_templates(filtered)).items] == [template.arn]
    alone = await desk.create_template(
        template.target_arn, name="alone", duration_s=180, packages=[vulnerabilities]
    )
    with pytest.raises(InvalidInputError, match="a rules package that Proctor has"):
        await desk.start_run(alone.arn)


async def test_templates_are_limited() -> None:
    desk = make_desk(limits=Limits(templates=1))
    template = await make_template(desk)
    with pytest.raises(LimitExceededError):
        await desk.create_template(template.target_arn, name="b", duration_s=200, packages=[])


async def test_filters_are_checked(desk: Assessments) -> None:
    with pytest.raises(InvalidInputError) as error:
        await desk.list_templates(TemplateFilter(duration_s=Range(5, 4)))
    assert error.value.code == "INVALID_ASSESSMENT_TEMPLATE_DURATION_RANGE"
    with pytest.raises(NoSuchEntityError):
        await desk.list_templates(TemplateFilter(target_arns=(ARNS.target("0-missing0"),)))


async def test_tags_are_replaced_as_a_whole(desk: Assessments) -> None:
    template = await make_template(desk)
    await desk.set_tags(template.arn, [Tag("a", "1"), Tag("b")])
    assert await desk.tags_of(template.arn) == (Tag("a", "1"), Tag("b"))
    await desk.set_tags(template.arn)
    assert await desk.tags_of(template.arn) == ()
    for tags in ([Tag("a"), Tag("a")], [Tag(str(n)) for n in range(11)]):
        with pytest.raises(InvalidInputError):
            await desk.set_tags(template.arn, tags)


async def test_packages_are_listed_with_arns(desk: Assessments) -> None:
    first = await desk.list_packages(limit=1)
    rest = await desk.list_packages(token=first.next_token, limit=50)
    listed = first.items + rest.items
    assert [package.id for package in listed] == sorted(item.id for item in PACKAGES)
    found = await desk.describe_packages([listed[0].arn, ARNS.rules_package("no-such")])
    assert found.items == (listed[0],)
    assert list(found.failed.values()) == ["ITEM_DOES_NOT_EXIST"]
    assert desk.package_arns(()) == tuple(package.arn for package in listed)


async def test_topic_is_told_once_that_it_is_subscribed(desk: Assessments) -> None:
    template = await make_template(desk)
    for event in (EventKind.RUN_STARTED, EventKind.RUN_STARTED, EventKind.FINDING_REPORTED):
        await desk.subscribe(template.arn, event, TOPIC)
    page = await desk.list_subscriptions(template.arn)
    (group,) = page.items
    assert [item.event for item in group.subscriptions] == [
        EventKind.RUN_STARTED,
        EventKind.FINDING_REPORTED,
    ]
    async with desk._store.reading() as rows:
        messages = await rows.events.due(START_US, limit=9)
    assert {event_of(message).kind for message in messages} == {EventKind.NOTIFICATIONS_ENABLED}
    await desk.unsubscribe(template.arn, EventKind.RUN_STARTED, TOPIC)
    await desk.unsubscribe(template.arn, EventKind.RUN_STARTED, TOPIC)
    assert len((await desk.list_subscriptions()).items[0].subscriptions) == 1


async def test_subscriptions_page_by_topic(desk: Assessments) -> None:
    template = await make_template(desk)
    for number in range(5):
        await desk.subscribe(template.arn, EventKind.OTHER, f"{TOPIC}-{number}")
    seen = set()
    token = None
    while True:
        page = await desk.list_subscriptions(token=token, limit=2)
        seen |= {group.topic_arn for group in page.items}
        if (token := page.next_token) is None:
            break
    assert len(seen) == 5


async def test_subscriptions_are_checked_and_limited() -> None:
    desk = make_desk(limits=Limits(subscriptions=1))
    template = await make_template(desk)
    with pytest.raises(InvalidInputError):
        await desk.subscribe(template.arn, EventKind.NOTIFICATIONS_ENABLED, TOPIC)
    await desk.subscribe(template.arn, EventKind.OTHER, TOPIC)
    with pytest.raises(LimitExceededError):
        await desk.subscribe(template.arn, EventKind.RUN_STARTED, TOPIC)


async def test_role_is_remembered(desk: Assessments) -> None:
    assert await desk.role() is None
    await desk.register_role("arn:aws:iam::111122223333:role/inspector")
    role = await desk.role()
    assert role is not None
    assert (role.arn, role.registered_us) == ("arn:aws:iam::111122223333:role/inspector", START_US)


async def test_store_belongs_to_one_account_and_region() -> None:
    store = MemoryStore()
    assert await identity_of(store) == Arns()
    await claim(store, ARNS)
    await claim(store, ARNS)
    assert await identity_of(store) == ARNS
    with pytest.raises(StoreError, match="--account 111122223333 --region eu-west-1"):
        await claim(store, Arns(ARNS.account, "us-east-1"))
