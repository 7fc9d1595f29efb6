"""Recordings judged again: one or more captures as one run, to a result.

In: paths of recordings. Out: the same result, to the byte, as ``check --events`` of a file with all
of their lines.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError
from analyzer.recording import Recorded, read_recorded
from analyzer.recording.judgement import digests_of, hosts_of, judge_recording
from analyzer.results.document import Digests, Result, merged, to_json
from analyzer.telemetry.dictionary import Dictionary
from analyzer.telemetry.many_hosts import events_by_host

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from analyzer.engine.workers import Workers
    from rules.loader import Package


def replay_recordings(
    paths: Sequence[Path],
    packages: Sequence[Package],
    *,
    workers: Workers,
    max_groups: int | None,
) -> Result:
    """Return what the rules of ``packages`` make of recordings.

    Raises:
        AnalyzerError: A recording cannot be opened, or two of them describe the same host.
        RecordingError: Lines break the contract.
        OSError: Large recordings need temporary files, and there is no room for them.
    """
    recording = read_recordings(paths)
    if workers.is_serial:
        return judge_recording(recording, packages, max_groups=max_groups)
    digests = digests_of(recording, packages, lenient=False, max_groups=max_groups)
    sizes = Counter(dict.fromkeys(hosts_of(recording), 0))
    sizes.update(events_by_host(recording.tables))
    judge = partial(
        judge_files,
        paths=tuple(paths),
        packages=tuple(packages),
        digests=digests,
        max_groups=max_groups,
    )
    return merged(workers.judge(lambda agents: partial(judge, agents), sizes))


def judge_files(
    agents: Collection[str],
    *,
    paths: Sequence[Path],
    packages: Sequence[Package],
    digests: Digests,
    max_groups: int | None,
) -> bytes:
    """Return the result document of some hosts of recordings; a plain function of files and values.

    Every file is read, for the run's interval is that of all hosts.
    """
    result = judge_recording(
        read_recordings(paths), packages, max_groups=max_groups, digests=digests, agents=agents
    )
    return to_json(result)


def read_recordings(paths: Sequence[Path]) -> Recorded:
    """Return everything that recordings hold, as one.

    Raises:
        AnalyzerError: One cannot be opened, or two have a header of the same host.
        RecordingError: Lines break the contract.
    """
    whole = Recorded([], Dictionary(), {}, [], 0)
    for path in paths:
        try:
            part = read_recorded(path, dictionary=whole.dictionary)
        except OSError as error:
            raise AnalyzerError(f"cannot read {path}: {error.strerror}") from error
        twice = sorted(whole.headers.keys() & part.headers.keys())
        if twice:
            raise AnalyzerError(
                f"{path} has a header of {twice[0]}, and so has a recording named before it: a "
                "host has one interval per run; replay them one by one"
            )
        whole.tables.extend(part.tables)
        whole.headers.update(part.headers)
        whole.coverage.extend(part.coverage)
    return whole
