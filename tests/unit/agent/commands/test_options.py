"""Flags become settings, and are told apart from file and environment."""

from pathlib import Path

import pytest

from agent.commands.options import add_settings, make_parser, settings_of
from agent.config import Loaded
from agent.errors import ConfigError


def _loaded(*given: str) -> Loaded:
    parser = make_parser("run", "Watch.", examples="  proctor-agent run")
    add_settings(parser)
    return settings_of(parser.parse_args(["--config", "/dev/null", *given]))


def test_flags_become_settings() -> None:
    loaded = _loaded(
        "--broker-url",
        "mqtt://b",
        "--no-probe",
        "--in-flight",
        "3",
        "--tag",
        "a=1",
        "--tag",
        "b=x=y",
    )
    settings = loaded.settings
    assert settings.broker_url == "mqtt://b"
    assert settings.probe is False
    assert settings.in_flight == 3
    assert settings.tags == {"a": "1", "b": "x=y"}
    assert loaded.origins["probe"] == "--probe"


def test_flag_that_is_not_given_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_AGENT_IN_FLIGHT", "5")
    assert _loaded().settings.in_flight == 5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--in-flight", "many"), "--in-flight: in_flight: expected int, got str"),
        (("--tag", "Name"), "--tag: tags: 'Name' is not KEY=VALUE"),
    ],
)
def test_wrong_value_names_its_flag(given: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _loaded(*given)
    assert str(caught.value) == said


def test_config_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        _loaded("--config", str(tmp_path / "gone.toml"))
