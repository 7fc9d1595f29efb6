"""Targets, templates, agents and exclusions on a terminal, one a row.

In: values of the domain. Out: tables, or canonical JSON on standard output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table
from rich.text import Text

from analyzer.present.terminal import fitting
from analyzer.words import counted, printable, span, time_text
from rules.telemetry.ndjson import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from analyzer.model import Agent, Exclusion, RunAgent, Tag, Target, Template
    from analyzer.present.terminal import Terminal


def show_targets(
    terminal: Terminal, targets: Sequence[Target], selectors: Mapping[str, Sequence[Tag]]
) -> None:
    """Print targets.

    Args:
        terminal: Where.
        targets: Newest first.
        selectors: ARN of a resource group → its tags.
    """
    _show(
        terminal,
        ("Target", "Hosts", "Made", "ARN"),
        [
            (
                target.name,
                selector_text(selectors.get(target.resource_group_arn or "", ())),
                _moment(target.created_us),
                target.arn,
            )
            for target in targets
        ],
        nothing="No targets yet; 'proctor targets create' makes one.",
    )


def show_templates(
    terminal: Terminal, templates: Sequence[Template], targets: Mapping[str, str]
) -> None:
    """Print templates.

    Args:
        terminal: Where.
        templates: Newest first.
        targets: ARN of a target → its name.
    """
    _show(
        terminal,
        ("Template", "Target", "Lasts", "Packages", "Runs", "ARN"),
        [
            (
                template.name,
                targets.get(template.target_arn, template.target_arn),
                span(template.duration_s),
                ", ".join(template.packages) or "none",
                f"{template.run_count:,}",
                template.arn,
            )
            for template in templates
        ],
        nothing="No templates yet; 'proctor templates create' makes one.",
    )


def show_agents(terminal: Terminal, agents: Sequence[Agent], *, now_us: int) -> None:
    """Print the hosts that a target selects, and how their agents are."""
    _show(
        terminal,
        ("Host", "Agent", "Health", "Address", "System", "Version", "Tags", "Details"),
        [
            (
                agent.hostname,
                agent.agent_id,
                agent.code(now_us).health.value,
                ", ".join(_addresses(agent)),
                agent.os_name,
                agent.version,
                ", ".join(f"{key}={value}" for key, value in sorted(agent.tags.items())),
                agent.details(now_us),
            )
            for agent in agents
        ],
        nothing="No known host is selected.",
    )


def _addresses(agent: Agent) -> Iterator[str]:
    """Yield the first address of each interface: what others most likely call the host by."""
    for each in agent.interfaces:
        yield from (each.ipv4 or each.ipv6)[:1]


def show_run_agents(terminal: Terminal, agents: Sequence[RunAgent]) -> None:
    """Print the hosts of a run, as the run saw them."""
    _show(
        terminal,
        ("Host", "Agent", "Health", "Assessed", "Messages", "Details"),
        [
            (
                agent.hostname,
                agent.agent_id,
                f"{agent.code.health.value} ({agent.code.value})",
                "yes" if agent.is_assessed else "no",
                f"{sum(each.count for each in agent.telemetry.values()):,}",
                agent.details,
            )
            for agent in agents
        ],
        nothing="The run has no hosts.",
    )


def show_exclusions(terminal: Terminal, exclusions: Sequence[Exclusion]) -> None:
    """Print what could not be assessed or judged, why, and what to do."""
    if not exclusions:
        terminal.say("Nothing is excluded.", style="green")
        return
    for item in exclusions:
        about = ", ".join(scope.value for scope in item.scopes)
        terminal.say(f"{printable(item.title)}: {printable(about)}", style="bold")
        terminal.say(printable(item.description), indent=2)
        terminal.say(printable(item.recommendation), style="dim", indent=2)
    terminal.say(f"{counted(len(exclusions), 'exclusion')}.")


def put_json(terminal: Terminal, values: object) -> None:
    """Print values of the domain as canonical JSON."""
    terminal.put(canonical(msgspec.to_builtins(values)) + b"\n")


def selector_text(tags: Sequence[Tag]) -> str:
    """Return which hosts tags select."""
    if not tags:
        return "every host"
    pairs = [tag.key if tag.value is None else f"{tag.key}={tag.value}" for tag in tags]
    return f"any of {', '.join(pairs)}"


def _moment(ts_us: int) -> str:
    return time_text(ts_us).split(".")[0]


def _show(
    terminal: Terminal, columns: Sequence[str], rows: Iterable[Sequence[str]], *, nothing: str
) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(fitting(printable(cell), terminal.out)) for cell in row))
    if table.row_count:
        terminal.out.print(table)
    else:
        terminal.say(nothing)
