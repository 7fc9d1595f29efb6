import subprocess
import sys
from importlib import import_module

import typer
from typer.testing import CliRunner

from analyzer.cli import COMMANDS, app

RUNNER = CliRunner()


def test_help_lists_every_command() -> None:
    done = RUNNER.invoke(app, ["--help"])
    assert done.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"{name}  " in done.stdout
        assert text in done.stdout
    assert "130 stopped by" in done.stdout


def test_every_command_exists_and_says_what_it_does() -> None:
    for name in COMMANDS:
        assert isinstance(import_module(f"analyzer.commands.{name}").app, typer.Typer)
        done = RUNNER.invoke(app, [name, "--help"])
        assert done.exit_code == 0, name


def test_unknown_command_is_answered_with_a_guess() -> None:
    done = RUNNER.invoke(app, ["chek"])
    assert done.exit_code == 2
    assert "Did you mean 'check'" in done.stderr


def test_no_command_shows_the_help() -> None:
    assert "Commands:" in RUNNER.invoke(app, []).output


def test_version() -> None:
    done = RUNNER.invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.startswith("proctor ")


def test_rules_is_the_command_line_of_the_rules_package() -> None:
    shown = RUNNER.invoke(app, ["rules", "show"])
    assert shown.exit_code == 0
    assert "insecure-client-login" in shown.stdout
    assert RUNNER.invoke(app, ["rules", "explain", "no-such-rule"]).exit_code == 2
    assert "Needs" in RUNNER.invoke(app, ["rules", "explain", "imdsv1-burst"]).stdout


def test_explain_knows_runs_and_hosts() -> None:
    for option in ("--help", "-h"):
        done = RUNNER.invoke(app, ["rules", "explain", option])
        assert done.exit_code == 0
        for text in ("--run RUN", "--host HOST", "--events FILE", "Examples:"):
            assert text in done.stdout


def test_help_imports_no_command() -> None:
    """A slow import would make every `proctor --help` slow."""
    code = (
        "import sys; from analyzer.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich.console', 'yaml', 'numpy', 'pyarrow', 'sqlalchemy', 'aiomqtt', 'asyncio'}\n"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
