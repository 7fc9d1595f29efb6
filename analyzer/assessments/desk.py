"""What every part of the desk needs: store, ARNs, rules packages, limits, clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from analyzer.arns import Arn, Arns, EntityKind, parse
from analyzer.assessments.limits import Limits
from analyzer.errors import InvalidInputError, NoSuchEntityError, RunInProgressError
from analyzer.model import Found, new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from analyzer.model import Target, Template
    from analyzer.store import Rows, Store
    from rules.loader import Package
    from rules.telemetry import Clock

T = TypeVar("T")


class Desk:
    """The parts that use cases share.

    Attributes:
        arns: The account and region whose ARNs are known here.
        limits: How many of everything there may be.
    """

    def __init__(
        self,
        store: Store,
        *,
        arns: Arns,
        packages: Sequence[Package],
        clock: Clock,
        limits: Limits | None = None,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        """Use a store that is open.

        Args:
            store: Where everything is kept.
            arns: The server's account and region.
            packages: The rules packages that templates may name.
            clock: Time.
            limits: How many of everything there may be; None = Inspector's.
            make_id: Gives fresh ids.
        """
        self._store = store
        self._packages = {package.id: package for package in packages}
        self._clock = clock
        self._make_id = make_id
        self.arns = arns
        self.limits = limits or Limits()

    def _named(self, arn: str, kind: EntityKind) -> Arn:
        """Return an ARN of one kind taken apart.

        Raises:
            InvalidInputError: It is no ARN of that kind.
            NoSuchEntityError: It is of another account or region.
        """
        name = parse(arn)
        if name is None or name.kind is not kind:
            raise InvalidInputError(
                f"INVALID_{kind.value}_ARN", f"{arn!r} is no {kind.words}'s ARN"
            )
        if not self.arns.is_own(name):
            raise NoSuchEntityError(kind, arn)
        return name

    async def _found(
        self, arns: Sequence[str], kind: EntityKind, get: Callable[[str], Awaitable[T | None]]
    ) -> Found[T]:
        """Return what a batch of ARNs names, and a failure code for each that names nothing."""
        items: list[T] = []
        failed: dict[str, str] = {}
        seen: set[str] = set()
        for arn in arns:
            name = parse(arn)
            item = None
            if arn in seen:
                failed[arn] = "DUPLICATE_ARN"
            elif name is None or name.kind is not kind:
                failed[arn] = "INVALID_ARN"
            elif not self.arns.is_own(name) or (item := await get(arn)) is None:
                failed[arn] = "ITEM_DOES_NOT_EXIST"
            if item is not None:
                items.append(item)
            seen.add(arn)
        return Found(tuple(items), failed)

    async def _target(self, rows: Rows, arn: str) -> Target:
        self._named(arn, EntityKind.TARGET)
        return existing(await rows.targets.get(arn), EntityKind.TARGET, arn)

    async def _template(self, rows: Rows, arn: str) -> Template:
        self._named(arn, EntityKind.TEMPLATE)
        return existing(await rows.templates.get(arn), EntityKind.TEMPLATE, arn)


def existing(item: T | None, kind: EntityKind, arn: str) -> T:
    """Return what was found.

    Raises:
        NoSuchEntityError: Nothing was.
    """
    if item is None:
        raise NoSuchEntityError(kind, arn)
    return item


async def require_idle(rows: Rows, arn: str) -> None:
    """Refuse to go on while runs of a target or template are active.

    Raises:
        RunInProgressError: Some are.
    """
    active = await rows.runs.active(within=arn)
    if active:
        raise RunInProgressError(tuple(run.arn for run in active))
