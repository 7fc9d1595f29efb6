"""Host facts of recorded hosts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.sensors.facts import host_files, instance, inventory, readings, settings
from agent.sensors.facts.host_files import Fact, HostFiles
from agent.sensors.facts.sensor import FactsSensor, SshdConfigSensor
from agent.sensors.observations import FactsRead
from agent.sensors.sensor import Tools, Watch
from rules.telemetry import KINDS, BatchBuilder, ManualClock
from rules.telemetry.event import Event
from tests.recorded_hosts import HOSTS

DEBIAN, AMAZON, RED_HAT = (
    HostFiles(HOSTS / name) for name in ("debian-12", "amazon-linux-2023", "rhel-9")
)


def values_of(facts: Iterable[Fact], area: str) -> dict[str, object]:
    return {
        str(fact.values["name"]): fact.values.get("number", fact.values["value"])
        for fact in facts
        if fact.values["area"] == area and fact.values.get("condition", "always") == "always"
    }


def test_sshd_settings_of_debian_are_those_of_the_server() -> None:
    """The drop-in comes first, so it wins over the main file; its Match block is a condition."""
    facts = list(settings.read_sshd_settings(DEBIAN))
    found = values_of(facts, "sshd")

    assert found["permitrootlogin"] == "yes"
    assert found["passwordauthentication"] == "no"
    assert found["kbdinteractiveauthentication"] == "no"
    assert found["maxauthtries"] == 6
    conditional = [fact.values for fact in facts if fact.values["condition"] != "always"]
    assert [(item["condition"], item["name"], item["value"]) for item in conditional] == [
        ("Match Address 10.0.0.0/8", "passwordauthentication", "yes")
    ]
    defaults = {fact.values["name"] for fact in facts if "path" not in fact.values}
    assert "protocol" in defaults
    assert "permitrootlogin" not in defaults


def test_match_all_goes_before_what_stands_outside() -> None:
    facts = list(settings.read_sshd_settings(RED_HAT))
    found = values_of(facts, "sshd")

    assert found["permitrootlogin"] == "yes"
    assert found["passwordauthentication"] == "yes"
    assert {fact.values["condition"] for fact in facts} == {
        "always",
        'Match User backup,"night shift"',
    }


def test_old_names_of_sshd_settings_are_understood() -> None:
    found = values_of(settings.read_sshd_settings(AMAZON), "sshd")

    assert found["kbdinteractiveauthentication"] == "no"
    assert found["permitrootlogin"] == "prohibit-password"


def test_password_policy_without_a_quality_module() -> None:
    assert values_of(settings.read_settings(DEBIAN), "password") == {
        "quality_module": "none",
        "required_length": 8,
        "remember": 0,
        "required_classes": 0,
    }


def test_password_policy_of_pwquality_comes_from_all_its_files() -> None:
    found = values_of(settings.read_settings(AMAZON), "password")

    assert found["quality_module"] == "pam_pwquality"
    assert found["required_length"] == 14
    assert found["required_classes"] == 3
    assert found["remember"] == 24


def test_password_policy_of_cracklib_comes_from_its_arguments() -> None:
    found = values_of(settings.read_settings(RED_HAT), "password")

    assert found == {
        "quality_module": "pam_cracklib",
        "minlen": 12,
        "minclass": 0,
        "dcredit": -1,
        "ucredit": -1,
        "lcredit": 1,
        "ocredit": 1,
        "required_length": 10,
        "required_classes": 2,
        "remember": 5,
    }


def test_password_age_is_unlimited_where_nothing_is_said() -> None:
    assert values_of(settings.read_settings(AMAZON), "login")["pass_max_days"] == 365
    assert values_of(settings.read_settings(RED_HAT), "login")["pass_max_days"] == -1


@pytest.mark.parametrize(("host", "nx"), [(DEBIAN, {"nx": 1}), (AMAZON, {}), (RED_HAT, {"nx": 0})])
def test_processor_says_whether_it_can_forbid_execution(host: HostFiles, nx: object) -> None:
    assert values_of(settings.read_settings(host), "cpu") == nx


def test_kernel_settings_are_numbers() -> None:
    found = values_of(settings.read_settings(DEBIAN), "sysctl")
    assert found == {
        "kernel.randomize_va_space": 2,
        "kernel.yama.ptrace_scope": 0,
        "net.ipv4.ip_forward": 0,
    }


def test_packages_of_dpkg_are_the_installed_ones() -> None:
    found = [dict(fact.values) for fact in inventory.read_packages(DEBIAN)]
    assert [(item["package_name"], item["package_version"]) for item in found] == [
        ("adduser", "3.134"),
        ("openssh-server", "1:9.2p1-2+deb12u3"),
    ]


def test_packages_of_rpm_come_from_its_database() -> None:
    found = {
        (fact.values["package_name"], fact.values["package_version"], fact.values["architecture"])
        for fact in inventory.read_packages(AMAZON)
    }
    assert found == {
        ("bash", "5.2.15-1.amzn2023.0.2", "x86_64"),
        ("openssl-libs", "1:3.0.8-1.amzn2023.0.11", "x86_64"),
        ("tzdata", "2024a-1.amzn2023.0.1", "noarch"),
    }


@pytest.mark.parametrize("name", inventory.OTHER_DATABASES)
def test_package_database_of_another_kind_is_unreadable(tmp_path: Path, name: str) -> None:
    database = tmp_path / name.lstrip("/")
    database.parent.mkdir(parents=True)
    database.touch()
    host = HostFiles(tmp_path)

    assert list(inventory.read_packages(host)) == []
    assert host.unreadable == {name}


def test_broken_rpm_database_is_unreadable(tmp_path: Path) -> None:
    database = tmp_path / "var/lib/rpm/rpmdb.sqlite"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database")
    host = HostFiles(tmp_path)

    assert list(inventory.read_packages(host)) == []
    assert host.unreadable == {"/var/lib/rpm/rpmdb.sqlite"}


def test_operating_system_and_accounts() -> None:
    (fact,) = inventory.read_operating_system(DEBIAN)
    assert fact.values == {
        "os_id": "debian",
        "os_version": "12",
        "os_name": "Debian GNU/Linux 12 (bookworm)",
        "kernel_release": "6.1.0-25-amd64",
        "hostname": "web-1",
    }
    accounts = list(inventory.read_accounts(DEBIAN))
    assert [fact.values["account_name"] for fact in accounts if fact.kind == "user"] == [
        "root",
        "daemon",
        "admin",
    ]
    assert accounts[-1].values == {"group_name": "users", "group_gid": 100, "members": "admin,web"}


def test_directories_state_who_may_change_them(tmp_path: Path) -> None:
    for name, mode in (("etc", 0o755), ("usr/bin", 0o777)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name).chmod(mode)
    found = {
        fact.values["path"]: fact.values["mode"]
        for fact in inventory.read_directories(HostFiles(tmp_path))
    }
    assert found["/etc"] == "0755"
    assert found["/usr/bin"] == "0777"
    by_others = {
        fact.values["path"]
        for fact in inventory.read_directories(HostFiles(tmp_path))
        if fact.values["writable_by_others"]
    }
    assert "/usr/bin" in by_others


def test_every_fact_fits_its_kind() -> None:
    builder = BatchBuilder()
    readers = (
        settings.read_settings,
        settings.read_sshd_settings,
        inventory.read_operating_system,
        inventory.read_directories,
        inventory.read_packages,
        inventory.read_accounts,
    )
    for host in (DEBIAN, AMAZON, RED_HAT):
        for fact in (fact for reader in readers for fact in reader(host)):
            assert fact.kind in KINDS
            builder.add(Event(fact.kind, 1, fact.process, {**fact.values, "source": "facts"}))
    assert len(builder) > 100


class _Service(BaseHTTPRequestHandler):
    asked: list[tuple[str, str, str | None]]

    def do_PUT(self) -> None:
        self._answer("secret-token")

    def do_GET(self) -> None:
        known = {"/latest/meta-data/instance-id": "i-0abc", "/latest/meta-data/ami-id": "ami-1"}
        self._answer(known.get(self.path))

    def _answer(self, text: str | None) -> None:
        token = self.headers.get("X-aws-ec2-metadata-token")
        self.asked.append((self.command, self.path, token))
        body = (text or "").encode()
        self.send_response(200 if text else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def test_instance_metadata_is_asked_for_with_a_token() -> None:
    _Service.asked = []
    with HTTPServer(("127.0.0.1", 0), _Service) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.001})
        thread.start()
        found = list(
            instance.read_instance(
                AMAZON, addresses=["::1", "127.0.0.1"], port=server.server_address[1]
            )
        )
        server.shutdown()
        thread.join()

    assert [dict(fact.values) for fact in found] == [
        {"name": "ami-id", "value": "ami-1"},
        {"name": "instance-id", "value": "i-0abc"},
    ]
    assert _Service.asked[0][:2] == ("PUT", "/latest/api/token")
    assert {token for method, _, token in _Service.asked if method == "GET"} == {"secret-token"}
    assert not any("iam" in path or "user-data" in path for _, path, _ in _Service.asked)


def test_instance_metadata_is_left_alone_elsewhere() -> None:
    host = HostFiles(DEBIAN.root)
    assert list(instance.read_instance(host, addresses=["127.0.0.1"], port=1)) == []
    assert host.unreadable == set()


def test_silent_instance_metadata_is_no_empty_one() -> None:
    host = HostFiles(AMAZON.root)
    assert list(instance.read_instance(host, addresses=["127.0.0.1", "::1"], port=1)) == []
    assert host.unreadable == {"the instance metadata service"}


def _drained(sensor: FactsSensor | SshdConfigSensor) -> list[Fact]:
    """Return what the first reading gives."""
    sensor.start(frozenset(sensor.kinds))
    facts: list[Fact] = []
    while not facts:
        for read in sensor.drain():
            assert isinstance(read, FactsRead)
            facts += read.facts
    sensor.stop()
    for read in sensor.drain():
        assert isinstance(read, FactsRead)
        facts += read.facts
    return facts


def test_sensor_tells_each_fact_once() -> None:
    sensor = SshdConfigSensor(Tools(ManualClock()), host=DEBIAN)
    assert sensor.probe().state == "on"
    facts = _drained(sensor)

    assert len(facts) == len({tuple(sorted(fact.values.items())) for fact in facts})
    assert sensor.stats().seen == len(facts)
    assert {watch.kinds for watch in sensor.stats().watching} == {("setting",)}


def test_facts_are_told_again_for_a_new_run() -> None:
    tools = Tools(ManualClock())
    sensor = SshdConfigSensor(tools, host=DEBIAN)
    sensor._wanted = frozenset(sensor.kinds)
    sensor._step()
    (first,) = sensor.drain()
    sensor._take(sensor._readings[0])
    assert sensor.drain() == []

    tools.round += 1
    sensor._step()
    (again,) = sensor.drain()
    assert isinstance(first, FactsRead)
    assert isinstance(again, FactsRead)
    assert again.facts == first.facts


def test_run_begins_with_everything_read() -> None:
    sensor = FactsSensor(Tools(ManualClock()), host=DEBIAN)
    sensor.start(frozenset({"user", "setting"}))
    (watch,) = sensor.stats().watching
    kinds = {fact.kind for read in sensor.drain() for fact in getattr(read, "facts", ())}
    sensor.stop()

    assert watch == Watch(("setting", "user"), "on", "files of the host")
    assert kinds == {"setting", "user"}


def test_reading_that_does_not_end_is_no_clean_host(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    go_on = threading.Event()
    monkeypatch.setattr(readings, "FIRST_READING_S", 0.0)
    monkeypatch.setattr(inventory, "read_accounts", lambda _: [Fact("user", {})] * go_on.wait(10))
    sensor = FactsSensor(Tools(clock), host=DEBIAN)
    sensor.start(frozenset({"user"}))
    (watch,) = sensor.stats().watching
    assert (watch.state, watch.method) == (
        "off",
        "files of the host; the first reading is under way",
    )

    sensor._has_read.set()
    while sensor._began_s is None:
        pass
    clock.advance(readings.STALLED_S + 1)
    (watch,) = sensor.stats().watching
    go_on.set()
    sensor.stop()
    assert (watch.state, watch.method) == ("off", "files of the host; a reading does not end")


def test_what_cannot_be_read_is_off_and_the_rest_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(monkeypatch, "/etc/pam.d/common-password")
    sensor = FactsSensor(Tools(ManualClock()), host=HostFiles(DEBIAN.root))
    capability = sensor.probe()
    sensor.start(frozenset({"user", "setting"}))
    states = {watch.kinds: (watch.state, watch.method) for watch in sensor.stats().watching}
    facts = [fact for read in sensor.drain() for fact in getattr(read, "facts", ())]
    sensor.stop()

    assert capability.state == "degraded"
    assert "/etc/pam.d/common-password cannot be read" in capability.reason
    assert "CAP_DAC_READ_SEARCH" in capability.remedy
    assert states == {
        ("setting",): ("off", "files of the host; /etc/pam.d/common-password cannot be read"),
        ("user",): ("on", "files of the host"),
    }
    assert not [fact for fact in facts if fact.values.get("area") == "password"]


def test_facts_remembered_as_told_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "MAX_TOLD", 2)
    sensor = FactsSensor(Tools(ManualClock()), host=DEBIAN)
    facts = [Fact("user", {"account_name": name}) for name in "abcaac"]
    assert [sensor._is_new(fact) for fact in facts] == [True, True, True, True, False, False]


def test_processes_that_are_hidden_are_no_clean_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /proc with hidepid shows it: the agent's own processes alone, none of root."""
    (tmp_path / "proc/77").mkdir(parents=True)
    (tmp_path / "proc/77/exe").symlink_to("/bin/agent")
    sensor = FactsSensor(Tools(ManualClock()), host=HostFiles(tmp_path))
    monkeypatch.setattr(
        Path, "stat", lambda _, **__: os.stat_result((0o40755, 0, 0, 1, 1000, *[0] * 5))
    )

    assert sensor.probe().state == "degraded"
    (tmp_path / "proc/1").mkdir()
    (tmp_path / "proc/1/exe").symlink_to("/bin/first")
    assert sensor.probe().state == "on"


def test_account_with_a_strange_name_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    line = "eve:x:1001:1001:Eve\u2028,,,:/home/eve:/bin/sh\n"
    (tmp_path / "etc/passwd").write_text(line, encoding="utf-8")
    (fact,) = inventory.read_accounts(HostFiles(tmp_path))
    assert fact.values["account_name"] == "eve"


def test_password_age_without_a_file_is_unlimited_where_accounts_are_made(tmp_path: Path) -> None:
    assert values_of(settings.read_settings(HostFiles(tmp_path)), "login") == {}
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/useradd").touch()
    assert values_of(settings.read_settings(HostFiles(tmp_path)), "login") == {"pass_max_days": -1}


def _refuse(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Let nobody read one file of a recorded host."""
    original = host_files.open_regular

    def refuse(place: Path, **flags: int) -> object:
        if str(place).endswith(path):
            raise PermissionError(path)
        return original(place, **flags)

    monkeypatch.setattr(host_files, "open_regular", refuse)


def test_unreadable_sshd_config_is_no_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    host = HostFiles(DEBIAN.root)
    _refuse(monkeypatch, settings.SSHD_CONFIG)
    capability = SshdConfigSensor(Tools(ManualClock()), host=host).probe()

    assert capability.state == "off"
    assert settings.SSHD_CONFIG in capability.reason
    assert "CAP_DAC_READ_SEARCH" in capability.remedy
