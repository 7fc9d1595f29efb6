import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.decode.x509 import CertificateFacts
from agent.sensors.observations import Listener, Observation, TlsAnswered
from agent.sensors.probe import (
    INTERVAL_S,
    RESTART_INTERVAL_S,
    SETTLE_S,
    ProbeSensor,
    Schedule,
    tls_columns,
)
from agent.sensors.sensor import Tools
from agent.sensors.tls_probe import Outcome, ProbeResult
from rules.telemetry import KINDS, ManualClock
from tests.socket_facts import NGINX, row

HTTPS = Listener("tcp", "0.0.0.0", 443, NGINX)  # noqa: S104
ASKING, ANSWERING = ("127.0.0.1", 40_000), ("127.0.0.1", 443)
EXPIRED = CertificateFacts(
    subject="CN=old",
    issuer="CN=old",
    not_before_us=1,
    not_after_us=2,
    self_signed=True,
    key_type="rsa",
    key_bits=2_048,
    signature="sha256WithRSAEncryption",
)


def result(outcome: Outcome, **facts: Any) -> ProbeResult:  # noqa: ANN401
    return ProbeResult("TLSv1.2", outcome, "", ASKING, ANSWERING, **facts)


def offered(**facts: Any) -> ProbeResult:  # noqa: ANN401
    return result("offered", cipher_code=0xC02F, cipher_suite="TLS_X", **facts)


def test_offered_version_makes_a_row_with_the_certificate() -> None:
    (values,) = tls_columns([offered(certificate=EXPIRED)])

    assert values == {
        "handshake": "answered",
        "tls_version": "TLSv1.2",
        "cipher_code": 0xC02F,
        "cipher_suite": "TLS_X",
        "cert_subject": "CN=old",
        "cert_issuer": "CN=old",
        "cert_not_before_us": 1,
        "cert_not_after_us": 2,
        "cert_self_signed": True,
        "cert_key_type": "rsa",
        "cert_key_bits": 2_048,
        "cert_signature": "sha256WithRSAEncryption",
    }
    assert values.keys() <= KINDS["tls_session"].columns.keys()


def test_unseen_certificate_has_a_reason() -> None:
    (values,) = tls_columns([offered(certificate_unseen="incomplete")])

    assert values["cert_unseen"] == "incomplete"
    assert "cert_subject" not in values


@pytest.mark.parametrize(
    ("outcomes", "rows"),
    [
        (["refused", "refused"], [{"handshake": "refused"}]),
        (["untested"], []),
        (["not_tls"], []),
        ([], []),
    ],
)
def test_refusal_of_everything_is_one_row_and_silence_is_none(
    outcomes: list[Outcome], rows: list[dict[str, str]]
) -> None:
    assert tls_columns([result(outcome) for outcome in outcomes]) == rows


def test_refused_versions_beside_an_offered_one_make_no_rows() -> None:
    rows = tls_columns([offered(), result("refused")])

    assert [values["handshake"] for values in rows] == ["answered"]


def test_new_listener_is_asked_once_and_then_seldom() -> None:
    schedule = Schedule()

    assert schedule.take_due([HTTPS], 0) == []
    assert schedule.take_due([HTTPS], SETTLE_S) == [HTTPS]
    assert schedule.take_due([HTTPS], SETTLE_S + INTERVAL_S - 1) == []
    assert schedule.take_due([HTTPS], SETTLE_S + INTERVAL_S) == [HTTPS]


def test_listener_that_comes_back_is_not_new() -> None:
    schedule = Schedule(settle_s=0)
    schedule.take_due([HTTPS], 0)
    schedule.take_due([], 1)

    assert schedule.take_due([HTTPS], 2) == []


def test_other_process_on_the_port_is_asked_but_not_hammered() -> None:
    schedule = Schedule(settle_s=0)
    schedule.take_due([HTTPS], 0)
    others = [HTTPS._replace(process=NGINX._replace(pid=pid)) for pid in (81, 82)]

    assert schedule.take_due(others[:1], 5) == []
    assert schedule.take_due(others[1:], 10) == []
    assert schedule.take_due(others[1:], RESTART_INTERVAL_S) == others[1:]
    assert schedule.take_due(others[1:], RESTART_INTERVAL_S + 1) == []


def test_udp_is_never_asked() -> None:
    assert Schedule(settle_s=0).take_due([HTTPS._replace(protocol="udp")], 0) == []


def test_oldest_places_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sensors.probe.MAX_LISTENERS", 1)
    schedule = Schedule(settle_s=0)
    two = [HTTPS, HTTPS._replace(port=444)]

    assert schedule.take_due(two, 0) == two
    assert schedule.take_due(two, 0) == two[:1]


def make_sensor(tools: Tools, ask: Callable[..., Awaitable[list[ProbeResult]]]) -> ProbeSensor:
    sensor = ProbeSensor(tools, schedule=Schedule(settle_s=0), ask=ask)
    sensor.start(frozenset({"tls_session"}))
    return sensor


def drain_all(sensor: ProbeSensor) -> list[Observation]:
    """Return the first answers; they come from another thread."""
    deadline_s = time.monotonic() + 5
    while not (seen := sensor.drain()):
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    return seen


def test_answers_come_with_the_listener_and_its_owner() -> None:
    tools = Tools(ManualClock(7), listeners=(HTTPS,))

    async def ask(address: str, port: int, **_: object) -> list[ProbeResult]:
        await asyncio.sleep(0)
        assert (address, port) == ("0.0.0.0", 443)  # noqa: S104
        return [offered()]

    sensor = make_sensor(tools, ask)
    (answer,) = drain_all(sensor)
    sensor.stop()

    assert isinstance(answer, TlsAnswered)
    assert answer[:5] == (7, "probe", "0.0.0.0", 443, NGINX)  # noqa: S104
    assert sensor.stats().seen == 1
    assert sensor.stats().watching[0].state == "on"


def test_connections_are_registered_before_they_are_made() -> None:
    tools = Tools(ManualClock(), listeners=(HTTPS,))

    async def ask(
        *_: object, on_connection: Callable[..., None], **__: object
    ) -> list[ProbeResult]:
        on_connection(ASKING, ANSWERING, 5)
        await asyncio.sleep(0)
        return [offered()]

    sensor = make_sensor(tools, ask)
    drain_all(sensor)
    sensor.stop()

    assert tools.own.owns(row(ANSWERING, ASKING), 0)


def test_answers_without_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sensors.probe.MAX_ANSWERS", 1)
    tools = Tools(ManualClock(), listeners=(HTTPS,))

    async def ask(*_: object, **__: object) -> list[ProbeResult]:
        await asyncio.sleep(0)
        return [offered(), offered()]

    sensor = make_sensor(tools, ask)
    drain_all(sensor)
    sensor.stop()

    assert sensor.stats().lost == {("tls_session", "probe_backlog"): 1}


def test_failed_thread_is_told_to_the_caller() -> None:
    tools = Tools(ManualClock(), listeners=(HTTPS,))

    async def ask(*_: object, **__: object) -> list[ProbeResult]:
        await asyncio.sleep(0)
        raise ValueError

    sensor = make_sensor(tools, ask)
    with pytest.raises(RuntimeError, match="thread has failed"):
        drain_all(sensor)
    sensor.stop()


def test_stop_breaks_off_what_is_being_asked() -> None:
    tools = Tools(ManualClock(), listeners=(HTTPS,))

    async def ask(*_: object, **__: object) -> list[ProbeResult]:
        await asyncio.Event().wait()
        return []

    sensor = make_sensor(tools, ask)
    sensor.drain()
    begin_s = time.monotonic()
    sensor.stop()
    assert time.monotonic() - begin_s < 1


def test_without_listeners_there_is_no_thread() -> None:
    sensor = ProbeSensor(Tools(ManualClock()))
    assert sensor.stats().watching == ()
    sensor.start(frozenset({"tls_session"}))

    assert (sensor.probe().state, sensor.drain(), sensor.wake().due_s) == ("on", [], 1)
    sensor.stop()
    assert sensor.blind_spots()
