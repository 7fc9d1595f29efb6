import builtins
import importlib
import threading
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from rules.errors import WireError
from rules.telemetry import compression
from rules.telemetry.compression import Method, pack, unpack

BODY = b"proctor " * 100
METHODS: tuple[Method, ...] = ("zstd", "zlib")


def packed(method: Method, monkeypatch: pytest.MonkeyPatch) -> bytes:
    with monkeypatch.context() as patch:
        patch.setattr(compression, "_HAS_ZSTD", method == "zstd")
        used, data = pack(BODY)
    assert used == method
    return data


@pytest.mark.parametrize("method", METHODS)
def test_a_body_comes_back(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(method, monkeypatch)
    assert len(data) < len(BODY) // 2
    assert unpack(memoryview(data), method=method, size_bytes=len(BODY)) == BODY


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size_bytes", [0, 1, len(BODY) - 1, len(BODY) + 1, 10**6])
def test_another_size_than_stated_is_refused(
    method: Method, size_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WireError) as caught:
        unpack(packed(method, monkeypatch), method=method, size_bytes=size_bytes)
    assert caught.value.reason in {"count", "compression"}


@pytest.mark.parametrize("method", METHODS)
def test_broken_data_is_refused(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(method, monkeypatch)
    broken = [data[:size] for size in range(len(data))] + [data + b"\0", data + data, b"\0" * 40]
    flips = range(len(data))
    broken += [data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :] for at in flips]
    for wrong in broken:
        with suppress(WireError):
            assert unpack(wrong, method=method, size_bytes=len(BODY)) == BODY


def test_without_zstandard_a_host_sends_zlib_and_refuses_zstd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = packed("zstd", monkeypatch)
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> ModuleType:  # noqa: ANN401
        if name == "zstandard":
            raise ImportError(name)
        return real(name, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without)
        importlib.reload(compression)
    try:
        assert compression.pack(BODY)[0] == "zlib"
        with pytest.raises(WireError, match="not installed"):
            compression.unpack(data, method="zstd", size_bytes=len(BODY))
    finally:
        importlib.reload(compression)


def test_threads_do_not_share_a_compressor() -> None:
    done: list[bytes] = []
    threads = [threading.Thread(target=lambda: done.append(pack(BODY)[1])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [pack(BODY)[1]] * 4
