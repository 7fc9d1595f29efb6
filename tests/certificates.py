"""Certificates for tests, made by the cryptography library."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
VALID_TO = datetime(2027, 1, 1, tzinfo=UTC)
Hash = hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512


@cache
def private_key(kind: str) -> CertificateIssuerPrivateKeyTypes:
    """Return one key of a kind, made once: ``rsa-2048``, ``ec-secp384r1``, ``ed25519``, …"""
    family, _, size = kind.partition("-")
    if family == "rsa":
        return rsa.generate_private_key(65_537, int(size))
    if family == "ec":
        curves: dict[str, type[ec.EllipticCurve]] = {
            "secp256r1": ec.SECP256R1,
            "secp384r1": ec.SECP384R1,
            "secp521r1": ec.SECP521R1,
            "secp256k1": ec.SECP256K1,
            "brainpoolp256r1": ec.BrainpoolP256R1,
        }
        return ec.generate_private_key(curves[size]())
    if family == "dsa":
        return dsa.generate_private_key(int(size))
    if family == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return ed25519.Ed25519PrivateKey.generate()


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_certificate(
    kind: str = "ed25519",
    *,
    subject: x509.Name | None = None,
    issuer: x509.Name | None = None,
    not_before: datetime = VALID_FROM,
    not_after: datetime = VALID_TO,
    algorithm: Hash | None = None,
    with_pss: bool = False,
) -> x509.Certificate:
    """Return a certificate signed with its own key, whatever its issuer says."""
    key = private_key(kind)
    subject = subject if subject is not None else name_of("service.example")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if kind.startswith("ed"):
        return builder.sign(key, None)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if with_pss else None
    return builder.sign(key, algorithm or hashes.SHA256(), rsa_padding=scheme)


def der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def write_pair(folder: Path, kind: str, *, days_left: int = 30) -> tuple[Path, Path]:
    """Write a certificate that ends in ``days_left`` days, and its key, as PEM files."""
    now = datetime.now(UTC)
    certificate = make_certificate(
        kind,
        not_before=now - timedelta(days=400),
        not_after=now + timedelta(days=days_left),
    )
    paths = folder / f"{kind}.crt", folder / f"{kind}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        private_key(kind).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
