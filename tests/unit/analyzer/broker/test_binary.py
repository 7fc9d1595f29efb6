import sys
from pathlib import Path

import pytest

from analyzer.broker.binary import choose_binary, find_binary
from analyzer.errors import BrokerError


def _program(folder: Path, name: str, says: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return path


def test_first_program_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    old = _program(tmp_path, "old", "nats-server: v2.8.4")
    good = _program(tmp_path, "good", "nats-server: v2.10.27")
    newer = _program(tmp_path, "newer", "nats-server: v3.0.0-beta.1")
    binary = choose_binary([tmp_path / "missing", old, good, newer])
    assert (binary.path, binary.version) == (good, (2, 10, 27))


def test_error_says_what_is_wrong_with_each_and_names_the_remedy(tmp_path: Path) -> None:
    old = _program(tmp_path, "old", "nats-server: v2.8.4")
    other = _program(tmp_path, "other", "hello")
    with pytest.raises(BrokerError) as caught:
        choose_binary([tmp_path / "missing", old, other])
    message = str(caught.value)
    assert f"{tmp_path}/missing cannot be run: No such file or directory" in message
    assert f"{old} is 2.8.4, older than 2.9.0" in message
    assert f"{other} is no nats-server" in message
    assert "pip install 'proctor[analyzer]'" in message
    assert "apt install nats-server" in message


def test_named_program_is_the_only_candidate(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="missing cannot be run"):
        find_binary(tmp_path / "missing")


def test_program_on_the_path_comes_before_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = _program(tmp_path / "venv", "nats-server", "nats-server: v2.12.0")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", "/bin")
    assert find_binary().path == wheel
    on_path = _program(tmp_path / "bin", "nats-server", "nats-server: v2.11.0")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/bin")
    assert find_binary().path == on_path


def test_nothing_installed_is_said_so() -> None:
    with pytest.raises(BrokerError, match="no nats-server is installed"):
        choose_binary([])


def test_program_that_does_not_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analyzer.broker.binary._VERSION_TIMEOUT_S", 0.001)
    path = tmp_path / "slow"
    path.write_text("#!/bin/sh\nread forever </dev/zero\n")
    path.chmod(0o700)
    with pytest.raises(BrokerError, match="slow did not tell its version"):
        choose_binary([path])
