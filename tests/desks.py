"""A desk over a store in memory, with a clock moved by hand and ids that count up."""

from itertools import count

from analyzer.arns import Arns
from analyzer.assessments import Assessments, Limits
from analyzer.model import Agent
from analyzer.store import MemoryStore, Store
from rules.loader import load_packages
from rules.telemetry import ManualClock

S = 1_000_000
START_US = 1_763_955_300 * S
ARNS = Arns("111122223333", "eu-west-1")
PACKAGES = load_packages()


def make_desk(
    store: Store | None = None, *, limits: Limits | None = None, clock: ManualClock | None = None
) -> Assessments:
    """Return a desk; two desks that are made alike give the same ids."""
    numbers = count(1)
    return Assessments(
        store or MemoryStore(),
        arns=ARNS,
        packages=PACKAGES,
        clock=clock or ManualClock(START_US),
        limits=limits,
        make_id=lambda: f"0-{next(numbers):08}",
    )


def make_agent(agent_id: str = "i-1", **tags: str) -> Agent:
    """Return an agent that is connected and idle."""
    return Agent(
        agent_id=agent_id,
        boot_id="boot",
        hostname=f"host-{agent_id}",
        version="0.1.0",
        tags=tags,
        is_online=True,
        is_collecting=False,
        last_seen_us=START_US,
    )
