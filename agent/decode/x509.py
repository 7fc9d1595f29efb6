"""Certificates, from DER to the facts that telemetry carries.

In: a certificate that a peer or listener sent. Out: ``CertificateFacts``, or ``DecodeError``.
Nothing is verified: an expired or forged certificate is described like any other.
Source: RFC 5280, RFC 4514.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agent.decode.der import (
    BIT_STRING,
    INTEGER,
    OBJECT_ID,
    SEQUENCE,
    SET,
    DerReader,
)

MAX_CERTIFICATE_BYTES: Final = 65_536
MAX_NAME_BYTES: Final = 8_192  # of one subject or issuer; what is longer is no honest name

_VERSION: Final = 0xA0
_UTF16_STRING, _UTF32_STRING = 0x1E, 0x1C
# UTF8, Numeric, Printable, Teletex, IA5 and Visible strings: a byte or UTF-8 each character.
_BYTE_STRINGS: Final = frozenset({0x0C, 0x12, 0x13, 0x14, 0x16, 0x1A})

_SHORT_NAMES: Final = {  # RFC 4514, section 3; every other attribute is named by its number
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
_KEY_TYPES: Final = {
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.113549.1.1.10": "rsa-pss",
    "1.2.840.10040.4.1": "dsa",
    "1.2.840.10045.2.1": "ec",
    "1.3.101.110": "x25519",
    "1.3.101.111": "x448",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}
_FIXED_BITS: Final = {"x25519": 256, "x448": 448, "ed25519": 256, "ed448": 456}
_CURVE_BITS: Final = {
    "1.2.840.10045.3.1.1": 192,
    "1.2.840.10045.3.1.7": 256,
    "1.3.132.0.10": 256,
    "1.3.132.0.33": 224,
    "1.3.132.0.34": 384,
    "1.3.132.0.35": 521,
    "1.3.36.3.3.2.8.1.1.7": 256,
    "1.3.36.3.3.2.8.1.1.11": 384,
    "1.3.36.3.3.2.8.1.1.13": 512,
}
_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.3.14.3.2.29": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsa-with-sha1",
    "2.16.840.1.101.3.4.3.1": "dsa-with-sha224",
    "2.16.840.1.101.3.4.3.2": "dsa-with-sha256",
    "2.16.840.1.101.3.4.3.3": "dsa-with-sha384",
    "2.16.840.1.101.3.4.3.4": "dsa-with-sha512",
    "1.2.840.10045.4.1": "ecdsa-with-SHA1",
    "1.2.840.10045.4.3.1": "ecdsa-with-SHA224",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}

_SPECIAL: Final = re.compile(r'[\\"+,;<>]')
# What could steer the terminal that shows a name, end its line, or turn its reading direction.
_CONTROL: Final = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]"
)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says of itself."""

    subject: str
    """RFC 4514 text, most specific part first; attributes without a short name by number."""
    issuer: str
    not_before_us: int
    not_after_us: int
    self_signed: bool
    """Subject equals issuer; the signature is not verified."""
    key_type: str
    """``rsa``, ``ec``, ``ed25519``, …, else the algorithm's number."""
    key_bits: int | None
    """None where the algorithm or curve is not known, or size is no measure of it."""
    signature: str
    """Name of the signature algorithm, else its number."""


def read_certificate(der: bytes) -> CertificateFacts:
    """Return the facts of a DER certificate.

    Raises:
        DecodeError: It is none, or larger than ``MAX_CERTIFICATE_BYTES``.
    """
    reader = DerReader(der, "certificate")
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise reader.error("it is too large")
    certificate = reader.enter(SEQUENCE)
    content = certificate.enter(SEQUENCE)
    signature = certificate.enter(SEQUENCE).read_object_id()
    certificate.read(BIT_STRING)
    if not (reader.is_at_end and certificate.is_at_end):
        raise reader.error("something follows its end")

    if content.peek() == _VERSION:
        content.read(_VERSION)
    content.read(INTEGER)  # serial number
    content.read(SEQUENCE)  # signature algorithm, once more
    issuer = _read_name(content)
    validity = content.enter(SEQUENCE)
    not_before_us, not_after_us = validity.read_time_us(), validity.read_time_us()
    subject = _read_name(content)
    key_type, key_bits = _read_key(content.enter(SEQUENCE))
    return CertificateFacts(
        subject=subject,
        issuer=issuer,
        not_before_us=not_before_us,
        not_after_us=not_after_us,
        self_signed=subject == issuer,
        key_type=key_type,
        key_bits=key_bits,
        signature=_SIGNATURES.get(signature, signature),
    )


def _read_name(content: DerReader) -> str:
    whole = content.enter(SEQUENCE)
    parts: list[str] = []
    size = 0
    while not whole.is_at_end:
        encoded = whole.read(SET)
        size += len(encoded)
        if size > MAX_NAME_BYTES:
            raise content.error("a name is too long")
        relative = DerReader(encoded, "certificate")
        attributes = [_read_attribute(relative.enter(SEQUENCE))]
        while not relative.is_at_end:
            attributes.append(_read_attribute(relative.enter(SEQUENCE)))
        parts.append("+".join(attributes))
    return ",".join(reversed(parts))


def _read_attribute(attribute: DerReader) -> str:
    number = attribute.read_object_id()
    tag = attribute.peek()
    encoded = attribute.read_whole(tag)
    if not attribute.is_at_end:
        raise attribute.error("an attribute has several values")
    return f"{_SHORT_NAMES.get(number, number)}={_value_text(tag, encoded)}"


def _value_text(tag: int, encoded: bytes) -> str:
    """Return a value as RFC 4514 writes it: text with escapes, anything else as hexadecimal."""
    content = DerReader(encoded, "certificate").read(tag)
    if tag == _UTF16_STRING:
        return _escape(content.decode("utf-16-be", "replace"))
    if tag == _UTF32_STRING:
        return _escape(content.decode("utf-32-be", "replace"))
    if tag not in _BYTE_STRINGS:
        return "#" + encoded.hex()
    try:
        return _escape(content.decode("utf-8"))
    except UnicodeDecodeError:  # Teletex, as issuers of the past understood it
        return _escape(content.decode("latin-1"))


def _escape(text: str) -> str:
    """Escape what RFC 4514 wants, and control characters, which it allows to."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(text) > 1:
        escaped = escaped[:-1] + "\\ "
    return _CONTROL.sub(lambda found: _hexadecimal(found[0]), escaped)


def _hexadecimal(character: str) -> str:
    """Return a character as RFC 4514 escapes it, byte by byte of its UTF-8."""
    return "".join(f"\\{byte:02X}" for byte in character.encode())


def _read_key(key: DerReader) -> tuple[str, int | None]:
    algorithm = key.enter(SEQUENCE)
    number = algorithm.read_object_id()
    key_type = _KEY_TYPES.get(number, number)
    bits = key.read_bits()
    if key_type in {"rsa", "rsa-pss"}:
        return key_type, _size_of_first_integer(DerReader(bits, "certificate"))
    if key_type == "dsa" and not algorithm.is_at_end:
        return key_type, _size_of_first_integer(algorithm)
    if key_type == "ec" and algorithm.peek() == OBJECT_ID:
        return key_type, _CURVE_BITS.get(algorithm.read_object_id())
    return key_type, _FIXED_BITS.get(key_type)


def _size_of_first_integer(content: DerReader) -> int:
    """Return the bits of a modulus, which comes first in the keys that have one."""
    modulus = content.enter(SEQUENCE).read_integer()
    if modulus <= 0:
        raise content.error("a modulus that is not positive")
    return modulus.bit_length()
