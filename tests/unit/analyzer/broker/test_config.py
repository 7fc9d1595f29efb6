from pathlib import Path

import pytest

from analyzer.broker.binary import BrokerBinary
from analyzer.broker.config import BrokerSettings, render_config
from analyzer.errors import BrokerError
from rules.telemetry.wire import MAX_MESSAGE_BYTES

NEW = BrokerBinary(Path("/opt/nats-server"), (2, 11, 0))
SECRET = "5ec1"  # noqa: S105 (of a test)
OLD = BrokerBinary(Path("/usr/sbin/nats-server"), (2, 9, 10))


def _render(settings: BrokerSettings, binary: BrokerBinary) -> list[str]:
    text = render_config(
        settings, port=1883, folder=Path('/data/"b"'), binary=binary, password=SECRET
    )
    return [line.strip() for line in text.splitlines()]


def test_settings_stand_in_the_file() -> None:
    lines = _render(BrokerSettings(host="::1", max_unacked=7, max_store_bytes=123), NEW)
    assert 'host: "::1"' in lines
    assert "port: 1883" in lines
    assert "max_ack_pending: 7" in lines
    assert "max_file_store: 123" in lines
    assert r'store_dir: "/data/\"b\"/store"' in lines
    assert "sync_interval: always" not in lines


def test_every_message_of_ours_fits() -> None:
    (line,) = [line for line in _render(BrokerSettings(), NEW) if line.startswith("max_payload")]
    assert int(line.split()[1]) > MAX_MESSAGE_BYTES


def test_syncing_always_needs_a_newer_program() -> None:
    settings = BrokerSettings(sync_always=True)
    assert "sync_interval: always" in _render(settings, NEW)
    with pytest.raises(BrokerError, match=r"needs nats-server 2\.10 or newer"):
        _render(settings, OLD)


def test_older_program_gets_no_option_that_it_does_not_know() -> None:
    assert any(line.startswith("logfile_max_num") for line in _render(BrokerSettings(), NEW))
    assert not any(line.startswith("logfile_max_num") for line in _render(BrokerSettings(), OLD))
