"""`proctor keys`: profiles made, shown and revoked."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyzer.access import CredentialsFile, Role, new_key
from analyzer.commands.keys import app


@pytest.fixture
def file(tmp_path: Path) -> CredentialsFile:
    return CredentialsFile(tmp_path / "data" / "credentials")


def run(file: CredentialsFile, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*arguments, "--data", str(file.path.parent)])
    return result.exit_code, result.output


def test_added_key_is_a_profile(file: CredentialsFile) -> None:
    code, output = run(file, "add", "terraform")

    assert code == 0
    assert f"export AWS_SHARED_CREDENTIALS_FILE={file.path} AWS_PROFILE=terraform\n" in output
    (key,) = file.read()
    assert (key.name, key.role, key.token) == ("terraform", Role.FULL, None)
    assert key.secret not in output


def test_key_for_a_while_has_a_token(file: CredentialsFile) -> None:
    assert run(file, "add", "guest", "--read-only", "--for", "1h")[0] == 0

    (key,) = file.read()
    assert key.role is Role.READ_ONLY
    assert key.token
    assert key.expires_us


@pytest.mark.parametrize("text", ["soon", "1s", "8d"])
def test_time_must_be_one(file: CredentialsFile, text: str) -> None:
    code, output = run(file, "add", "guest", "--for", text)

    assert code == 2
    assert f"--for {text}" in output


def test_list_shows_no_secrets(file: CredentialsFile) -> None:
    assert "No keys yet" in run(file, "list")[1]
    run(file, "add", "proctor")
    file.add(new_key("ended", expires_us=1), now_us=0)
    secrets = [key.secret for key in file.read()]

    table = run(file, "list")[1]
    rows = json.loads(run(file, "list", "-o", "json")[1])

    assert [(row["name"], row["state"]) for row in rows] == [
        ("proctor", "active"),
        ("ended", "expired"),
    ]
    assert "until revoked" in table
    assert not any(secret in table or secret in json.dumps(rows) for secret in secrets)


def test_revoked_key_is_gone(file: CredentialsFile) -> None:
    run(file, "add", "proctor")

    assert run(file, "revoke", "proctor")[0] == 0
    assert file.read() == ()
    assert run(file, "revoke", "proctor")[0] == 2
