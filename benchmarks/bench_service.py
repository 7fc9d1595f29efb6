"""How fast does the AWS API answer over a million findings, on SQLite and on PostgreSQL?

Findings of 20 runs are inserted in bulk; then ListFindings with each kind of filter and
DescribeFindings of 10 and of 100 are called in this process, without HTTP. Last, a served process
is asked over HTTP with signed requests. ``make bench-service`` runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Any

from analyzer.access import CredentialsFile
from analyzer.arns import Arns, run_arn, template_arn
from analyzer.assessments import Assessments
from analyzer.aws.operations.findings import FindingOperations
from analyzer.model import FindingRow, Run, RunState, Tag, Target, Template
from analyzer.store import Store, open_store
from benchmarks.reports import make_parser, read_report, write_report
from rules.loader import load_packages
from rules.telemetry.clock import ManualClock
from tests.aws_calls import Asking, sign
from tests.aws_server import AwsServer, aws_server
from tests.databases import new_postgresql_database

DATABASES = ("sqlite", "postgresql")
RUNS = 20
HOSTS = 500
RULES = 40
SEVERITIES = (("High", 9), ("Medium", 6), ("Low", 3), ("Informational", 0))
S = 1_000_000
SEED = 7
CONNECTIONS = 4
Call = Callable[[Mapping[str, Any]], Awaitable[Any]]


def finding(rng: Random, run: str, number: int, at_us: int) -> FindingRow:
    """Return a finding as large as those of the shipped rules."""
    severity, numeric = SEVERITIES[min(3, int(rng.expovariate(1.0)))]
    rule = rng.randrange(RULES)
    return FindingRow(
        id=f"0-{number:08d}",
        run_arn=run,
        package="runtime-behavior" if rule % 2 else "aws-endpoints",
        rule=f"rule-{rule}",
        agent_id=f"i-{rng.randrange(HOSTS):05d}",
        hostname="ip-10-0-4-12",
        auto_scaling_group=f"group-{rng.randrange(20)}",
        host_tags={"env": "prod", "team": "web"},
        severity=severity,
        numeric_severity=numeric,
        title="telnet logged in to 10.9.8.7 port 23 in the clear",
        description="d" * 300,
        recommendation="r" * 200,
        attributes=(Tag("PORT", str(rng.randrange(1_000))), Tag("PROCESS", "telnet")),
        user_attributes=(Tag("team", f"t-{rng.randrange(50)}"),),
        created_us=at_us,
        updated_us=at_us,
        occurrence_id=f"{number:032d}",
        issue_id=f"{number:032d}",
        body="{}",
    )


async def fill(store: Store, findings: int) -> tuple[list[str], float]:
    """Insert findings of 20 runs; return the ARNs of the runs, and rows a second."""
    rng = Random(SEED)
    target = Arns().target("0-AAAAAAAA")
    template = template_arn(target, "0-BBBBBBBB")
    async with store.writing() as rows:
        await rows.targets.add(Target(target, "t", None, 0, 0))
        made = Template(arn=template, target_arn=target, name="t", duration_s=180, packages=())
        await rows.templates.add(made)
    arns, spent_s, each = [], 0.0, findings // RUNS
    for number in range(RUNS):
        id_ = f"0-{number:08d}"
        run = Run(id_, id_, 180, (), number, arn=run_arn(template, id_), template_arn=template)
        run = run.entered(RunState.COMPLETED, (number + 1) * 3_600 * S)
        items = [
            finding(rng, run.arn, each * number + n, run.state_changed_us) for n in range(each)
        ]
        begin = time.perf_counter()
        await store.add_run(run)
        await store.finish_run(run, b"{}", items)
        spent_s += time.perf_counter() - begin
        arns.append(run.arn)
    return arns, each * RUNS / spent_s


def filters(runs: list[str]) -> dict[str, dict[str, Any]]:
    """Return what is asked: every member of the filter alone, and some together."""
    return {
        "none": {},
        "one run": {"assessmentRunArns": [runs[3]]},
        "run and severity": {
            "assessmentRunArns": [runs[3]],
            "filter": {"severities": ["Medium"]},
        },
        "severity": {"filter": {"severities": ["Informational"]}},
        "agent": {"filter": {"agentIds": ["i-00007"]}},
        "99 agents": {"filter": {"agentIds": [f"i-{n:05d}" for n in range(99)]}},
        "rule": {"filter": {"ruleNames": ["rule-3"]}},
        "auto scaling group": {"filter": {"autoScalingGroups": ["group-3"]}},
        "attribute": {"filter": {"attributes": [{"key": "PORT", "value": "443"}]}},
        "user attribute": {"filter": {"userAttributes": [{"key": "team", "value": "t-7"}]}},
        "time": {"filter": {"creationTimeRange": {"beginDate": 0, "endDate": 2 * 3_600 * S}}},
        "agent, rule, severity": {
            "filter": {
                "agentIds": ["i-00007"],
                "ruleNames": ["rule-3"],
                "severities": ["High"],
            }
        },
        "nothing matches": {"filter": {"ruleNames": ["no-such-rule"]}},
        "99 agents and rule": {
            "filter": {
                "agentIds": [f"i-{n:05d}" for n in range(99)],
                "ruleNames": ["rule-3"],
            }
        },
        "rule of another package": {
            "filter": {
                "ruleNames": ["rule-3"],
                "rulesPackageArns": [Arns().rules_package("aws-endpoints")],
            }
        },
        "two runs, both attributes": {
            "assessmentRunArns": [runs[0], runs[-1]],
            "filter": {
                "attributes": [{"key": "PROCESS", "value": "telnet"}],
                "userAttributes": [{"key": "team", "value": "t-7"}],
            },
        },
        "user attribute without group": {
            "filter": {
                "userAttributes": [{"key": "team", "value": "t-7"}],
                "autoScalingGroups": ["no-such-group"],
            }
        },
        "three that never meet": {
            "filter": {
                "userAttributes": [{"key": "team", "value": "t-7"}],
                "autoScalingGroups": [f"group-{n}" for n in range(20)],
                "severities": ["Undefined", "Informational"],
                "creationTimeRange": {"beginDate": 0, "endDate": 3_600 * S},
            }
        },
    }


async def latencies(call: Call, request: Mapping[str, Any], times: int) -> dict[str, float]:
    """Return p50 and p95 in milliseconds."""
    await call(request)
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        await call(request)
        spent.append((time.perf_counter() - begin) * 1e3)
    cuts = statistics.quantiles(spent, n=20)
    return {"p50_ms": round(statistics.median(spent), 2), "p95_ms": round(cuts[18], 2)}


async def measure(place: Path | str, findings: int, times: int) -> dict[str, Any]:
    """Return the figures of one database."""
    store = await open_store(place)
    try:
        runs, rows_per_s = await fill(store, findings)
        desk = Assessments(store, arns=Arns(), packages=load_packages(), clock=ManualClock(0))
        operations = FindingOperations(desk)
        listed = {}
        for name, request in filters(runs).items():
            asked = {"maxResults": 100, **request}
            listed[name] = await latencies(operations.list_findings, asked, times)
        first = await operations.list_findings({"maxResults": 100})
        second = {"maxResults": 100, "nextToken": first["nextToken"]}
        listed["second page"] = await latencies(operations.list_findings, second, times)
        described = {
            number: await latencies(
                operations.describe_findings, {"findingArns": first["findingArns"][:number]}, times
            )
            for number in (10, 100)
        }
    finally:
        await store.close()
    return {"insert_rows_per_s": round(rows_per_s), "list": listed, "describe": described}


def requests_per_second(server: AwsServer, operation: str, seconds: float) -> float:
    """Return how many signed requests a second a served process answers on four connections."""
    key = CredentialsFile(server.data.credentials).read()[0]
    host = server.note.api_url.removeprefix("http://")

    def ask(_: int) -> int:
        asking = Asking(operation, b"{}", headers={"Host": host})
        headers = sign(asking, key, at=datetime.now(UTC))
        connection = http.client.HTTPConnection(host)
        done, deadline = 0, time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            connection.request("POST", "/", asking.body, headers)
            reply = connection.getresponse()
            reply.read()
            if reply.status != HTTPStatus.OK:
                raise SystemExit(f"{operation} was answered with {reply.status}")
            done += 1
        return done

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(ask, range(CONNECTIONS))) / seconds


def show(name: str, figures: Mapping[str, Any]) -> None:
    """Print the figures of one database."""
    print(f"{name}: {figures['insert_rows_per_s']:,} findings a second inserted")
    rows = {f"list, {key}": value for key, value in figures["list"].items()}
    rows |= {f"describe {key}": value for key, value in figures["describe"].items()}
    for key, value in rows.items():
        print(f"  {key:28} p50 {value['p50_ms']:8.2f} ms   p95 {value['p95_ms']:8.2f} ms")


def main() -> None:
    """Measure, print, and write the report."""
    parser = make_parser(__doc__, "service")
    parser.add_argument("--findings", type=int, default=1_000_000)
    what = "one database alone; the report keeps what it has of the other"
    parser.add_argument("--only", choices=DATABASES, help=what)
    options = parser.parse_args()
    before = read_report(options, "service") if options.only else {}
    findings, times, seconds = (20_000, 30, 2.0) if options.quick else (options.findings, 200, 10.0)
    with tempfile.TemporaryDirectory() as folder:
        others = {name: before[name] for name in DATABASES if name in before}
        own = databases(options, Path(folder), findings, times)
        measured = {"findings": findings, **others, **own}
        with aws_server(Path(folder)) as server:
            measured["requests_per_s"] = {
                name: round(requests_per_second(server, name, seconds))
                for name in ("ListRulesPackages", "ListFindings")
            }
    print(f"signed requests a second on {CONNECTIONS} connections: {measured['requests_per_s']}")
    write_report(options, __doc__, "service", **measured)


def databases(
    options: argparse.Namespace, folder: Path, findings: int, times: int
) -> dict[str, Any]:
    """Return the figures of each database."""
    measured = {}
    for name in DATABASES:
        if options.only in (None, name):
            place = folder / "bench.db" if name == "sqlite" else new_postgresql_database()
            measured[name] = asyncio.run(measure(place, findings, times))
            show(name, measured[name])
    return measured


if __name__ == "__main__":
    main()
