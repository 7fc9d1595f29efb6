"""How long after an event can its provisional finding be read, while the run goes on?

Real agents with default settings send over the embedded broker to ``proctor serve``; only their
sensors are a script. Now and then a process logs in by Telnet (a rule on single events) and asks
the metadata service once too often (a rule on a window), both at the same moment. The lag is from
that moment to the moment at which the store shows one finding more of that rule, which is what
``proctor runs list`` and ``--watch`` read. Each host is a run of its own, so that the n-th finding
is that of the n-th moment. Once nothing else happens, once among thousands of harmless events a
second.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from analyzer.ingest.segments import read_segments, segments_of
from analyzer.model import RunState
from analyzer.store import open_store
from benchmarks.lag_hosts import TAG, Host, running
from benchmarks.reports import make_parser, read_report, write_report
from rules.telemetry.wire import decode_any
from tests.aws_server import AwsServer, aws_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analyzer.store import Store

GOAL_S: Final = 3.0
SEED: Final = 7
GAPS_S: Final = (0.5, 2.5)  # between two violations on one host
RULES: Final = {"windowless": "Medium", "windowed": "High"}  # by the severity that counts them
RATES: Final = {"idle": 0, "loaded": 2_500}  # harmless events a second on each host
LOOK_S: Final = 0.05  # between looks at the store; in the figures
READY_S: Final = 60
_US: Final = 1_000_000


@dataclass
class Watch:
    """What is seen of one run: when each of its findings was first there."""

    run_id: str
    host: Host
    seen_us: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in RULES})

    def look(self, findings: dict[str, int], now_us: int) -> None:
        """Note what is new."""
        for name, severity in RULES.items():
            seen = self.seen_us[name]
            seen += [now_us] * (findings.get(severity, 0) - len(seen))

    def is_complete(self) -> bool:
        """Tell whether every finding was seen."""
        return all(len(seen) >= len(self.host.moments) for seen in self.seen_us.values())

    def lags_s(self, name: str) -> list[float]:
        """Return the lag of each finding of a rule."""
        pairs = zip(self.seen_us[name], self.host.moments, strict=True)
        return [(seen_us - at_us) / _US for seen_us, at_us in pairs]


def moments(rng: Random, *, from_us: int, times: int) -> list[int]:
    """Return when something violates."""
    found, at_us = [], from_us
    for _ in range(times):
        at_us += round(rng.uniform(*GAPS_S) * _US)
        found.append(at_us)
    return found


def start_run(server: AwsServer, host: Host) -> str:
    """Start a run of one host through the AWS API; return its id."""
    client = server.client()
    packages = client.list_rules_packages()["rulesPackageArns"]
    tags = [{"key": TAG, "value": host.agent_id}]
    group = client.create_resource_group(resourceGroupTags=tags)["resourceGroupArn"]
    target = client.create_assessment_target(
        assessmentTargetName=host.agent_id, resourceGroupArn=group
    )
    template = client.create_assessment_template(
        assessmentTargetArn=target["assessmentTargetArn"],
        assessmentTemplateName=host.agent_id,
        durationInSeconds=3_600,
        rulesPackageArns=packages,
    )
    run = client.start_assessment_run(assessmentTemplateArn=template["assessmentTemplateArn"])
    return str(run["assessmentRunArn"].rpartition("/")[2])


async def until_online(store: Store, hosts: Sequence[Host]) -> None:
    """Return when the server knows every agent."""
    wanted = {host.agent_id for host in hosts}
    async with asyncio.timeout(READY_S):
        while True:
            if wanted <= {each.agent_id for each in await store.agents() if each.is_online}:
                return
            await asyncio.sleep(LOOK_S)


async def until_collecting(store: Store, watches: Iterable[Watch]) -> None:
    """Return when every run collects."""
    wanted = {watch.run_id for watch in watches}
    async with asyncio.timeout(READY_S):
        while True:
            runs = await store.active_runs()
            if wanted <= {run.id for run in runs if run.state is RunState.COLLECTING_DATA}:
                return
            await asyncio.sleep(LOOK_S)


async def observe(store: Store, watches: Sequence[Watch]) -> None:
    """Look at the store until every finding was seen.

    Raises:
        SystemExit: One did not come.
    """
    last_us = max(watch.host.moments[-1] for watch in watches)
    by_run = {watch.run_id: watch for watch in watches}
    while not all(watch.is_complete() for watch in watches):
        for run in await store.active_runs():
            by_run[run.id].look(run.progress.findings, time.time_ns() // 1_000)
        if time.time_ns() // 1_000 > last_us + READY_S * _US:
            missing = {id_: list(map(len, each.seen_us.values())) for id_, each in by_run.items()}
            raise SystemExit(f"after a minute there are only {missing} findings")
        await asyncio.sleep(LOOK_S)


def arrivals_s(server: AwsServer, watch: Watch) -> list[float]:
    """Return how long each violation took until the analyzer had its batch."""
    moments_us, found = watch.host.moments, []
    for stored in read_segments(segments_of(server.data.runs, watch.run_id)):
        header = decode_any(stored.record.payload).header
        first, last = (bisect_left(moments_us, at_us) for at_us in (header.from_us, header.to_us))
        found += [(stored.record.received_us - at_us) / _US for at_us in moments_us[first:last]]
    return found


async def measure(server: AwsServer, folder: Path, *, load: str, hosts: int, times: int) -> Any:  # noqa: ANN401 (JSON)
    """Return the figures of one load."""
    rng = Random(SEED)
    made = [Host(f"i-{number:04d}", events_per_s=RATES[load]) for number in range(hosts)]
    store = await open_store(server.data.database())
    try:
        async with running(made, broker_url=server.note.broker_url, folder=folder):
            await until_online(store, made)
            watches = [
                Watch(await asyncio.to_thread(start_run, server, host), host) for host in made
            ]
            await until_collecting(store, watches)
            for host in made:
                host.moments = moments(rng, from_us=time.time_ns() // 1_000, times=times)
            await observe(store, watches)
    finally:
        await store.close()
    came = [lag for watch in watches for lag in await asyncio.to_thread(arrivals_s, server, watch)]
    figures = {
        name: spread([lag for watch in watches for lag in watch.lags_s(name)]) for name in RULES
    }
    return {
        "load": load,
        "hosts": hosts,
        "harmless_events_per_s": hosts * RATES[load],
        "violations": hosts * times,
        "to_analyzer_s": spread(came),
        "to_finding_s": figures,
    }


def spread(lags_s: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and the greatest of some times."""
    cuts = statistics.quantiles(lags_s, n=20)
    return {
        "p50": round(statistics.median(lags_s), 2),
        "p95": round(cuts[18], 2),
        "max": round(max(lags_s), 2),
    }


def show(figures: dict[str, Any]) -> None:
    """Print the figures of one load."""
    rate = f"{figures['harmless_events_per_s']:,} other events/s"
    print(f"{figures['load']}: {figures['violations']} violations, {rate}")
    rows = {"event to analyzer": figures["to_analyzer_s"]}
    rows |= {f"event to {name} finding": row for name, row in figures["to_finding_s"].items()}
    for name, row in rows.items():
        print(f"  {name:28} p50 {row['p50']:.2f} s  p95 {row['p95']:.2f} s  max {row['max']:.2f} s")


def main() -> None:
    """Measure, print, and write the report."""
    parser = make_parser(__doc__, "lag")
    what = "one load alone; the report keeps what it has of the other"
    parser.add_argument("--only", choices=sorted(RATES), help=what)
    options = parser.parse_args()
    hosts, times = (2, 10) if options.quick else (4, 90)
    before = read_report(options, "lag").get("loads", []) if options.only else []
    by_load = {each["load"]: each for each in before}
    for load in RATES:
        if options.only in (None, load):
            with tempfile.TemporaryDirectory() as folder, aws_server(Path(folder)) as server:
                agents = Path(folder) / "agents"
                work = measure(server, agents, load=load, hosts=hosts, times=times)
                by_load[load] = asyncio.run(work)
            show(by_load[load])
    measured = [by_load[load] for load in RATES if load in by_load]
    worst = max(row["p95"] for each in measured for row in each["to_finding_s"].values())
    print(f"goal: p95 of {GOAL_S:.1f} s, {'reached' if worst <= GOAL_S else 'missed'}: {worst} s")
    write_report(options, __doc__, "lag", goal_p95_s=GOAL_S, look_every_s=LOOK_S, loads=measured)


if __name__ == "__main__":
    main()
