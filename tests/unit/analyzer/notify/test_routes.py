from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.errors import RouteError
from analyzer.model import EventKind, Route
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.routes import DEFAULT_EVENTS, destination_of, new_route

WEBHOOK = Destination(Channel.WEBHOOK, "https://soc.test/hook")


def test_route_keeps_its_destination(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a" * 24)
    to = Destination(Channel.WEBHOOK, "https://soc.test/hook", str(tmp_path / "secret"))
    route = new_route("soc", to, min_severity="Medium", created_us=7)
    assert route == Route(
        name="soc",
        url="https://soc.test/hook",
        events=DEFAULT_EVENTS,
        options={
            "channel": "webhook",
            "secret_file": str(tmp_path / "secret"),
            "min_severity": "Medium",
        },
        created_us=7,
    )
    assert destination_of(route) == to


@pytest.mark.parametrize(
    "to",
    [
        WEBHOOK,
        Destination(Channel.WEBHOOK, "http://127.0.0.1:8080"),
        Destination(Channel.MQTT, "soc/high"),
        Destination(Channel.APPRISE, "json://chat.test/room"),
    ],
)
def test_usable_destination_is_taken(to: Destination) -> None:
    route = new_route("soc", to, events=(EventKind.RUN_STARTED,), created_us=0)
    assert destination_of(route) == to


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (Destination(Channel.WEBHOOK, "ftp://soc.test"), "no webhook"),
        (Destination(Channel.WEBHOOK, "soc.test"), "no webhook"),
        (Destination(Channel.WEBHOOK, "https://me:pw@soc.test"), "no user or password"),
        (Destination(Channel.WEBHOOK, "https://soc.test:port"), "no URL"),
        (Destination(Channel.WEBHOOK, "https://soc.test", "/absent/secret"), "cannot read"),
        (Destination(Channel.MQTT, "soc/#"), "no topic"),
        (Destination(Channel.MQTT, ""), "no topic"),
        (Destination(Channel.APPRISE, "nonsense"), "does not know"),
        (Destination(Channel.APPRISE, "json://me:password@chat.test"), "--apprise-file"),
        (Destination(Channel.SNS, "arn:aws:sns:us-east-1:1:t"), "SubscribeToEvent"),
    ],
)
def test_useless_destination_is_refused(to: Destination, why: str) -> None:
    with pytest.raises(RouteError, match=why):
        new_route("soc", to, created_us=0)


def test_apprise_url_with_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("json://me:password@chat.test\n")
    new_route("chat", Destination(Channel.APPRISE, "", str(path)), created_us=0)
    path.write_text("nonsense")
    with pytest.raises(RouteError, match="in the file"):
        new_route("chat", Destination(Channel.APPRISE, "", str(path)), created_us=0)


@pytest.mark.parametrize("text", ["", "short"])
def test_weak_secret_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(text)
    to = Destination(Channel.WEBHOOK, "https://soc.test", str(tmp_path / "secret"))
    with pytest.raises(RouteError, match="secret"):
        new_route("soc", to, created_us=0)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 65])
def test_odd_name_is_refused(name: str) -> None:
    with pytest.raises(RouteError, match="no name"):
        new_route(name, WEBHOOK, created_us=0)
