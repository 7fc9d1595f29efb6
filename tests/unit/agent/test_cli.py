"""The command line of the agent: what it says, and with which exit code it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent import cli
from agent.cli import COMMANDS, DONE, INTERRUPTED, UNREACHED, USAGE, main
from agent.config import FIELDS, flag_of
from agent.errors import AgentError, ConfigError, SinkError, SpoolError

ROOT = Path(__file__).parents[3]


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == DONE
    assert capsys.readouterr().out.startswith("proctor-agent ")


def test_help_names_every_command_and_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == DONE
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert "examples:" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: proctor-agent {name}" in text
    assert f"  proctor-agent {name}" in text.partition("examples:")[2]


def test_every_setting_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    assert [name for name in FIELDS if flag_of(name) not in text] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "say what to do: run, status"),
        (["stauts"], "did you mean 'proctor-agent status'?"),
        (["--frobnicate"], "try 'proctor-agent --help'"),
    ],
)
def test_unknown_command_is_told_what_there_is(
    given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given) == USAGE
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_unknown_flag_is_wrong_usage() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--frobnicate"])
    assert ended.value.code == USAGE


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        (ConfigError("agent.toml:3: bad"), USAGE, "run --help"),
        (SpoolError(Path("s"), "in use"), USAGE, "--state-dir"),
        (SinkError("broker gone"), UNREACHED, ""),
    ],
)
def test_error_says_what_and_what_to_do(
    error: AgentError,
    code: int,
    advice: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_given: list[str]) -> int:
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(["run"]) == code
    text = capsys.readouterr().err
    assert text.startswith(f"proctor-agent: {error}")
    assert advice in text


def test_interrupt_has_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_given: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main([]) == INTERRUPTED


def test_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"{sys.executable} -m agent.cli run --print-config | true; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["/bin/bash", "-c", command], cwd=ROOT, capture_output=True, check=False, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from agent.cli import main; main(['--version']); "
        "print(sorted({'asyncio', 'msgspec', 'aiomqtt', 'argparse', 'logging'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_running_agent_loads_none_of_the_analyzers_libraries() -> None:
    heavy = "{'numpy', 'pyarrow', 'pydantic', 'rich', 'sqlalchemy', 'typer', 'yaml', 'uvloop'}"
    code = (
        "import sys, agent.runtime, agent.collect, agent.sinks.mqtt, agent.commands.run; "
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    assert ended.stdout == "[]\n"
