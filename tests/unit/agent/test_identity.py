"""Which id a host gets, and from where."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.identity import Identity, find_agent_id, hostname
from agent.release import UNKNOWN, version
from rules.telemetry.topics import is_agent_id

MACHINE_ID = "0123456789abcdef0123456789abcdef"


def _host(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _find(root: Path, *, configured: str = "", random: bytes = b"r") -> str:
    state_dir = root / "state"
    return find_agent_id(configured=configured, state_dir=state_dir, random=random, root=root)


def test_configured_id_wins(tmp_path: Path) -> None:
    root = _host(tmp_path, {"sys/class/dmi/id/board_asset_tag": "i-0123456789abcdef0\n"})
    assert _find(root, configured="web_1") == "web_1"


@pytest.mark.parametrize(
    "file", ["sys/class/dmi/id/board_asset_tag", "var/lib/cloud/data/instance-id"]
)
def test_instance_id_comes_before_machine_id(tmp_path: Path, file: str) -> None:
    root = _host(tmp_path, {file: "i-0123456789abcdef0\n", "etc/machine-id": MACHINE_ID})
    assert _find(root) == "i-0123456789abcdef0"


def test_asset_tag_of_other_hardware_is_no_instance_id(tmp_path: Path) -> None:
    files = {
        "sys/class/dmi/id/board_asset_tag": "Not Specified\n",
        "var/lib/cloud/data/instance-id": "iid-local01\n",
        "etc/machine-id": f"{MACHINE_ID}\n",
    }
    assert _find(_host(tmp_path, files)).startswith("h-")


def test_machine_id_is_hashed_and_stays_the_same(tmp_path: Path) -> None:
    root = _host(tmp_path, {"etc/machine-id": f"{MACHINE_ID}\n"})
    found = _find(root)
    assert is_agent_id(found)
    assert found.startswith("h-")
    assert MACHINE_ID[:8] not in found
    assert _find(root, random=b"other") == found


def test_uninitialized_machine_id_does_not_count(tmp_path: Path) -> None:
    files = {"etc/machine-id": "uninitialized\n", "var/lib/dbus/machine-id": MACHINE_ID}
    other = _host(tmp_path / "other", {"etc/machine-id": MACHINE_ID})
    assert _find(_host(tmp_path / "one", files)) == _find(other)


def test_host_without_any_id_keeps_a_random_one(tmp_path: Path) -> None:
    first = _find(tmp_path, random=b"first")
    assert is_agent_id(first)
    assert _find(tmp_path, random=b"second") == first


def test_id_that_cannot_be_stored_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, no folder")
    with pytest.raises(ConfigError, match=r"no machine id, and none can be stored.*Set agent_id"):
        _find(tmp_path)


def test_version_is_that_of_the_installed_package(tmp_path: Path) -> None:
    (tmp_path / "proctor-1.2.3.dist-info").mkdir()
    (tmp_path / "proctor_other-9.dist-info").mkdir()
    assert version([str(tmp_path / "gone"), str(tmp_path)]) == "1.2.3"
    assert version([]) == UNKNOWN


def test_identity_holds_what_names_a_batch() -> None:
    identity = Identity(
        agent_id="h-1", boot_id="ab", hostname=hostname(), version=version(), tags={}
    )
    assert identity.hostname
    assert identity.version
