"""Certificates: what they say equals what cryptography reads, and hostile bytes do no harm."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from agent.decode.x509 import CertificateFacts, read_certificate
from agent.errors import DecodeError
from tests.certificates import der_of, make_certificate

NUMBERS = [
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.USER_ID,
    NameOID.DOMAIN_COMPONENT,
    NameOID.EMAIL_ADDRESS,
    NameOID.SERIAL_NUMBER,
    NameOID.PSEUDONYM,
    x509.ObjectIdentifier("2.999.1"),
    x509.ObjectIdentifier("2.5.4.15"),
]
# What steers terminals or turns text stands apart: cryptography writes it as it is, we escape it.
VALUES = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"], include_characters="\0"
    ),
    min_size=1,
    max_size=16,
)
TYPES = st.sampled_from(
    [_ASN1Type.UTF8String, _ASN1Type.BMPString, _ASN1Type.UniversalString, _ASN1Type.T61String]
)
ATTRIBUTES = st.builds(
    x509.NameAttribute, st.sampled_from(NUMBERS), VALUES, TYPES, _validate=st.just(value=False)
)
RELATIVES = st.lists(
    ATTRIBUTES, min_size=1, max_size=3, unique_by=lambda each: (each.oid, each.value)
).map(x509.RelativeDistinguishedName)
NAMES = st.lists(RELATIVES, max_size=4).map(x509.Name)
TIMES = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
VALID = [
    der_of(make_certificate(kind, issuer=issuer))
    for kind, issuer in [
        ("rsa-2048", None),
        ("ec-secp256r1", x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")])),
        ("ed25519", None),
    ]
]


@given(subject=NAMES, issuer=NAMES, times=st.tuples(TIMES, TIMES).map(sorted))
def test_facts_equal_those_of_cryptography(
    subject: x509.Name, issuer: x509.Name, times: list[datetime]
) -> None:
    made = make_certificate(subject=subject, issuer=issuer, not_before=times[0], not_after=times[1])

    facts = read_certificate(der_of(made))

    assert facts.subject == made.subject.rfc4514_string()
    assert facts.issuer == made.issuer.rfc4514_string()
    assert facts.not_before_us == round(times[0].timestamp()) * 1_000_000
    assert facts.not_after_us == round(times[1].timestamp()) * 1_000_000
    assert facts.self_signed == (made.subject.rfc4514_string() == made.issuer.rfc4514_string())


def read_or_refuse(data: bytes) -> CertificateFacts | None:
    try:
        return read_certificate(data)
    except DecodeError:
        return None


@given(st.binary(max_size=300))
def test_random_bytes_are_no_certificate(data: bytes) -> None:
    assert read_or_refuse(data) is None


@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_changed_bytes_are_read_or_refused(der: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(der)
    for position, value in changes:
        damaged[position % len(der)] = value

    facts = read_or_refuse(bytes(damaged))

    if facts is not None:
        assert facts.subject.encode("utf-8") is not None
        assert -(2**63) <= facts.not_before_us < 2**63


@given(st.sampled_from(VALID), st.data())
def test_cut_certificate_is_refused(der: bytes, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(der) - 1))

    assert read_or_refuse(der[:size]) is None


@given(st.sampled_from(VALID), st.integers(0, 2_000), st.binary(max_size=40), st.integers(0, 40))
def test_spliced_certificate_is_read_or_refused(
    der: bytes, position: int, inserted: bytes, dropped: int
) -> None:
    begin = position % len(der)

    read_or_refuse(der[:begin] + inserted + der[begin + dropped :])
