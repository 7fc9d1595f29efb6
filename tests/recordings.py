"""The recording that golden results are made from, and what it is judged by."""

import gzip
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

import zstandard

from analyzer.recording import parse_recorded
from analyzer.recording.judgement import judge_recording
from analyzer.results.document import Result
from rules.loader import Package, load_packages

FOLDER = Path(__file__).parent / "fixtures" / "recordings"
TWO_HOSTS = FOLDER / "two-hosts.ndjson"
GOLDEN = FOLDER / "two-hosts.result.json"
RULES = FOLDER / "rules"
SCHEMA = FOLDER.parent / "result.schema.json"


def packages() -> list[Package]:
    return load_packages(RULES)


def lines_of(path: Path = TWO_HOSTS) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def shuffled(lines: Sequence[bytes], seed: int) -> list[bytes]:
    return random.Random(seed).sample(lines, len(lines))


def judged(
    lines: Sequence[bytes | dict[str, object]],
    *,
    rules: Sequence[Package] | None = None,
    lenient: bool = False,
    max_groups: int | None = 100,
) -> Result:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    data = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in encoded)
    return judge_recording(
        parse_recorded(io.BytesIO(data), lenient=lenient),
        packages() if rules is None else rules,
        lenient=lenient,
        max_groups=max_groups,
    )


def compressed(kind: str, data: bytes) -> bytes:
    return zstandard.compress(data) if kind == "zst" else gzip.compress(data)
