"""Set-up of every test: hypothesis profiles, service programs, blocking calls."""

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

from tests.services import find_program, missing_reason

TESTS = Path(__file__).parent
IN_CI = os.environ.get("CI", "").lower() not in {"", "0", "false"}
REAL_SERVICES = ("integration", "e2e")  # folders, and the markers of what stands in them

for name in ("COLUMNS", "LINES"):  # processes that run tests side by side set them
    os.environ.pop(name, None)

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50, print_blob=True)
settings.register_profile("fuzz", deadline=None, max_examples=20_000)
settings.load_profile("ci" if IN_CI else "dev")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in tests/integration and tests/e2e, so that no test can forget it."""
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0]
        if folder in REAL_SERVICES:
            item.add_marker(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped integration or e2e test into a failed one in CI."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        mark = next(filter(item.get_closest_marker, REAL_SERVICES), None)
        if mark:
            report.outcome = "failed"
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
            report.longrepr = f"{mark} tests are never skipped in CI. {reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why a test had to run again: what depends on luck is a defect, of test or program."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"{report.nodeid} ran again, as it failed first", "-")
        terminalreporter.line(report.longreprtext)


@pytest.fixture(scope="session")
def service() -> Callable[[str], Path]:
    """Return a function that gives a program's path, and skips the test where it is missing."""

    def path_of(name: str) -> Path:
        found = find_program(name)
        if found is None:
            pytest.skip(missing_reason(name))
        return found

    return path_of


@pytest.fixture(scope="session")
def blocking_detector() -> BlockBuster:
    """Return the detector of calls that block the event loop from inside our packages."""
    detector = BlockBuster(["agent", "analyzer", "rules"])
    for name in ("threading.Lock.acquire", "threading.Lock.acquire_lock"):
        # Where coverage is measured, its own lock is taken inside of our functions.
        detector.functions[name].can_block_in("coverage/collector.py", "lock_data")
    return detector


@pytest.fixture(autouse=True)
def _no_blocking_calls(
    request: pytest.FixtureRequest, blocking_detector: BlockBuster
) -> Iterator[None]:
    if request.node.get_closest_marker("allow_blocking"):
        yield
        return
    blocking_detector.activate()
    yield
    blocking_detector.deactivate()
