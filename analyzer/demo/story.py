"""The demo: one assessment of this host the long way round, with something to find.

In: a terminal and an empty folder. Out: broker, analyzer, agent and sample traffic as processes of
their own, the progress of a run over MQTT, its findings, and what to try next.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from analyzer.data_folder import DataFolder
from analyzer.demo.children import Children, run_here
from analyzer.demo.sample_network import sample_network
from analyzer.demo.sample_plan import plan_for
from analyzer.errors import AnalyzerError
from analyzer.present import Terminal
from analyzer.results.gates import DONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.demo.children import Child
    from analyzer.demo.sample_network import SampleNetwork
    from analyzer.demo.sample_plan import Side

START_S: Final = 20.0  # longest wait for a process to be ready
_POLL_S: Final = 0.05
_ANY: Final = "127.0.0.1:0"  # a free port
_PROCTOR: Final = (sys.executable, "-m", "analyzer.cli")
_AGENT: Final = (sys.executable, "-m", "agent.cli")
_TRAFFIC: Final = (sys.executable, "-m", "analyzer.demo.sample_traffic")


class Demo:
    """Tells the story, step by step, on a terminal."""

    def __init__(self, terminal: Terminal, folder: Path, *, duration: str) -> None:
        """Keep everything in ``folder``.

        Args:
            terminal: Where the story is told.
            folder: A folder of its own.
            duration: How long the assessment takes, such as ``45s``.
        """
        self._terminal = terminal
        self._data = DataFolder(folder / "data")
        self._state = folder / "agent"
        self._folder = folder
        self._duration = duration

    async def run(self) -> int:
        """Run the demo and return its exit code."""
        self._terminal.say("Proctor assesses this host, the long way round.", style="bold")
        self._terminal.say("Broker, analyzer and agent are processes of their own and speak MQTT.")
        async with AsyncExitStack() as stack:
            network = await stack.enter_async_context(sample_network())
            children = await stack.enter_async_context(Children(self._folder))
            url = await self._serve(children)
            await self._watch(children, url)
            await self._make_traffic(children, network)
            code = await self._assess()
        if code == DONE:
            self._say_what_next()
        return code

    async def _serve(self, children: Children) -> str:
        """Start the analyzer; return the URL of its broker."""
        command = ("serve", "--data", str(self._data.path), "--mqtt-listen", _ANY, "--listen", _ANY)
        self._step("The analyzer with its embedded broker", "proctor", command)
        server = await children.start("serve", (*_PROCTOR, *command))
        deadline_s = time.monotonic() + START_S
        while (note := self._data.read_note()) is None:
            await _wait_for(server, deadline_s)
        self._terminal.say(f"The broker listens on {note.broker_url}.", indent=3)
        return note.broker_url

    async def _watch(self, children: Children, url: str) -> None:
        """Start the agent."""
        command = ("run", "--broker-url", url, "--state-dir", str(self._state))
        self._step("The agent of this host", "proctor-agent", command)
        await children.start("agent", (*_AGENT, *command))
        self._terminal.say("It collects nothing before a run wants it.", indent=3)

    async def _make_traffic(self, children: Children, network: SampleNetwork) -> None:
        """Start sample traffic and say what it does."""
        plan = plan_for(network)
        self._step("Sample traffic, so that there is something to find")
        self._terminal.say(_where(network), indent=3)
        for sentence in plan.sentences:
            self._terminal.say(f"· {sentence}", indent=3)
        sides: list[tuple[str, Sequence[str], Side]] = [
            ("traffic-here", (), plan.here),
            ("traffic-peer", network.run_in_peer, plan.peer),
        ]
        for name, prefix, side in sides:
            if not side.listen:
                continue
            child = await children.start(name, (*prefix, *_TRAFFIC, *side.arguments))
            for line in await _ready(child):
                self._terminal.say(f"· left out: {line}", style="yellow", indent=3)

    async def _assess(self) -> int:
        """Run one assessment as a user would, and show what it comes to."""
        command = ["runs", "start", "--for", self._duration, "--watch", "--evidence"]
        command += ["--data", str(self._data.path)]
        self._step(f"One assessment run of {self._duration}", "proctor", command)
        code = await run_here((*_PROCTOR, *command))
        if code != DONE:
            raise AnalyzerError(f"the run ended with exit code {code}")
        return DONE

    def _step(self, title: str, program: str = "", command: Sequence[str] = ()) -> None:
        self._terminal.say()
        self._terminal.say(title, style="bold")
        if program:
            self._terminal.say(f"$ {program} {shlex.join(command)}", style="dim", indent=3)

    def _say_what_next(self) -> None:
        at = _bin_folder()
        self._step("What to try next")
        for command, why in (
            ("proctor check --for 2m --evidence", "this host, without a broker"),
            ("proctor-agent doctor", "what the sensors see here, and what would help"),
            ("proctor rules explain insecure-client-login", "a rule in words"),
            ("proctor-agent capture --for 30s --out host.ndjson.zst", "record events"),
            ("proctor check --events host.ndjson.zst", "judge them, as often as you like"),
            ("proctor serve --data DIR", "for many hosts; proctor-agent run on each"),
        ):
            self._terminal.say(f"$ {at}{command}", indent=3)
            self._terminal.say(why, style="dim", indent=5)


async def _wait_for(child: Child, deadline_s: float) -> None:
    failure = child.failure()
    if failure is not None:
        raise failure
    if time.monotonic() > deadline_s:
        raise AnalyzerError(f"{child.name} was not ready after {START_S:.0f} seconds")
    await asyncio.sleep(_POLL_S)


async def _ready(child: Child) -> list[str]:
    """Return what sample traffic had to leave out, once it plays."""
    deadline_s = time.monotonic() + START_S
    while "ready" not in (lines := child.log.read_text().splitlines()):
        await _wait_for(child, deadline_s)
    return [line.removeprefix("skipped ") for line in lines if line.startswith("skipped ")]


def _where(network: SampleNetwork) -> str:
    if network.has_peer:
        return (
            "It never leaves this machine: it goes between this host and a network namespace that "
            "is removed at the end."
        )
    if network.here:
        where = f"from this host to its own address {network.here}"
        return f"It never leaves this machine: it goes {where} ({network.why_not})."
    return f"None: {network.why_not}. What is found is what this host does by itself."


def _bin_folder() -> str:
    """Return what to write before a command so that a shell finds it here."""
    folder = Path(sys.executable).parent
    if not (folder / "proctor").exists() or str(folder) in os.environ.get("PATH", "").split(":"):
        return ""
    try:
        return f"{folder.relative_to(Path.cwd())}/"
    except ValueError:
        return f"{folder}/"
