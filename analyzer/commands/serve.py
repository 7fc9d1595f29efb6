"""``proctor serve``: broker, ingest, run clock and AWS API in one process.

In: options. Out: a server that works until SIGTERM or Ctrl+C; its log on standard error.
"""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from analyzer.access import CredentialsFile, Role
from analyzer.arns import DEFAULT_ACCOUNT, DEFAULT_REGION
from analyzer.assessments import limits_of
from analyzer.broker import BrokerSettings
from analyzer.commands.options import Data, Rules, folder_of
from analyzer.data_folder import ServerNote
from analyzer.errors import AccessError, AnalyzerError, BrokerError
from analyzer.logs import set_up_logs
from analyzer.present import open_terminal
from analyzer.present.terminal import Terminal
from analyzer.results.gates import MISUSE, UNREACHED
from analyzer.server.front import FIRST_KEY
from analyzer.server.serving import (
    ServeSettings,
    arns_of,
    parse_broker_url,
    parse_listen,
    serve,
)
from rules.errors import RuleFileError
from rules.loader import load_packages
from rules.telemetry.clock import SystemClock

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

DEFAULT_LISTEN: Final = "127.0.0.1:8420"
DEFAULT_MQTT_LISTEN: Final = "127.0.0.1:1883"
_EPILOG: Final = """\b
Examples:
  proctor serve --data /var/lib/proctor         broker on 127.0.0.1:1883, API on 127.0.0.1:8420
  proctor serve --data DIR --mqtt-listen 127.0.0.1:0 --listen 127.0.0.1:0
  proctor serve --data DIR --account 111122223333 --region eu-west-1
  proctor serve --data DIR --broker mqtt://broker.internal:1883
  proctor serve --data DIR --database postgresql://proctor@db.internal/proctor

On each host:   proctor-agent run --broker-url mqtt://HOST:1883
Then:           proctor runs start --data DIR --for 15m --watch

The embedded broker asks for no password: listen on the loopback address only, or use a broker of
your own with TLS in front of the agents.

The database is noted in the data folder; a password in its URL is better given by the variable
PROCTOR_DATABASE, or by a file that PGPASSFILE names.

Exit codes: 0 stopped, 2 wrong usage, data folder in use or rule file with errors, 4 no broker.
"""


@app.command("serve", epilog=_EPILOG)
def serve_command(
    *,
    data: Data = None,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the API listens; 0 = free port.")
    ] = DEFAULT_LISTEN,
    public_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="How clients reach the API, for addresses of reports."),
    ] = None,
    account: Annotated[
        str, typer.Option(metavar="DIGITS", help="The AWS account that this server is.")
    ] = DEFAULT_ACCOUNT,
    region: Annotated[
        str, typer.Option(metavar="NAME", help="The AWS region that this server is.")
    ] = DEFAULT_REGION,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="PROCTOR_DATABASE",
            help="Keep the store in PostgreSQL, by postgresql:// URL; a file in the folder else.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=N", help="Another limit, such as hosts=1000; repeatable."),
    ] = None,
    mqtt_listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where the embedded broker listens; 0 = free port."),
    ] = DEFAULT_MQTT_LISTEN,
    broker: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use a broker that runs elsewhere, by mqtt:// URL."),
    ] = None,
    nats_server: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The nats-server program to use.")
    ] = None,
    rules: Rules = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every step.")] = False,
) -> None:
    """Collect telemetry of many hosts over MQTT, judge runs, and serve the AWS API."""
    terminal = open_terminal()
    set_up_logs(verbose=verbose)
    try:
        host, port = parse_listen(mqtt_listen)
        settings = ServeSettings(
            listen=parse_listen(listen),
            public_url=public_url,
            arns=arns_of(account, region),
            database=database,
            limits=limits_of(limit or ()),
            folder=folder_of(data),
            packages=load_packages(rules),
            embedded=BrokerSettings(host=host, port=port, binary=nats_server),
            broker=None if broker is None else parse_broker_url(broker),
        )

        def on_ready(note: ServerNote) -> None:
            _say_ready(terminal, settings, note)

        asyncio.run(serve(settings, on_ready=on_ready))
    except BrokerError as error:
        terminal.error(str(error))
        raise typer.Exit(UNREACHED) from error
    except (AnalyzerError, RuleFileError) as error:
        terminal.error(str(error))
        raise typer.Exit(MISUSE) from error


def _say_ready(terminal: Terminal, settings: ServeSettings, note: ServerNote) -> None:
    folder = settings.folder
    terminal.note(f"Serving from {folder.path}; broker on {note.broker_url}. Ctrl+C stops.")
    terminal.note(f"On each host:  proctor-agent run --broker-url {note.broker_url}")
    terminal.note(f"Then:          proctor runs start --data {folder.path} --for 15m --watch")
    profile = profile_of(CredentialsFile(folder.credentials), now_us=SystemClock().now_us())
    if profile is None:
        terminal.note(f"AWS API:       {note.api_url}; {folder.credentials} has no key,")
        terminal.note(f"               'proctor keys add NAME --data {folder.path}' makes one")
        return
    terminal.note(f"AWS API:       {note.api_url}, with the keys of {folder.credentials}:")
    for name, value in {
        "AWS_SHARED_CREDENTIALS_FILE": folder.credentials,
        "AWS_PROFILE": profile,
        "AWS_REGION": settings.arns.region,
        "AWS_DEFAULT_REGION": settings.arns.region,  # the name that boto3 and the older CLI know
        "AWS_ENDPOINT_URL_INSPECTOR": note.api_url,
    }.items():
        terminal.note(f"  export {name}={shlex.quote(str(value))}")


def profile_of(file: CredentialsFile, *, now_us: int) -> str | None:
    """Return a profile that works: the first start's, else the first that may do everything."""
    try:
        keys = [key for key in file.read() if not key.has_expired(now_us)]
    except AccessError:  # the server says so as long as it is the case
        return None
    ranked = sorted(keys, key=lambda key: (key.name != FIRST_KEY, key.role is not Role.FULL))
    return ranked[0].name if ranked else None
