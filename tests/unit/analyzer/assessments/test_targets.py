import pytest

from analyzer.arns import EntityKind
from analyzer.assessments import Assessments, Limits
from analyzer.errors import InvalidInputError, LimitExceededError, NoSuchEntityError
from analyzer.model import Tag, TargetFilter
from tests.desks import ARNS, make_agent, make_desk

OTHER = "arn:aws:inspector:eu-west-1:999999999999:target/0-aaaaaaaa"


@pytest.fixture
def desk() -> Assessments:
    return make_desk()


async def test_target_is_created_changed_described_and_deleted(desk: Assessments) -> None:
    group = await desk.create_resource_group([Tag("env", "prod"), Tag("env", "test")])
    target = await desk.create_target("web", resource_group_arn=group.arn)
    assert target.created_us == target.updated_us
    changed = await desk.update_target(target.arn, name="db")
    assert changed.resource_group_arn is None
    missing = ARNS.target("0-missing0")
    found = await desk.describe_targets([target.arn, missing, "nonsense", OTHER, target.arn])
    assert found.items == (changed,)
    assert found.failed == {
        missing: "ITEM_DOES_NOT_EXIST",
        "nonsense": "INVALID_ARN",
        OTHER: "ITEM_DOES_NOT_EXIST",
        target.arn: "DUPLICATE_ARN",
    }
    assert (await desk.describe_resource_groups([group.arn])).items == (group,)
    await desk.delete_target(target.arn)
    assert (await desk.list_targets()).items == ()
    with pytest.raises(NoSuchEntityError) as error:
        await desk.delete_target(target.arn)
    assert error.value.kind is EntityKind.TARGET


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "INVALID_ASSESSMENT_TARGET_NAME"),
        ("x" * 141, "INVALID_ASSESSMENT_TARGET_NAME"),
        ("a\0b", "INVALID_ASSESSMENT_TARGET_NAME"),
        ("a\ud800b", "INVALID_ASSESSMENT_TARGET_NAME"),
        ("taken", "ASSESSMENT_TARGET_NAME_ALREADY_TAKEN"),
    ],
)
async def test_names_are_checked(desk: Assessments, name: str, code: str) -> None:
    await desk.create_target("taken")
    with pytest.raises(InvalidInputError) as error:
        await desk.create_target(name)
    assert error.value.code == code
    other = await desk.create_target("other")
    with pytest.raises(InvalidInputError):
        await desk.update_target(other.arn, name=name)


async def test_target_needs_a_resource_group_that_exists(desk: Assessments) -> None:
    with pytest.raises(NoSuchEntityError):
        await desk.create_target("web", resource_group_arn=ARNS.resource_group("0-missing0"))
    with pytest.raises(InvalidInputError, match="is no resource group's ARN"):
        await desk.create_target("web", resource_group_arn=ARNS.target("0-missing0"))


async def test_limits_hold() -> None:
    desk = make_desk(limits=Limits(targets=1, resource_groups=1))
    await desk.create_target("one")
    with pytest.raises(LimitExceededError, match="at most 1 assessment targets"):
        await desk.create_target("two")
    await desk.create_resource_group([Tag("a")])
    with pytest.raises(LimitExceededError):
        await desk.create_resource_group([Tag("a")])


@pytest.mark.parametrize("tags", [[], [Tag("a")] * 11, [Tag("")], [Tag("a", "")]])
async def test_groups_need_tags_that_can_be_kept(desk: Assessments, tags: list[Tag]) -> None:
    with pytest.raises(InvalidInputError):
        await desk.create_resource_group(tags)


async def test_pages_lead_on_and_tokens_fit_their_list_only(desk: Assessments) -> None:
    for number in range(5):
        await desk.create_target(f"web-{number}")
    first = await desk.list_targets(limit=2)
    assert [target.name for target in first.items] == ["web-4", "web-3"]
    second = await desk.list_targets(token=first.next_token, limit=3)
    assert [target.name for target in second.items] == ["web-2", "web-1", "web-0"]
    assert second.next_token is None
    for token, what in (
        (first.next_token, TargetFilter("web*")),
        ("", TargetFilter()),
        ("ä", TargetFilter()),
        ("WyJhIl0", TargetFilter()),
    ):
        with pytest.raises(InvalidInputError) as error:
            await desk.list_targets(what, token=token)
        assert error.value.code == "INVALID_PAGINATION_TOKEN"
    for limit in (0, 501):
        with pytest.raises(InvalidInputError, match="1 to 500"):
            await desk.list_targets(limit=limit)


async def test_preview_shows_the_hosts_that_any_tag_selects(desk: Assessments) -> None:
    for agent in (
        make_agent("i-1", env="prod"),
        make_agent("i-2", env="test"),
        make_agent("i-3", web="yes"),
        make_agent("i-4"),
    ):
        await desk._store.put_agent(agent)
    group = await desk.create_resource_group([Tag("env", "prod"), Tag("web")])
    target = await desk.create_target("web", resource_group_arn=group.arn)
    first = await desk.preview_agents(target.arn, limit=1)
    rest = await desk.preview_agents(target.arn, token=first.next_token, limit=9)
    assert [agent.agent_id for agent in first.items + rest.items] == ["i-1", "i-3"]
    everyone = await desk.create_target("all")
    assert len((await desk.preview_agents(everyone.arn)).items) == 4
