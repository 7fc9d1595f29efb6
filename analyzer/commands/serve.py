"""``proctor serve``: broker, ingest and run clock in one process.

In: options. Out: a server that works until SIGTERM or Ctrl+C; its log on standard error.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Final

import typer

from analyzer.broker import BrokerSettings
from analyzer.commands.options import Data, Rules, folder_of
from analyzer.errors import AnalyzerError, BrokerError
from analyzer.gates import MISUSE, UNREACHED
from analyzer.logs import set_up_logs
from analyzer.present import open_terminal
from analyzer.serve import ServeSettings, parse_broker_url, parse_listen, serve
from rules.errors import RuleFileError
from rules.loader import load_packages

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

DEFAULT_LISTEN: Final = "127.0.0.1:1883"
_EPILOG: Final = """\b
Examples:
  proctor serve --data /var/lib/proctor         with the embedded broker on 127.0.0.1:1883
  proctor serve --data DIR --mqtt-listen 127.0.0.1:0
  proctor serve --data DIR --broker mqtt://broker.internal:1883

On each host:   proctor-agent run --broker-url mqtt://HOST:1883
Then:           proctor runs start --data DIR --for 15m --watch

The embedded broker asks for no password: listen on the loopback address only, or use a broker of
your own with TLS in front of the agents.

Exit codes: 0 stopped, 2 wrong usage, data folder in use or rule file with errors, 4 no broker.
"""


@app.command("serve", epilog=_EPILOG)
def serve_command(
    *,
    data: Data = None,
    mqtt_listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where the embedded broker listens; 0 = free port."),
    ] = DEFAULT_LISTEN,
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
    """Collect telemetry of many hosts over MQTT, and judge assessment runs."""
    terminal = open_terminal()
    set_up_logs(verbose=verbose)
    try:
        host, port = parse_listen(mqtt_listen)
        settings = ServeSettings(
            folder=folder_of(data),
            packages=load_packages(rules),
            embedded=BrokerSettings(host=host, port=port, binary=nats_server),
            broker=None if broker is None else parse_broker_url(broker),
        )

        def on_ready(url: str) -> None:
            folder = settings.folder.path
            terminal.note(f"Serving from {folder}; broker on {url}. Ctrl+C stops.")
            terminal.note(f"On each host:  proctor-agent run --broker-url {url}")
            terminal.note(f"Then:          proctor runs start --data {folder} --for 15m --watch")

        asyncio.run(serve(settings, on_ready=on_ready))
    except BrokerError as error:
        terminal.error(str(error))
        raise typer.Exit(UNREACHED) from error
    except (AnalyzerError, RuleFileError) as error:
        terminal.error(str(error))
        raise typer.Exit(MISUSE) from error
