import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

import analyzer.engine.window_kernels  # noqa: F401 (reads files: not while a loop runs)
from analyzer.check import Assessment, Checked, Host, this_host
from analyzer.errors import AnalyzerError
from analyzer.present import RunStatus
from analyzer.results.document import to_json
from rules.loader import Package
from rules.telemetry.batch import Event, Process
from rules.telemetry.clock import ManualClock, SystemClock
from tests.collectors import ScriptedCollector
from tests.judging import ABSENCE, package, rule
from tests.telemetry_batches import SECOND_US, connection

START_US = 1_763_955_300 * SECOND_US
HOST = Host("i-1", "web-1")
RULES = [
    package(
        rule(),
        rule("unused-port", ABSENCE, severity="Low", summary="{process_name} {local_port}"),
        rule("tls", {"kind": "event", "select": {"telemetry": "tls_session"}}, summary="tls"),
    )
]


def at(second: float) -> int:
    return START_US + round(second * SECOND_US)


def listener(second: float, port: int) -> Event:
    values = {"protocol": "tcp", "local_port": port, "state": "present"}
    return Event("listener", at(second), Process(7, name="redis"), values)


class Trial:
    """An assessment of a scripted host on a clock that only waiting moves."""

    def __init__(self, events: Iterable[Event], packages: list[Package] | None = None) -> None:
        self.clock = ManualClock(START_US)
        self.statuses: list[RunStatus] = []
        self.stop = asyncio.Event()
        self.stop_after_s: float | None = None
        self.collector = ScriptedCollector(
            events,
            clock=self.clock,
            kinds=["connection", "listener"],
            on_wait=self.clock.advance,
        )
        self.assessment = Assessment(
            self.collector,
            clock=self.clock,
            host=HOST,
            packages=RULES if packages is None else packages,
            duration_s=10,
        )

    async def run(self) -> Checked:
        await self.assessment.start()
        return await self.assessment.run(self.stop, self._told)

    def _told(self, status: RunStatus) -> None:
        self.statuses.append(status)
        if self.stop_after_s is not None and status.elapsed_s >= self.stop_after_s:
            self.stop.set()


async def test_host_is_assessed_for_the_whole_time() -> None:
    trial = Trial([connection(at(1)), connection(at(9.999)), connection(at(10)), listener(2, 6379)])
    checked = await trial.run()
    result = checked.result
    assert (result.run.from_us, result.run.to_us) == (START_US, at(10))
    assert [(item.rule, item.count) for item in result.findings] == [
        ("telnet-used", 2),
        ("unused-port", 1),
    ]
    assert [(item.rule, item.outcome, item.coverage) for item in result.outcomes] == [
        ("telnet-used", "findings", 1),
        ("tls", "not_evaluated", 0),
        ("unused-port", "findings", 1),
    ]
    (host,) = result.hosts
    assert (host.agent_id, host.hostname, host.events) == ("i-1", "web-1", 3)
    assert (checked.processes, checked.interrupted) == (2, False)
    assert trial.collector.started == [frozenset({"connection", "listener", "tls_session"})]
    assert trial.collector.stops == 1


async def test_findings_show_while_the_run_goes_on() -> None:
    trial = Trial([connection(at(1)), connection(at(5), remote_port=24)])
    await trial.run()
    first, *_, last = trial.statuses
    assert (first.elapsed_s, first.total_s, first.events, first.findings) == (0, 10, 0, 0)
    assert (last.elapsed_s, last.events, last.findings) == (10, 2, 2)
    assert [status.findings for status in trial.statuses if 2.5 < status.elapsed_s < 5] == [1] * 4


async def test_stopping_early_judges_what_was_seen() -> None:
    trial = Trial([connection(at(1)), connection(at(7)), listener(2, 6379)])
    trial.stop_after_s = 4
    checked = await trial.run()
    assert checked.interrupted
    assert checked.result.run.to_us == at(4)
    assert checked.result.summary.events == 2
    assert [item.coverage for item in checked.result.outcomes] == [1, 0, 1]
    assert len(checked.result.findings) == 2


async def test_stopping_at_once_is_a_run_of_no_length() -> None:
    trial = Trial([connection(at(1))])
    trial.stop.set()
    checked = await trial.run()
    assert checked.result.summary.events == 0
    assert checked.result.findings == ()


async def test_losses_of_a_sensor_reach_the_ledger() -> None:
    trial = Trial([listener(2, 6379)])
    trial.collector.lost = {"enobufs": 3}
    outcomes = {item.rule: item for item in (await trial.run()).result.outcomes}
    assert outcomes["unused-port"].outcome == "not_evaluated"
    assert "3 events lost (enobufs)" in str(outcomes["unused-port"].reason)
    assert outcomes["telnet-used"].outcome == "clean"


async def test_collector_is_stopped_when_it_fails() -> None:
    trial = Trial([])
    trial.collector.fault = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await trial.run()
    assert trial.collector.stops == 1


async def test_same_telemetry_gives_the_same_bytes() -> None:
    events = [connection(at(1)), connection(at(1), remote_port=99), listener(2, 6379)]
    first, second = await Trial(events).run(), await Trial(events[::-1]).run()
    assert to_json(first.result) == to_json(second.result)


async def test_rules_without_telemetry_are_known_from_the_start() -> None:
    trial = Trial([])
    await trial.assessment.start()
    assert trial.assessment.blind_rules() == {"tls": "tls_session was not collected on this host"}
    assert [report.state for report in trial.assessment.reports] == ["on"]


@pytest.mark.allow_blocking
async def test_rules_beyond_the_sight_of_sensors_are_known_too() -> None:
    """The probe sees inbound TLS only."""
    outbound = {
        "kind": "event",
        "select": {"telemetry": "tls_session", "where": {"direction": "outbound"}},
    }
    trial = Trial([], [package(rule("out", outbound, summary="s"), rule("any"))])
    trial.collector._kinds = frozenset({"connection", "tls_session"})
    await trial.assessment.start()
    assert trial.assessment.blind_rules() == {}
    report = trial.assessment.reports[0]
    object.__setattr__(report, "name", "probe")
    trial.collector.reports = lambda: [report]  # type: ignore[method-assign]
    assert set(trial.assessment.blind_rules()) == {"out"}


def test_this_host_is_known_by_the_settings_of_its_agent(tmp_path: Path) -> None:
    environ = {"PROCTOR_AGENT_AGENT_ID": "i-web", "PROCTOR_AGENT_STATE_DIR": str(tmp_path)}
    host, _ = this_host(environ, SystemClock())
    assert host.agent_id == "i-web"


def test_this_host_needs_no_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.identity._machine_id", lambda _: None)
    monkeypatch.setattr("analyzer.check.hostname", lambda: "my host.local")
    (tmp_path / "file").touch()
    environ = {"PROCTOR_AGENT_STATE_DIR": str(tmp_path / "file")}
    assert this_host(environ, SystemClock())[0] == Host("my-host-local", "my host.local")


def test_wrong_settings_of_the_agent_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnalyzerError, match="no_such"):
        this_host({"PROCTOR_AGENT_NO_SUCH": "1"}, SystemClock())
    with pytest.raises(AnalyzerError, match="no such file"):
        this_host({"PROCTOR_AGENT_CONFIG": str(tmp_path / "none")}, SystemClock())
