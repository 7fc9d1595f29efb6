"""A whole assessment over two hosts, one of which dies: AWS API, broker, agents, topics, report.

Two real agents, each on a host of its own (a network namespace) with a tag; boto3 drives the run.
One host breaks rules for all of the run. The other agent is killed when collection begins, and then
its host breaks a rule that nobody may see: an agent that did would have looked beyond its host.
Kernel events are off, because they show all namespaces of a kernel, and these hosts share theirs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.request import urlopen

import pytest

from analyzer.demo import sample_traffic
from analyzer.model import CLEAN_RULE
from analyzer.results.exclusions import NOT_EVALUATED, SILENT
from tests.aws_server import AwsServer, Client, aws_server, wait_until
from tests.namespaces import Host, hosts
from tests.topics_server import CREDENTIALS, Topic, topics_server

pytestmark = [pytest.mark.timeout(400), pytest.mark.allow_blocking]
EVENTS = (
    "ASSESSMENT_RUN_STARTED",
    "ASSESSMENT_RUN_STATE_CHANGED",
    "FINDING_REPORTED",
    "ASSESSMENT_RUN_COMPLETED",
)
STATES = [
    "CREATED",
    "START_DATA_COLLECTION_PENDING",
    "START_DATA_COLLECTION_IN_PROGRESS",
    "COLLECTING_DATA",
    "STOP_DATA_COLLECTION_PENDING",
    "DATA_COLLECTED",
    "START_EVALUATING_RULES_PENDING",
    "EVALUATING_RULES",
    "COMPLETED_WITH_ERRORS",
]
TAG = {"key": "fleet", "value": "shop"}
WITHIN_S = 200  # on a machine that is ten times slower than ours


class Hook(BaseHTTPRequestHandler):
    """A webhook that refuses the first request, and keeps all."""

    bodies: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(json.loads(body))
        self.send_response(500 if len(self.bodies) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Scene:
    """The server, its hosts, and who is told."""

    server: AwsServer
    web: Host
    mute: Host
    topic: Topic
    told: list[dict[str, Any]] = field(default_factory=list)

    def agent(self, host: Host) -> Any:  # noqa: ANN401 (a process)
        """Start the agent of a host and return its process."""
        port = self.server.note.broker_url.rpartition(":")[2]
        options = {
            "--agent-id": f"i-{host.name}",
            "--tag": f"{TAG['key']}={TAG['value']}",
            "--broker-url": f"mqtt://{host.gateway}:{port}",
            "--state-dir": str(self.server.folder / host.name),
            "--batch-max-age-s": "0.5",
            "--batch-idle-age-s": "1",
            "--heartbeat-interval-s": "2",
        }
        words = [word for pair in options.items() for word in pair]
        command = [sys.executable, "-m", "agent.cli", "run", "--no-perf", *words]
        return self.server.start(host.name, host.inside(command))

    def traffic(self, name: str, host: Host | None, *words: str) -> None:
        """Let a host, or whatever is around them, serve and call."""
        command = [sys.executable, "-m", sample_traffic.__name__, *words]
        self.server.start(name, host.inside(command) if host else command)
        log = self.server.folder / f"{name}.log"
        wait_until(lambda: "ready" in log.read_text(), name, log, within_s=WITHIN_S)

    def messages(self) -> list[dict[str, Any]]:
        """Return what the topic was told until now."""
        while new := self.topic.messages(1):
            self.told += new
        return self.told


@pytest.fixture
def scene(tmp_path: Path, service: Callable[[str], Path]) -> Iterator[Scene]:
    service("nats-server")
    with ExitStack() as stack:
        web, mute = stack.enter_context(hosts("web", "mute"))
        topics = stack.enter_context(topics_server())
        reaches = {**CREDENTIALS, "AWS_ENDPOINT_URL_SNS": topics.url}
        places = ("--mqtt-listen", "0.0.0.0:0")  # this network has no other hosts
        server = stack.enter_context(aws_server(tmp_path, *places, reaches=reaches))
        yield Scene(server, web, mute, topics.topic("shop"))


@contextmanager
def hook() -> Iterator[str]:
    """Yield the URL of the webhook."""
    Hook.bodies.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as receiver:
        thread = Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{receiver.server_port}/"
        finally:
            receiver.shutdown()
            thread.join()


def test_run_over_two_hosts_of_which_one_falls_silent(scene: Scene) -> None:
    with hook() as url:
        events = [word for event in EVENTS for word in ("--event", route_event(event))]
        scene.server.proctor("notify", "add", "hook", "--webhook", url, *events)
        client = scene.server.client()
        play(scene)
        run = assess(scene, client, make_template(scene, client))
        check_hosts(client, run["arn"])
        findings = check_findings(scene, client, run)
        check_exclusions(scene, client, run["arn"])
        check_topic(scene, run, findings)
        check_hook(run, findings)
        check_report(client, run["arn"])


def route_event(event: str) -> str:
    """Return an event of Inspector as the command line has it."""
    return event.removeprefix("ASSESSMENT_").lower().replace("_", "-")


def play(scene: Scene) -> None:
    """Let the web host log in by Telnet and serve a port that nobody uses."""
    telnet, unused = f"telnet={scene.web.gateway}:23", f"unused={scene.web.address}:14321"
    chat = f"irc={scene.mute.gateway}:6667"
    scene.traffic("around", None, "--listen", telnet, "--listen", chat)
    scene.traffic("traffic", scene.web, "--listen", unused, "--call", telnet)


def make_template(scene: Scene, client: Client) -> str:
    group = client.create_resource_group(resourceGroupTags=[TAG])["resourceGroupArn"]
    target = client.create_assessment_target(assessmentTargetName="shop", resourceGroupArn=group)[
        "assessmentTargetArn"
    ]
    template: str = client.create_assessment_template(
        assessmentTargetArn=target,
        assessmentTemplateName="weekly",
        durationInSeconds=180,
        rulesPackageArns=client.list_rules_packages()["rulesPackageArns"],
    )["assessmentTemplateArn"]
    for event in EVENTS:
        client.subscribe_to_event(resourceArn=template, event=event, topicArn=scene.topic.arn)
    return template


def assess(scene: Scene, client: Client, template: str) -> dict[str, Any]:
    """Return a run that has ended; the agent of one host died when collection began."""
    scene.agent(scene.web)
    doomed = scene.agent(scene.mute)
    target = template.rpartition("/template/")[0]

    def healthy() -> int:
        previews = client.preview_agents(previewAgentsArn=target)["agentPreviews"]
        return sum(preview.get("agentHealth") == "HEALTHY" for preview in previews)

    wait(lambda: healthy() == 2, "two healthy agents")
    began_s = time.monotonic()
    arn = client.start_assessment_run(assessmentTemplateArn=template)["assessmentRunArn"]
    wait(lambda: describe(client, arn)["state"] == "COLLECTING_DATA", "collection")
    doomed.kill()
    killed_s = time.monotonic()
    scene.traffic("unseen", scene.mute, "--call", f"irc={scene.mute.gateway}:6667")
    # Most of the run is to be without it, so that nothing can be said of its host.
    wait(lambda: time.monotonic() - killed_s > 3 * (killed_s - began_s), "its silence")
    seen = "InspectorTcpV4Connection"
    wait(lambda: telemetry(agents(client, arn)["i-web"]).get(seen, 0) >= 4, seen)
    client.stop_assessment_run(assessmentRunArn=arn, stopAction="START_EVALUATION")
    wait(lambda: describe(client, arn)["state"].startswith("COMPLETED"), "the end")
    return describe(client, arn)


def wait(condition: Callable[[], bool], what: str) -> None:
    wait_until(condition, what, within_s=WITHIN_S)


def describe(client: Client, arn: str) -> dict[str, Any]:
    (run,) = client.describe_assessment_runs(assessmentRunArns=[arn])["assessmentRuns"]
    return dict(run)


def agents(client: Client, arn: str) -> dict[str, dict[str, Any]]:
    listed = client.list_assessment_run_agents(assessmentRunArn=arn)["assessmentRunAgents"]
    return {agent["agentId"]: agent for agent in listed}


def telemetry(agent: dict[str, Any]) -> dict[str, int]:
    return {row["messageType"]: row["count"] for row in agent["telemetryMetadata"]}


def check_hosts(client: Client, arn: str) -> None:
    """Check how the run saw its hosts, and what they sent."""
    seen = agents(client, arn)
    assert set(seen) == {"i-web", "i-mute"}
    assert (seen["i-web"]["agentHealth"], seen["i-mute"]["agentHealth"]) == ("HEALTHY", "UNHEALTHY")
    assert seen["i-mute"]["agentHealthCode"] == "SHUTDOWN"
    web, mute = telemetry(seen["i-web"]), telemetry(seen["i-mute"])
    assert web["InspectorTcpV4Connection"] >= 4
    assert sum(mute.values()) < sum(web.values())
    total = client.get_telemetry_metadata(assessmentRunArn=arn)["telemetryMetadata"]
    assert {row["messageType"]: row["count"] for row in total}["Total"] == sum(
        [*web.values(), *mute.values()]
    )


def check_findings(scene: Scene, client: Client, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the findings by ARN; of the silent host there is at most what its files said."""
    pages = client.get_paginator("list_findings").paginate(assessmentRunArns=[run["arn"]])
    arns = [arn for page in pages for arn in page["findingArns"]]
    found = {
        finding["arn"]: finding
        for begin in range(0, len(arns), 10)
        for finding in client.describe_findings(findingArns=arns[begin : begin + 10])["findings"]
    }
    assert len(found) == len(arns) == sum(run["findingCounts"].values())
    ids = {finding["assetAttributes"]["agentId"] for finding in found.values()}
    assert "i-web" in ids <= {"i-web", "i-mute"}
    mute = [each for each in found.values() if each["assetAttributes"]["agentId"] == "i-mute"]
    assert not [each for each in mute if each["id"] == CLEAN_RULE]
    assert not [each for each in mute if attributes(each).keys() & {"REMOTE_PORT", "LOCAL_PORT"}]
    groups = [(finding["id"], attributes(finding)) for finding in found.values()]
    of_web = next(each for each in found.values() if each not in mute)["assetAttributes"]
    assert of_web["ipv4Addresses"] == [scene.web.address]
    (cable,) = of_web["networkInterfaces"]
    assert (cable["networkInterfaceId"], cable["privateIpAddress"]) == ("eth0", scene.web.address)
    logins = [values for rule, values in groups if rule == "insecure-client-login"]
    peers = {(values["REMOTE_ADDRESS"], values["REMOTE_PORT"]) for values in logins}
    assert peers == {(scene.web.gateway, "23")}
    assert [values for rule, values in groups if values.get("LOCAL_PORT") == "14321"]
    assert not [values for _, values in groups if values.get("REMOTE_PORT") == "6667"]
    return found


def attributes(finding: dict[str, Any]) -> dict[str, str]:
    return {pair["key"]: pair["value"] for pair in finding["attributes"]}


def check_exclusions(scene: Scene, client: Client, arn: str) -> None:
    """Check that the silent host is excluded, and that none of its rules came out clean."""
    arns = client.list_exclusions(assessmentRunArn=arn)["exclusionArns"]
    described = client.describe_exclusions(exclusionArns=arns)["exclusions"].values()
    about: dict[str, list[str]] = {}
    for exclusion in described:
        scopes = {scope["key"]: scope["value"] for scope in exclusion["scopes"]}
        about.setdefault(scopes["INSTANCE_ID"], []).append(exclusion["title"])
    packages = client.list_rules_packages()["rulesPackageArns"]
    assert sorted(about["i-mute"]) == sorted([SILENT, *[NOT_EVALUATED] * len(packages)])
    assert SILENT not in about.get("i-web", [])
    result = json.loads(scene.server.proctor("runs", "show", "last", "-o", "json"))
    outcomes = {(item["agent_id"], item["rule"]): item["outcome"] for item in result["outcomes"]}
    mute = {rule: outcome for (agent, rule), outcome in outcomes.items() if agent == "i-mute"}
    assert "clean" not in mute.values()
    assert mute["insecure-client-general"] == mute["insecure-client-login"] == "not_evaluated"
    assert outcomes["i-web", "insecure-client-general"] == "clean"
    hosts_of = {host["agent_id"]: host["hostname"] for host in result["hosts"]}
    assert hosts_of == {"i-web": "web", "i-mute": "mute"}


def check_topic(scene: Scene, run: dict[str, Any], findings: dict[str, dict[str, Any]]) -> None:
    """Check that the topic heard of everything once, in the words of Inspector."""
    assert [change["state"] for change in run["stateChanges"]] == STATES

    def told(event: str) -> list[dict[str, Any]]:
        return [message for message in scene.messages() if message["event"] == event]

    wait(lambda: bool(told("ASSESSMENT_RUN_COMPLETED")), "the last message")
    wait(lambda: len(told("FINDING_REPORTED")) >= len(findings), "every finding")
    wait(lambda: len(told("ASSESSMENT_RUN_STATE_CHANGED")) >= len(STATES), "every state")
    assert [message["newstate"] for message in told("ASSESSMENT_RUN_STATE_CHANGED")] == STATES
    assert len(told("ASSESSMENT_RUN_STARTED")) == len(told("ASSESSMENT_RUN_COMPLETED")) == 1
    assert sorted(message["finding"] for message in told("FINDING_REPORTED")) == sorted(findings)
    assert {message["run"] for message in scene.told if "run" in message} == {run["arn"]}
    counts = told("ASSESSMENT_RUN_COMPLETED")[0]["findingsCount"].strip("{}").split(", ")
    assert sum(int(pair.rpartition("=")[2]) for pair in counts) == len(findings)
    assert len(counts) == len(run["rulesPackageArns"])


def check_hook(run: dict[str, Any], findings: dict[str, dict[str, Any]]) -> None:
    """Check that the webhook got each event by one id, and what it refused again by the same."""
    expected = len(STATES) + len(findings) + 2

    def ids() -> list[str]:
        return [body["id"] for body in Hook.bodies]

    wait(lambda: len(set(ids())) == expected and len(ids()) > expected, "the webhook's messages")
    assert len(ids()) == expected + 1
    assert ids().count(ids()[0]) == 2
    kinds = {body["type"].rpartition("proctor.")[2] for body in Hook.bodies}
    assert kinds == {
        "assessment-run.started",
        "assessment-run.state-changed",
        "assessment-run.completed",
        "finding.reported",
    }
    subjects = {body["subject"] for body in Hook.bodies}
    assert subjects == {run["arn"], *findings}


def check_report(client: Client, arn: str) -> None:
    """Check that the report names both hosts, and that one of them was not judged."""

    def made() -> dict[str, Any]:
        return dict(
            client.get_assessment_report(
                assessmentRunArn=arn, reportFileFormat="HTML", reportType="FULL"
            )
        )

    wait(lambda: made()["status"] == "COMPLETED", "the report")
    with urlopen(made()["url"]) as answer:  # noqa: S310 (our own server)
        page = answer.read().decode()
    assert all(name in page for name in ("i-web", "i-mute", SILENT, "insecure-client-login"))
