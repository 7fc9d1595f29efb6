"""TLS sessions of a host, some of them breaking a rule, some in bursts.

In: a host and how many rows. Out: a draft of ``tls_session`` rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.fleet import names
from benchmarks.fleet.draft import Draft
from benchmarks.fleet.draw import Ints, chosen, moments, skewed
from benchmarks.fleet.shape import DAY_US, START_US

if TYPE_CHECKING:
    from benchmarks.fleet.world import Host, World

_OUTBOUND, _NEW, _UNSEEN_12, _SELF_SIGNED = 0.7, 0.7, 0.1, 0.002
_EPHEMERAL: Final = (32_768, 61_000)
_BOOLEANS: Final = (1, 2)  # codes of false and true
_NULL: Final = 0


def draw_sessions(rng: np.random.Generator, world: World, host: Host, count: int) -> Draft:
    """Return sessions that break no rule."""
    ts_us = moments(rng, count)
    rows = Draft("tls_session", ts_us, host.pick(rng, ts_us))
    outbound = rng.random(count) < _OUTBOUND
    ephemeral = rng.integers(*_EPHEMERAL, count)
    rows.put(
        "direction",
        np.where(outbound, rows.code("direction", "outbound"), rows.code("direction", "inbound")),
    )
    rows.put("local_address", host.address)
    rows.put("local_port", np.where(outbound, ephemeral, 443))
    peers = np.where(rng.random(count) < 0.5, 0, 1)  # noqa: PLR2004
    place = skewed(rng, count, 400) + host.number * 97
    rows.put(
        "remote_address",
        np.where(
            peers == 0,
            world.private[place % len(world.private)],
            world.public[place % len(world.public)],
        ),
    )
    rows.put("remote_port", np.where(outbound, 443, ephemeral))
    rows.put("handshake", rows.code("handshake", "answered"))
    _put_versions(rng, world, rows)
    server = world.ids(names.SERVER_NAMES)[skewed(rng, count, len(names.SERVER_NAMES), power=2)]
    rows.put("server_name", server)
    rows.put("alpn", world.ids(("h2", "http/1.1"))[skewed(rng, count, 2, power=1.5)])
    client = skewed(rng, count, names.FINGERPRINTS)
    for name, fingerprints in zip(("ja3", "ja4"), world.fingerprints, strict=True):
        rows.put(name, fingerprints[client])
    _put_certificates(rng, world, rows)
    rows.put("attribution", rows.code("attribution", "exact"))
    rows.put("source", rows.code("source", "packets"))
    return rows


def break_rules(
    rng: np.random.Generator, world: World, host: Host, rows: Draft, *, violating: int
) -> None:
    """Turn one session in so many into one that a rule on single events looks for."""
    del host
    places = chosen(rng, len(rows), one_in=violating)
    which = rng.integers(0, len(_FAULTS), len(places))
    for number, fault in enumerate(_FAULTS):
        at = places[which == number]
        if len(at):
            fault(rng, world, rows, at)


def sign_themselves(rows: Draft, at: Ints) -> None:
    """Give sessions a certificate of their own."""
    rows["cert_self_signed"][at] = _BOOLEANS[1]
    rows["cert_issuer"][at] = rows["cert_subject"][at]


def _put_versions(rng: np.random.Generator, world: World, rows: Draft) -> None:
    new = rng.random(len(rows)) < _NEW
    rows.put(
        "tls_version",
        np.where(
            new, rows.code("tls_version", names.TLS_13), rows.code("tls_version", names.TLS_12)
        ),
    )
    which = skewed(rng, len(rows), 3, power=1.5) + np.where(new, 0, 3)
    suites = (*names.CIPHERS_13, *names.CIPHERS_12)
    rows.put("cipher_code", np.array([number for number, _ in suites])[which])
    rows.put("cipher_suite", world.ids([name for _, name in suites])[which])


def _put_certificates(rng: np.random.Generator, world: World, rows: Draft) -> None:
    """Set certificate columns where a passive sensor can see one: up to TLS 1.2."""
    count = len(rows)
    encrypted = rows["tls_version"] == rows.code("tls_version", names.TLS_13)
    resumed = ~encrypted & (rng.random(count) < _UNSEEN_12)
    seen = ~(encrypted | resumed)
    which = np.where(
        encrypted, rows.code("cert_unseen", "encrypted"), rows.code("cert_unseen", "resumed")
    )
    rows.put("cert_unseen", np.where(seen, _NULL, which))
    subjects = world.subjects
    table = np.zeros(len(world.dictionary.texts), np.uint32)
    table[list(subjects)] = list(subjects.values())
    rows.put("cert_subject", np.where(seen, table[rows["server_name"]], _NULL))
    issuer = world.ids(names.ISSUERS)[skewed(rng, count, len(names.ISSUERS), power=1)]
    rows.put("cert_issuer", np.where(seen, issuer, _NULL))
    left_us = rng.integers(30, 398, count) * DAY_US
    rows.put("cert_not_before_us", START_US + left_us - 398 * DAY_US, valid=seen)
    rows.put("cert_not_after_us", START_US + left_us, valid=seen)
    rows.put("cert_self_signed", np.where(seen, _BOOLEANS[0], _NULL))
    sign_themselves(rows, np.flatnonzero(seen & (rng.random(count) < _SELF_SIGNED)))
    key = skewed(rng, count, len(names.KEYS), power=1)
    kinds = world.ids([kind for kind, _ in names.KEYS])[key]
    rows.put("cert_key_type", np.where(seen, kinds, _NULL))
    rows.put("cert_key_bits", np.array([bits for _, bits in names.KEYS])[key], valid=seen)
    rows.put("cert_signature", np.where(seen, world.ids(names.SIGNATURES)[key], _NULL))


def _show_certificate(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    """Make the sessions TLS 1.2 ones with a certificate that was seen."""
    rows["tls_version"][at] = rows.code("tls_version", names.TLS_12)
    suites = names.CIPHERS_12[:1]
    rows["cipher_code"][at] = suites[0][0]
    rows["cipher_suite"][at] = world.id(suites[0][1])
    rows["cert_unseen"][at] = _NULL
    rows["cert_self_signed"][at] = _BOOLEANS[0]
    rows["cert_issuer"][at] = world.id(names.ISSUERS[0])
    subjects = world.subjects
    rows["cert_subject"][at] = [subjects[name] for name in rows["server_name"][at].tolist()]
    rows["cert_key_type"][at] = world.id("rsa")
    rows["cert_signature"][at] = world.id(names.SIGNATURES[1])
    not_after_us = START_US + rng.integers(30, 398, len(at)) * DAY_US
    rows.set_numbers("cert_not_after_us", at, not_after_us)
    rows.set_numbers("cert_not_before_us", at, not_after_us - 398 * DAY_US)
    rows.set_numbers("cert_key_bits", at, 2_048)


def _old_version(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    rows["direction"][at] = rows.code("direction", "outbound")
    rows["tls_version"][at] = rng.choice(rows.codes("tls_version", names.OLD_TLS), len(at))


def _weak_cipher(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    which = rng.integers(0, len(names.WEAK_CIPHERS), len(at))
    rows["cipher_code"][at] = np.array([code for code, _ in names.WEAK_CIPHERS])[which]
    rows["cipher_suite"][at] = world.ids([name for _, name in names.WEAK_CIPHERS])[which]


def _name(world: World, rows: Draft, at: Ints, servers: Ints) -> None:
    rows["server_name"][at] = servers
    subjects = world.subjects
    rows["cert_subject"][at] = [subjects[name] for name in rows["server_name"][at].tolist()]


def _self_signed_prod(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    pool = world.ids(names.PROD_SERVER_NAMES).astype(np.int64)
    _name(world, rows, at, rng.choice(pool, len(at)))
    sign_themselves(rows, at)


def _odd_name(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    pool = world.ids(names.ODD_SERVER_NAMES).astype(np.int64)
    _name(world, rows, at, rng.choice(pool, len(at)))


def _ends_soon(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    rows["cert_not_after_us"][at] = rows.ts_us[at] + rng.integers(DAY_US, 6 * DAY_US, len(at))


def _ended(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    rows["cert_not_after_us"][at] = rows.ts_us[at] - rng.integers(DAY_US, 90 * DAY_US, len(at))


def _short_key(rng: np.random.Generator, world: World, rows: Draft, at: Ints) -> None:
    _show_certificate(rng, world, rows, at)
    rows["cert_key_bits"][at] = 1_024


_FAULTS: Final = (
    _old_version,
    _weak_cipher,
    _self_signed_prod,
    _odd_name,
    _ends_soon,
    _ended,
    _short_key,
)
