"""A notifier without a network: keeps what it was given, for tests."""

from __future__ import annotations

from analyzer.errors import DeliveryError
from analyzer.notify.destination import Destination
from analyzer.notify.notice import Notice


class MemoryNotifier:
    """Takes every notice, but for destinations that were told to fail."""

    def __init__(self) -> None:
        """Start empty."""
        self.delivered: list[tuple[str, Notice]] = []
        self.failures: dict[str, DeliveryError] = {}

    async def deliver(self, notice: Notice, to: Destination) -> None:
        """Keep a notice with its address.

        Raises:
            DeliveryError: The address stands in ``failures``.
        """
        failure = self.failures.get(to.address)
        if failure is not None:
            raise failure
        self.delivered.append((to.address, notice))

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""
