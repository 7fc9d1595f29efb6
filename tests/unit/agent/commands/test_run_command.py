"""What ``proctor-agent run`` opens before it runs."""

import gc
import sys
import tomllib
from pathlib import Path

import pytest

from agent.cli import DONE, USAGE, main
from agent.commands.run import (
    GARBAGE_THRESHOLDS,
    TURN_S,
    collecting_garbage_seldom,
    make_identity,
    open_parts,
    taking_long_turns,
)
from agent.config import Settings
from agent.errors import ConfigError, SpoolError


def test_print_config_shows_settings_and_their_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--print-config", "--in-flight", "7"]) == DONE
    text = capsys.readouterr().out
    assert tomllib.loads(text)["in_flight"] == 7
    assert "(--in-flight)" in text


def test_identity_is_new_in_each_process_but_for_the_host(tmp_path: Path) -> None:
    settings = Settings(agent_id="web-1", state_dir=str(tmp_path / "a" / "b"), tags={"k": "v"})
    one, two = make_identity(settings), make_identity(settings)
    assert one.agent_id == two.agent_id == "web-1"
    assert one.boot_id != two.boot_id
    assert len(one.boot_id) == 32
    assert one.tags == {"k": "v"}


def test_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(state_dir=str(tmp_path / "file" / "state"))
    with pytest.raises(ConfigError, match=r"cannot be made: .*--state-dir"):
        make_identity(settings)


def test_second_agent_with_the_same_state_folder_is_refused(tmp_path: Path) -> None:
    settings = Settings(agent_id="web-1", state_dir=str(tmp_path), spool_sync=False)
    with open_parts(settings), pytest.raises(SpoolError, match="another"), open_parts(settings):
        pass
    with open_parts(settings):  # the first has let go of it
        pass


def test_certificates_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.pem")
    flags = ["--state-dir", str(tmp_path), "--broker-url", "mqtts://b", "--broker-ca-file", gone]
    assert main(["run", *flags]) == USAGE


def test_garbage_is_looked_for_seldom_while_an_agent_runs() -> None:
    before = gc.get_threshold()
    with collecting_garbage_seldom():
        assert gc.get_threshold() == GARBAGE_THRESHOLDS
        assert gc.get_freeze_count()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_threads_change_places_seldom_while_an_agent_runs() -> None:
    before = sys.getswitchinterval()
    with taking_long_turns():
        assert sys.getswitchinterval() == pytest.approx(TURN_S)
    assert sys.getswitchinterval() == before
