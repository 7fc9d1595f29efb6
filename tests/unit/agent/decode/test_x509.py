from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from agent.decode.x509 import (
    MAX_CERTIFICATE_BYTES,
    MAX_NAME_BYTES,
    CertificateFacts,
    read_certificate,
)
from agent.errors import DecodeError
from tests.certificates import Hash, der_of, make_certificate, name_of


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes(3, "big")
    return bytes([tag, 0x83]) + length + content


ED25519 = tlv(0x30, bytes.fromhex("06032b6570"))
COMMON_NAME = bytes.fromhex("0603550403")
UTC_TIMES = tlv(0x30, tlv(0x17, b"260101000000Z"), tlv(0x17, b"270101000000Z"))
KEY = tlv(0x30, ED25519, tlv(0x03, bytes(33)))


def name(*values: bytes) -> bytes:
    return tlv(0x30, *(tlv(0x31, tlv(0x30, COMMON_NAME, value)) for value in values))


def certificate(
    *,
    version: bytes = b"",
    subject: bytes = name(tlv(0x0C, b"a")),
    validity: bytes = UTC_TIMES,
    key: bytes = KEY,
    signature: bytes = ED25519,
) -> bytes:
    """Build a certificate of version 1 by hand, so that any part of it can be odd."""
    issuer = name(tlv(0x0C, b"a"))
    content = tlv(0x30, version, b"\x02\x01\x07", signature, issuer, validity, subject, key)
    return tlv(0x30, content, signature, tlv(0x03, bytes(65)))


def test_facts_of_a_certificate() -> None:
    der = der_of(make_certificate("ec-secp256r1", issuer=name_of("Example CA")))

    assert read_certificate(der) == CertificateFacts(
        subject="CN=service.example",
        issuer="CN=Example CA",
        not_before_us=1_767_225_600_000_000,
        not_after_us=1_798_761_600_000_000,
        self_signed=False,
        key_type="ec",
        key_bits=256,
        signature="ecdsa-with-SHA256",
    )


@pytest.mark.parametrize(
    ("kind", "key_type", "key_bits"),
    [
        ("rsa-2048", "rsa", 2_048),
        ("dsa-1024", "dsa", 1_024),
        ("ec-secp384r1", "ec", 384),
        ("ec-secp521r1", "ec", 521),
        ("ec-secp256k1", "ec", 256),
        ("ec-brainpoolp256r1", "ec", 256),
        ("ed25519", "ed25519", 256),
        ("ed448", "ed448", 456),
    ],
)
@pytest.mark.timeout(60)  # keys with a modulus take their time
def test_keys(kind: str, key_type: str, key_bits: int) -> None:
    facts = read_certificate(der_of(make_certificate(kind)))

    assert (facts.key_type, facts.key_bits) == (key_type, key_bits)
    assert facts.self_signed


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [
        ("rsa-2048", hashes.SHA224()),
        ("rsa-2048", hashes.SHA384()),
        ("rsa-2048", hashes.SHA512()),
        ("ec-secp256r1", hashes.SHA224()),
        ("ec-secp256r1", hashes.SHA512()),
        ("dsa-1024", hashes.SHA256()),
    ],
)
def test_signature_has_the_registered_name(kind: str, algorithm: Hash) -> None:
    made = make_certificate(kind, algorithm=algorithm)

    assert read_certificate(der_of(made)).signature == made.signature_algorithm_oid._name


def test_signature_with_pss() -> None:
    made = make_certificate("rsa-2048", with_pss=True)

    assert read_certificate(der_of(made)).signature == "RSASSA-PSS"


def test_unknown_algorithms_are_named_by_number() -> None:
    unknown = tlv(0x30, bytes.fromhex("06042a030405"))
    der = certificate(signature=unknown, key=tlv(0x30, unknown, tlv(0x03, bytes(9))))

    facts = read_certificate(der)

    assert (facts.key_type, facts.key_bits, facts.signature) == ("1.2.3.4.5", None, "1.2.3.4.5")


@pytest.mark.parametrize("parameters", [b"", tlv(0x30), tlv(0x06, b"\x2a\x03\x04")])
def test_curve_that_is_not_known_has_no_size(parameters: bytes) -> None:
    algorithm = tlv(0x30, bytes.fromhex("06072a8648ce3d0201"), parameters)
    facts = read_certificate(certificate(key=tlv(0x30, algorithm, tlv(0x03, bytes(66)))))

    assert (facts.key_type, facts.key_bits) == ("ec", None)


def test_inherited_dsa_parameters_leave_no_size() -> None:
    algorithm = tlv(0x30, bytes.fromhex("06072a8648ce380401"))
    facts = read_certificate(certificate(key=tlv(0x30, algorithm, tlv(0x03, bytes(66)))))

    assert (facts.key_type, facts.key_bits) == ("dsa", None)


def test_names_of_many_parts_equal_those_of_cryptography() -> None:
    parts = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
        x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "example"),
        x509.NameAttribute(NameOID.STREET_ADDRESS, 'a "b" <c>; d'),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ops@service.example"),
        x509.NameAttribute(NameOID.USER_ID, " #x\\ "),
        x509.NameAttribute(NameOID.LOCALITY_NAME, "Zürich", _ASN1Type.BMPString),
        x509.NameAttribute(NameOID.TITLE, "\N{GREEK SMALL LETTER PI}", _ASN1Type.UniversalString),
        x509.NameAttribute(NameOID.COMMON_NAME, "a+b,c=d\0"),
    ]
    many = x509.Name([*parts[:2], x509.NameAttribute(NameOID.ORGANIZATION_NAME, "#O"), *parts[2:]])
    pairs = x509.Name([x509.RelativeDistinguishedName(parts[:3])])
    made = make_certificate(subject=many, issuer=pairs)

    facts = read_certificate(der_of(made))

    assert facts.subject == made.subject.rfc4514_string()
    assert facts.issuer == made.issuer.rfc4514_string()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (tlv(0x0C, b""), "CN="),
        (tlv(0x0C, b" "), "CN=\\ "),
        (tlv(0x0C, b"  "), "CN=\\ \\ "),
        (tlv(0x0C, b"\x1b[2J\x7f"), "CN=\\1B[2J\\7F"),
        (tlv(0x0C, "\x9b2J".encode()), "CN=\\C2\\9B2J"),
        (tlv(0x16, b"\x9b2J"), "CN=\\C2\\9B2J"),
        (tlv(0x1E, "moc.\u202eelpmaxe".encode("utf-16-be")), "CN=moc.\\E2\\80\\AEelpmaxe"),
        (tlv(0x14, b"\xe9t\xe9"), "CN=été"),
        (tlv(0x13, "été".encode()), "CN=été"),
        (tlv(0x1E, b"\xd8\x00"), "CN=\N{REPLACEMENT CHARACTER}"),
        (tlv(0x03, b"\x00\x01"), "CN=#03020001"),
        (tlv(0x30, b"\x05\x00"), "CN=#30020500"),
    ],
)
def test_odd_values(value: bytes, text: str) -> None:
    assert read_certificate(certificate(subject=name(value))).subject == text


def test_empty_names_are_equal() -> None:
    made = make_certificate(subject=x509.Name([]))
    facts = read_certificate(der_of(made))

    assert (facts.subject, facts.self_signed) == ("", True)


@pytest.mark.parametrize("year", [1950, 1999, 2049, 2050, 9999])
def test_times_of_both_forms(year: int) -> None:
    moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    begin = datetime(1950, 1, 1, tzinfo=UTC)
    facts = read_certificate(der_of(make_certificate(not_before=begin, not_after=moment)))

    assert facts.not_after_us == round(moment.timestamp()) * 1_000_000
    assert facts.not_before_us == round(begin.timestamp()) * 1_000_000


@pytest.mark.parametrize(
    "moment",
    [
        tlv(0x17, b"2601010000Z"),
        tlv(0x17, b"260101000000+0100"),
        tlv(0x17, b"261301000000Z"),
        tlv(0x17, b"260101000060Z"),
        tlv(0x17, b"26010100000\xb2Z"),
        tlv(0x18, b"20260101000000.5Z"),
        tlv(0x18, b"00000101000000Z"),
        tlv(0x0C, b"260101000000Z"),
    ],
)
def test_times_that_are_none_are_refused(moment: bytes) -> None:
    with pytest.raises(DecodeError):
        read_certificate(certificate(validity=tlv(0x30, moment, moment)))


@pytest.mark.parametrize(
    ("der", "why"),
    [
        (b"", "too early"),
        (b"\x30\x80\x00\x00", "indefinite"),
        (b"\x30\x85\x01\x00\x00\x00\x00", "huge"),
        (b"\x30\x84\xff\xff\xff\xff", "longer than what holds it"),
        (bytes(MAX_CERTIFICATE_BYTES + 1), "too large"),
        (certificate() + b"\0", "follows"),
        (certificate(subject=name(b"")), "too early"),
        (certificate(subject=tlv(0x30, tlv(0x31))), "too early"),
        (certificate(subject=name(tlv(0x0C, b"a"), b"\x1f\x01\x00")), "tag"),
        (certificate(subject=name(tlv(0x0C, b"a") * 2)), "several values"),
        (certificate(subject=name(tlv(0x0C, bytes(MAX_NAME_BYTES)))), "too long"),
        (certificate(subject=tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x00\x0c\x00")))), "empty"),
        (certificate(subject=tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x01\x80\x0c\x00")))), "cut"),
        (certificate(key=tlv(0x30, ED25519, tlv(0x03, b"\x01\x02"))), "whole bytes"),
        (
            certificate(
                key=tlv(
                    0x30,
                    tlv(0x30, bytes.fromhex("06092a864886f70d010101")),
                    tlv(0x03, b"\0", tlv(0x30, b"\x02\x01\xff")),
                )
            ),
            "not positive",
        ),
        (
            certificate(
                key=tlv(
                    0x30,
                    tlv(0x30, bytes.fromhex("06092a864886f70d010101")),
                    tlv(0x03, b"\0", tlv(0x30, b"\x02\x00")),
                )
            ),
            "empty integer",
        ),
    ],
)
def test_certificates_that_are_none_are_refused(der: bytes, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        read_certificate(der)
