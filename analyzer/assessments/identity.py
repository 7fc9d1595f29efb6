"""Identity: whose ARNs a store holds, and how much of everything its server allows.

In: a store. Out: account, region and limits, for whoever works on the store beside the server.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from analyzer.arns import Arns, parse
from analyzer.assessments.limits import Limits
from analyzer.errors import StoreError
from analyzer.model import TargetFilter

if TYPE_CHECKING:
    from analyzer.store import Store

_LIMITS: Final = "limits"
_ID: Final = "id"


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


async def id_in(store: Store) -> str | None:
    """Return what tells a store from every other one; None before ``give_id``."""
    async with store.reading() as rows:
        return await rows.settings.get(_ID)


async def give_id(store: Store) -> str:
    """Return what tells a store from every other one; the first call makes it."""
    async with store.writing() as rows:
        kept = await rows.settings.get(_ID)
        made = kept or secrets.token_hex(16)
        await rows.settings.put(_ID, made)
    return made


async def note_limits(store: Store, limits: Limits) -> None:
    """Let commands keep to the limits of the server, too."""
    async with store.writing() as rows:
        await rows.settings.put(_LIMITS, msgspec.json.encode(limits).decode())


async def limits_in(store: Store) -> Limits:
    """Return the limits of the server that works on a store, or did last; else Inspector's."""
    async with store.reading() as rows:
        text = await rows.settings.get(_LIMITS)
    return Limits() if text is None else msgspec.json.decode(text, type=Limits)
