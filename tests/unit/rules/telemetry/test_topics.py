import pytest

from rules.telemetry import topics


@pytest.mark.parametrize("agent_id", ["i-0abc", "A_b-9", "x", "a" * 128])
def test_a_telemetry_topic_comes_back_as_partition_and_agent(agent_id: str) -> None:
    topic = topics.telemetry_topic(agent_id)
    partition = topics.partition_of(agent_id)
    assert topic == f"proctor/v1/telemetry/{partition}/{agent_id}"
    assert topics.parse_telemetry(topic) == (partition, agent_id)
    assert 0 <= partition < topics.PARTITIONS


def test_partitions_never_change() -> None:
    assert [topics.partition_of(name) for name in ("i-1", "i-2", "web", "db")] == [40, 18, 17, 40]


def test_agents_spread_over_all_partitions() -> None:
    assert len({topics.partition_of(f"i-{number}") for number in range(1_000)}) == 64


def test_a_topic_of_another_partition_is_none() -> None:
    right = topics.partition_of("i-1")
    others = [n for n in range(100) if n != right]
    assert all(topics.parse_telemetry(f"proctor/v1/telemetry/{n}/i-1") is None for n in others)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "proctor/v1/telemetry/i-1",
        "proctor/v1/telemetry/040/i-1",
        "proctor/v1/telemetry/٤٠/i-1",
        "proctor/v1/telemetry/40/i-1/x",
        "proctor/v1/telemetry/40/i-1\n",
        "proctor/v1/telemetry/40/",
        "proctor/v1/telemetry/40/i.1",
        "proctor/v2/telemetry/40/i-1",
        "x/proctor/v1/telemetry/40/i-1",
        "proctor/v1/status/i-1",
    ],
)
def test_other_topics_are_no_telemetry(topic: str) -> None:
    assert topics.parse_telemetry(topic) is None


def test_status_topics() -> None:
    assert topics.status_topic("i-1") == "proctor/v1/status/i-1"
    assert topics.parse_status("proctor/v1/status/i-1") == "i-1"
    assert topics.parse_status("proctor/v1/status/i.1") is None
    assert topics.parse_status("proctor/v1/control/i-1") is None


def test_topics_to_an_agent() -> None:
    assert topics.ack_topic("i-1") == "proctor/v1/ack/i-1"
    assert topics.control_topic("i-1") == "proctor/v1/control/i-1"


@pytest.mark.parametrize("text", ["", "a b", "a.b", "a/b", "a#", "a+", "é", "a\n", "a" * 129])
def test_ids_hold_no_separators(text: str) -> None:
    assert not topics.is_agent_id(text)
