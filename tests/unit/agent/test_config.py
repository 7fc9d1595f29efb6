"""Settings of the agent: sources, their order, and what is said about wrong ones."""

import tomllib
from pathlib import Path

import pytest

from agent.config import (
    FIELDS,
    Settings,
    flag_of,
    load_settings,
    meta_of,
    read_password,
    sources,
    to_toml,
)
from agent.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_file_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "absent.toml")


def _file(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file() -> None:
    loaded = load_settings()
    assert loaded.settings == Settings()
    assert loaded.origins == {}


def test_flag_wins_over_environment_over_file(tmp_path: Path) -> None:
    path = _file(tmp_path, "in_flight = 1\nkeepalive_s = 11\nheartbeat_interval_s = 21\n")
    loaded = load_settings(
        file=path,
        environ={"PROCTOR_AGENT_KEEPALIVE_S": "12", "PROCTOR_AGENT_HEARTBEAT_INTERVAL_S": "22"},
        flags={"heartbeat_interval_s": "23.5"},
    )
    settings = loaded.settings
    assert (settings.in_flight, settings.keepalive_s) == (1, 12)
    assert settings.heartbeat_interval_s == 23.5
    assert loaded.origins == {
        "in_flight": f"{path}:1",
        "keepalive_s": "PROCTOR_AGENT_KEEPALIVE_S",
        "heartbeat_interval_s": "--heartbeat-interval-s",
    }


def test_file_can_be_named_by_the_environment(tmp_path: Path) -> None:
    path = _file(tmp_path, "in_flight = 7\n")
    assert load_settings(environ={"PROCTOR_AGENT_CONFIG": str(path)}).settings.in_flight == 7


def test_default_file_is_read_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "DEFAULT_FILE", _file(tmp_path, "in_flight = 9\n"))
    assert load_settings().settings.in_flight == 9


def test_every_problem_is_told_with_its_place(tmp_path: Path) -> None:
    path = _file(tmp_path, '# ours\nbroker_ulr = "x"\nin_flight = 0\nprobe = "yes"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(file=path, environ={"PROCTOR_AGENT_KEEPALIVE_S": "soon"})
    assert str(caught.value).splitlines() == [
        f"{path}:2: there is no setting 'broker_ulr'; did you mean 'broker_url'?",
        f"{path}:3: in_flight: expected int >= 1",
        f"{path}:4: probe: expected bool, got str",
        "PROCTOR_AGENT_KEEPALIVE_S: keepalive_s: expected int, got str",
    ]


def test_setting_like_no_other_points_to_the_list() -> None:
    with pytest.raises(ConfigError, match="proctor-agent run --help"):
        load_settings(environ={"PROCTOR_AGENT_QQQ": "1"})


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: there is no such file"):
        load_settings(file=tmp_path / "gone.toml")


@pytest.mark.parametrize("text", ["in_flight = \n", "in_flight = 1\nin_flight = 2\n"])
def test_broken_file_is_told_with_its_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"agent\.toml: cannot be read: .*line"):
        load_settings(file=_file(tmp_path, text))


def test_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(file=path)


def test_tags_from_each_source(tmp_path: Path) -> None:
    path = _file(tmp_path, '[tags]\nName = "web-1"\n"aws:team" = "a b"\n')
    assert load_settings(file=path).settings.tags == {"Name": "web-1", "aws:team": "a b"}
    assert load_settings(environ={"PROCTOR_AGENT_TAGS": "Name=x, Role=db"}).settings.tags == {
        "Name": "x",
        "Role": "db",
    }
    assert load_settings(environ={"PROCTOR_AGENT_TAGS": ""}).settings.tags == {}
    assert load_settings(flags={"tags": {"Name": "y"}}).settings.tags == {"Name": "y"}


def test_tag_without_value_is_told() -> None:
    with pytest.raises(ConfigError, match="'Name' is not KEY=VALUE"):
        load_settings(environ={"PROCTOR_AGENT_TAGS": "Name"})


@pytest.mark.parametrize(
    ("url", "address", "is_tls"),
    [
        ("mqtt://broker", ("broker", 1883), False),
        ("mqtts://broker.example/", ("broker.example", 8883), True),
        ("mqtt://10.0.0.1:99", ("10.0.0.1", 99), False),
        ("mqtt://[::1]:99", ("::1", 99), False),
        ("mqtts://[fd00::7]", ("fd00::7", 8883), True),
    ],
)
def test_broker_url_names_host_and_port(url: str, address: tuple[str, int], is_tls: bool) -> None:  # noqa: FBT001
    settings = load_settings(flags={"broker_url": url}).settings
    assert settings.broker_address == address
    assert settings.is_tls is is_tls


@pytest.mark.parametrize(
    "url",
    [
        "broker:1883",
        "http://broker",
        "mqtt://user:secret@broker",
        "mqtt://",
        "mqtt://b/p",
        "mqtt://b\n",
    ],
)
def test_broker_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^--broker-url: .*settings of their own") as caught:
        load_settings(flags={"broker_url": url})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("agent_id", ["a b", "a.b", "x" * 129, "host\n"])
def test_agent_id_that_no_topic_can_hold_is_refused(agent_id: str) -> None:
    with pytest.raises(ConfigError, match="agent_id"):
        load_settings(flags={"agent_id": agent_id})


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ({"broker_url": "mqtt://b:70000"}, "a port is a number"),
        ({"broker_url": "mqtts://b", "broker_cert_file": "c"}, "need each other"),
        ({"broker_ca_file": "c"}, "begins with mqtts"),
        ({"broker_password_file": "p"}, "needs broker_username"),
        ({"batch_idle_age_s": 1}, "smaller than batch_max_age_s"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    flags: dict[str, object], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        load_settings(flags=flags)


def test_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("one two\r\nrest")
    flags = {"broker_username": "u", "broker_password_file": str(path)}
    assert read_password(load_settings(flags=flags).settings) == "one two"
    assert read_password(Settings()) is None
    path.unlink()
    with pytest.raises(ConfigError, match="broker_password_file cannot be read"):
        read_password(load_settings(flags=flags).settings)


def test_printed_settings_read_back_as_the_same(tmp_path: Path) -> None:
    loaded = load_settings(flags={"tags": {"Name": 'say "hi"'}, "spool_max_age_s": 90})
    path = _file(tmp_path, to_toml(loaded))
    assert load_settings(file=path).settings == loaded.settings


def test_printed_settings_name_their_origin() -> None:
    text = to_toml(load_settings(environ={"PROCTOR_AGENT_IN_FLIGHT": "3"}))
    assert "[batches] (PROCTOR_AGENT_IN_FLIGHT)\nin_flight = 3\n" in text
    assert tomllib.loads(text)["in_flight"] == 3


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_described_and_has_its_unit(name: str) -> None:
    meta = meta_of(name)
    assert meta.description
    assert meta.description.endswith(".")
    for suffix, unit in (("_s", "s"), ("_bytes", "bytes")):
        if name.endswith(suffix):
            assert meta.extra == {"unit": unit}
    assert flag_of(name).startswith("--")
