import argparse
from pathlib import Path

import msgspec
import pytest

from benchmarks.bench_engine import deciding_arguments
from benchmarks.fleet.shape import parse_events
from benchmarks.fleet.store import default_folder
from benchmarks.judging.others import measure_peer
from benchmarks.judging.ours import measure_memory, measure_ours, measure_profile, measure_wire
from benchmarks.judging.spread import measure_workers
from benchmarks.judging.suite import EngineRow, OwnRow
from benchmarks.judging.tables import engine_table, own_table, told
from benchmarks.judging.task import Measured, Task, run_task


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = str(tmp_path_factory.mktemp("fleet"))
    return Task(
        what="ours", events=3_000, folder=folder, violating=50, fleet_hosts=2, rounds=1, slice=500
    )


@pytest.fixture(scope="module")
def ours(task: Task) -> Measured:
    return measure_ours(task)


def _row(**changes: object) -> EngineRow:
    measured = Measured(events=1_000, judge_s=2.0)
    row = EngineRow(engine="Other 1.0", rules=40, kinds="all", measured=measured, ours=5_000.0)
    return msgspec.structs.replace(row, **changes)


def test_every_event_is_judged(ours: Measured, task: Task) -> None:
    assert ours.events == task.events
    assert sum(ours.counts.values()) > 0
    assert 0 < ours.conclude_s < ours.judge_s


def test_wire_messages_come_to_the_same(ours: Measured, task: Task) -> None:
    assert measure_wire(task).counts == ours.counts


def test_stream_comes_to_the_same(ours: Measured, task: Task) -> None:
    assert measure_memory(task).counts == ours.counts


def test_two_workers_come_to_the_same(ours: Measured, task: Task) -> None:
    assert measure_workers(task).counts == ours.counts


def test_profile_names_functions(task: Task) -> None:
    lines = measure_profile(task).lines
    assert any("% analyzer/engine/" in line for line in lines)
    assert any("tottime" in line for line in lines)


def test_peer_is_measured_with_rules_that_it_can_judge(ours: Measured, task: Task) -> None:
    name = "generated Python function"
    measured = measure_peer(msgspec.structs.replace(task, peer=name, kinds=("event",)))
    assert measured.counts == {rule: ours.counts[rule] for rule in measured.counts}
    assert measured.engine.startswith(name)


def test_task_in_another_process_tells_its_problem(task: Task) -> None:
    wrong = msgspec.structs.replace(task, what="peer", peer="nobody", core=None)
    assert "StopIteration" in run_task(wrong, limit_s=60).problem


def test_task_over_its_limit_is_told(task: Task) -> None:
    assert run_task(task, limit_s=0.01).problem == "over the limit of 0.1 s"
    long = msgspec.structs.replace(task, events=500_000, violating=3_700, core=None)
    assert run_task(long, limit_s=1).problem == "over the limit of 1 s of CPU"


def test_row_is_told_in_a_few_words() -> None:
    assert told(_row()) == "0.0005 M events/s, ours is 10.0x"
    assert told(_row(measured=Measured(problem="not installed"))) == "not installed"
    assert told(_row(different={"rule": (1, 2)})).endswith("counts differ")


def test_table_shows_how_many_times_as_many_events() -> None:
    line = engine_table([_row()]).splitlines()[2]
    assert "10.0x" in line
    assert "yes" in line


def test_table_shows_no_ratio_where_counts_differ() -> None:
    text = engine_table([_row(different={"port-scan": (3, 4)})])
    assert "10.0x" not in text
    assert "NO, 1 rules differ" in text
    assert "port-scan: 3 groups, ours 4" in text


def test_table_says_why_a_peer_was_not_measured() -> None:
    text = engine_table([_row(measured=Measured(problem="not installed: pip install other"))])
    assert "pip install other" in text


def test_own_table_tells_feeding_apart() -> None:
    measured = Measured(events=8_000_000, judge_s=4.0, set_up_s=2.0, conclude_s=1.0, slices=1_000)
    cells = _cells(own_table([OwnRow("host after host", 40, measured)]))
    assert cells[:8] == ["host after host", "40", "8,000,000", "2", "8", "1,000", "2.00", "1.00"]


def test_own_table_says_what_went_wrong() -> None:
    cells = _cells(own_table([OwnRow("two workers", 40, Measured(problem="over the limit"))]))
    assert cells[-1] == "over the limit"


def _cells(table: str) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]


@pytest.mark.parametrize("text", ["10000000", "10e6", "10M", "10m", "10000k"])
def test_events_may_be_written_short(text: str) -> None:
    assert parse_events(text) == 10_000_000


@pytest.mark.parametrize("text", ["0", "1.5"])
def test_part_of_an_event_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_events(text)


def test_folder_of_data_is_outside_of_the_repository() -> None:
    assert Path(__file__).parents[3] not in default_folder().parents


def test_report_names_no_places() -> None:
    given = ["--events", "10M", "--json", "x.json", "--data=/d", "--quick", "--own"]
    assert list(deciding_arguments(given)) == ["--events", "10M", "--own"]
