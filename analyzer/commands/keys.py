"""``proctor keys``: the access keys of a server's AWS API.

In: options, and the credentials file in the data folder. Out: profiles in that file, which a
running server takes up by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table

from analyzer.access import AccessKey, CredentialsFile, Role, new_key
from analyzer.commands.options import Data, ListFormat, folder_of
from analyzer.data_folder import DataFolder
from analyzer.errors import AccessError, AnalyzerError
from analyzer.present import open_terminal
from analyzer.present.terminal import Terminal
from analyzer.results.gates import MISUSE
from rules.durations import parse_duration
from rules.telemetry.clock import SystemClock

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Make, show and revoke access keys of the AWS API.",
)

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The profile's name.")]
_ADD_EPILOG: Final = """\b
Examples:
  proctor keys add terraform
  proctor keys add dashboard --read-only
  proctor keys add on-call --for 1h       temporary, with a session token

The key is a profile of DATA/credentials: AWS_PROFILE=NAME chooses it.
"""


@app.command(epilog=_ADD_EPILOG)
def add(
    name: KeyName,
    *,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="It may look, and change nothing.")
    ] = False,
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="It ends by itself, 1m to 7d.")
    ] = None,
    data: Data = None,
) -> None:
    """Make an access key, and write it to the credentials file."""

    def work(terminal: Terminal, folder: DataFolder) -> None:
        folder.create()
        now_us = SystemClock().now_us()
        ends = None if duration is None else now_us + _lifetime_us(duration)
        role = Role.READ_ONLY if read_only else Role.FULL
        CredentialsFile(folder.credentials).add(
            new_key(name, role=role, expires_us=ends), now_us=now_us
        )
        terminal.note(f"Wrote profile {name} ({role}) to {folder.credentials}.")
        terminal.say(f"export AWS_SHARED_CREDENTIALS_FILE={folder.credentials} AWS_PROFILE={name}")

    _finish(data, work)


@app.command("list")
def list_keys(*, output: ListFormat = "table", data: Data = None) -> None:
    """List access keys, without their secrets."""

    def work(terminal: Terminal, folder: DataFolder) -> None:
        keys = CredentialsFile(folder.credentials).read()
        now_us = SystemClock().now_us()
        if output == "json":
            rows = [_row(key, now_us) for key in keys]
            terminal.put(msgspec.json.encode(rows) + b"\n")
        elif not keys:
            terminal.say("No keys yet; the first start of the server makes one.")
        else:
            terminal.out.print(_table(keys, now_us))

    _finish(data, work)


@app.command()
def revoke(name: KeyName, *, data: Data = None) -> None:
    """Take a key out of the credentials file; a running server refuses it within a second."""

    def work(terminal: Terminal, folder: DataFolder) -> None:
        gone = CredentialsFile(folder.credentials).remove(name)
        terminal.note(f"Revoked {gone.name} ({gone.key_id}).")

    _finish(data, work)


def _lifetime_us(text: str) -> int:
    try:
        lifetime_us = parse_duration(text)
    except ValueError as error:
        raise AccessError(f"--for {text}: {error}") from error
    if not parse_duration("1m") <= lifetime_us <= parse_duration("7d"):
        raise AccessError(f"--for {text}: a temporary key lasts from 1m to 7d")
    return lifetime_us


def _row(key: AccessKey, now_us: int) -> dict[str, str | None]:
    ends = key.expires_us
    state = "expired" if key.has_expired(now_us) else "active"
    until = None if ends is None else datetime.fromtimestamp(ends // 1_000_000, UTC).isoformat()
    return {
        "name": key.name,
        "key_id": key.key_id,
        "role": key.role.value,
        "state": state,
        "expires": until,
    }


def _table(keys: tuple[AccessKey, ...], now_us: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "Key id", "Role", "State", "Until"):
        table.add_column(column, no_wrap=True)
    for key in keys:
        name, key_id, role, state, until = _row(key, now_us).values()
        table.add_row(name, key_id, role, state, until or "until revoked")
    return table


def _finish(data: object, work: Callable[[Terminal, DataFolder], None]) -> None:
    terminal = open_terminal()
    try:
        work(terminal, folder_of(data))  # type: ignore[arg-type]
    except AnalyzerError as error:
        terminal.error(str(error))
        raise typer.Exit(MISUSE) from error
