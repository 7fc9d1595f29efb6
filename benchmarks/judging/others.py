"""Others: one peer, measured as it stands.

In: a task that names it. Out: what loading and judging cost it, and its counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.judging.task import Measured, Stopwatch, Task, peak_rss_bytes, quickest
from benchmarks.peers.catalogue import PEERS, peer_version
from benchmarks.peers.peer import PeerData

if TYPE_CHECKING:
    from benchmarks.peers.peer import Counts


def measure_peer(task: Task) -> Measured:
    """Return what a peer reaches on a task's data with the rules that it can judge."""
    peer_type = next(peer for peer in PEERS if peer.name == task.peer)
    version = peer_version(peer_type)
    if version is None:
        return Measured(problem=f"not installed: pip install {peer_type.package}")
    fleet = task.fleet()
    data = PeerData(fleet, task.hosts)
    peer = peer_type()
    with Stopwatch() as compiling:
        peer.prepare(task.pack())
    if peer_type.sample_events is None:
        _ = data.parquet  # is no part of loading
    with Stopwatch() as loading:
        peer.load(data)
    counts: Counts = {}

    def judge() -> Stopwatch:
        nonlocal counts
        with Stopwatch() as watch:
            counts = peer.run()
        return watch

    watch = quickest(task.rounds, judge)
    return Measured(
        events=sum(piece.events for piece in fleet.pieces(max_events=1 << 40, hosts=task.hosts)),
        judge_s=watch.cpu_s,
        judge_wall_s=watch.wall_s,
        load_s=loading.cpu_s,
        compile_s=compiling.cpu_s,
        counts=counts,
        engine=f"{peer_type.name} {version}",
        peak_rss_bytes=peak_rss_bytes(),
    )
