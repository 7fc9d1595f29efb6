"""Identity: the account and region whose ARNs a store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.arns import Arns, parse
from analyzer.errors import StoreError
from analyzer.model import TargetFilter

if TYPE_CHECKING:
    from analyzer.store import Store


async def identity_of(store: Store) -> Arns:
    """Return the account and region that a store belongs to; the defaults while it is nobody's."""
    async with store.reading() as rows:
        values = await rows.settings.all()
    default = Arns()
    return Arns(values.get("account", default.account), values.get("region", default.region))


async def claim(store: Store, arns: Arns) -> None:
    """Let a store belong to an account and region for ever.

    Raises:
        StoreError: It belongs to another: what it holds has ARNs of that.
    """
    async with store.writing() as rows:
        values = await rows.settings.all()
        owner = Arns(values.get("account", arns.account), values.get("region", arns.region))
        if "account" not in values:
            # Of an older release, opened before any server said whose it is.
            first = await rows.targets.page(TargetFilter(), after=None, limit=1)
            name = parse(first[0][1].arn) if first else None
            owner = Arns(name.account, name.region) if name else arns
        if owner != arns:
            raise StoreError(
                f"the store belongs to account {owner.account} in {owner.region}; serve with "
                f"--account {owner.account} --region {owner.region}, or from another data folder"
            )
        await rows.settings.put("account", arns.account)
        await rows.settings.put("region", arns.region)
