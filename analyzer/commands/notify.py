"""``proctor notify``: webhooks, chat rooms and MQTT topics that are told what happens.

In: options, and the store that the server uses. Out: routes on standard output, an exit code.
Topics of SNS are subscribed to a template through the API, with SubscribeToEvent.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from analyzer.commands.desk import with_store
from analyzer.commands.options import Data, ListFormat
from analyzer.data_folder import DataFolder
from analyzer.errors import RouteError
from analyzer.model import EventKind
from analyzer.notify.desk import RouteDesk
from analyzer.notify.destination import Channel, Destination
from analyzer.notify.routes import DEFAULT_EVENTS, new_route
from analyzer.present.routes import show_routes
from analyzer.present.terminal import Terminal
from analyzer.results.gates import DONE, FAILED
from analyzer.store import Store
from rules.telemetry.clock import SystemClock

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Tell webhooks, chat rooms and MQTT topics what happens.",
)


class Event(StrEnum):
    """What can be told, as the command line writes it."""

    RUN_STARTED = "run-started"
    RUN_STATE_CHANGED = "run-state-changed"
    RUN_COMPLETED = "run-completed"
    FINDING_REPORTED = "finding-reported"


class Severity(StrEnum):
    """Severities of findings, highest first."""

    HIGH = "High"
    MEDIUM = "Medium"
    LOW = "Low"
    INFORMATIONAL = "Informational"


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the route.")]
_ADD_EPILOG: Final = """\b
Examples:
  proctor notify add soc --webhook https://soc.example/hook --secret-file /etc/proctor/soc.key
  proctor notify add chat --apprise-file /etc/proctor/chat.url --min-severity high
  proctor notify add desk --apprise json://127.0.0.1:8090/ --event run-completed
  proctor notify add bus --mqtt soc/findings --event finding-reported

Webhooks get CloudEvents 1.0, signed as Standard Webhooks asks (webhook-id, webhook-timestamp,
webhook-signature) if a secret is given: 24 bytes or more, or whsec_ and base64. MQTT topics lie
below proctor/v1/notifications/. Secrets stand in files, which the server reads at each delivery:
it must be allowed to. What fails is tried again for about half an hour or longer, with the same id.
"""


@app.command("list")
def list_routes(*, output: ListFormat = "table", data: Data = None) -> None:
    """List routes; secrets are never shown, only where they stand."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        show_routes(terminal, await _desk(store).all(), form=output)
        return DONE

    with_store(data, work)


@app.command(epilog=_ADD_EPILOG)
def add(
    name: Name,
    *,
    webhook: Annotated[str, typer.Option(metavar="URL", help="Post events there.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Sign a webhook by what stands in there.")
    ] = None,
    apprise: Annotated[
        str, typer.Option(metavar="URL", help="Tell people; a URL of Apprise without secrets.")
    ] = "",
    apprise_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same; the URL stands in there.")
    ] = None,
    mqtt: Annotated[str, typer.Option(metavar="TOPIC", help="Publish on the broker.")] = "",
    event: Annotated[
        list[Event] | None,
        typer.Option(help="What to tell; may be repeated. [run-completed, finding-reported]"),
    ] = None,
    min_severity: Annotated[
        Severity | None, typer.Option(case_sensitive=False, help="Of findings: from here upwards.")
    ] = None,
    data: Data = None,
) -> None:
    """Add a route to a webhook, to people by Apprise, or to an MQTT topic."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        destination = _destination(
            webhook=webhook,
            secret_file=secret_file,
            apprise=apprise,
            apprise_file=apprise_file,
            mqtt=mqtt,
        )
        route = new_route(
            name,
            destination,
            events=[_KINDS[item] for item in event] if event else DEFAULT_EVENTS,
            min_severity=min_severity.value if min_severity else "",
            created_us=SystemClock().now_us(),
        )
        await _desk(store).add(route)
        terminal.note(f"Added {name}. Try it with 'proctor notify test {name}'.")
        return DONE

    with_store(data, work)


@app.command("test")
def try_route(name: Name, *, data: Data = None) -> None:
    """Send a trial over a route, and say what became of it; exit code 1 if it failed."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        outcome = await _desk(store).try_out(name)
        if outcome.delivered_us is None:
            terminal.error(f"{name}: {outcome.error}")
            return FAILED
        terminal.note(f"{name} has taken it.")
        return DONE

    with_store(data, work, needs_server=True)


@app.command()
def remove(name: Name, *, data: Data = None) -> None:
    """Remove a route; what waits for it is given up."""

    async def work(terminal: Terminal, _: DataFolder, store: Store) -> int:
        await _desk(store).remove(name)
        terminal.note(f"Removed {name}.")
        return DONE

    with_store(data, work)


_KINDS: Final = {
    Event.RUN_STARTED: EventKind.RUN_STARTED,
    Event.RUN_STATE_CHANGED: EventKind.RUN_STATE_CHANGED,
    Event.RUN_COMPLETED: EventKind.RUN_COMPLETED,
    Event.FINDING_REPORTED: EventKind.FINDING_REPORTED,
}


def _destination(
    *, webhook: str, secret_file: Path | None, apprise: str, apprise_file: Path | None, mqtt: str
) -> Destination:
    places = [place for place in (webhook, apprise, apprise_file, mqtt) if place]
    if len(places) != 1:
        raise RouteError("give one of --webhook, --apprise, --apprise-file and --mqtt")
    if secret_file is not None and not webhook:
        raise RouteError("--secret-file goes with --webhook")
    if webhook:
        return Destination(Channel.WEBHOOK, webhook, _absolute(secret_file))
    if mqtt:
        return Destination(Channel.MQTT, mqtt)
    return Destination(Channel.APPRISE, apprise, _absolute(apprise_file))


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


def _desk(store: Store) -> RouteDesk:
    return RouteDesk(store, clock=SystemClock())
