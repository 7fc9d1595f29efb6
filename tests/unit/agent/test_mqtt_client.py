"""How often the MQTT client looks at its clock."""

import asyncio

import pytest

from agent.sinks.mqtt import LONGEST_LOOK_S, _CalmClient


@pytest.mark.parametrize(("keepalive_s", "pause_s"), [(5, 1.0), (30, 3.0), (3_600, LONGEST_LOOK_S)])
async def test_client_wakes_up_for_its_keepalive_alone(
    keepalive_s: int, pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _CalmClient("127.0.0.1", keepalive=keepalive_s)
    answers = [0, 0, 7]  # success, and a connection that is lost
    pauses: list[float] = []

    async def note(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(client._client, "loop_misc", lambda: answers.pop(0))
    monkeypatch.setattr(asyncio, "sleep", note)
    await client._misc_loop()

    assert pauses == [pause_s, pause_s]
