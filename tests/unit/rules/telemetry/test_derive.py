import pytest

from rules.telemetry import Row
from rules.telemetry.derive import derive


def derived(**values: object) -> Row:
    row: Row = {"telemetry": "tls_session", "ts_us": 5_000_000} | values
    again = derive(row)
    assert again is row
    return again


def test_scopes_come_from_the_addresses() -> None:
    row = derived(local_address="10.0.0.1", remote_address="1.1.1.1")
    assert row["local_scope"] == "private"
    assert row["remote_scope"] == "public"


def test_a_given_scope_counts_only_without_an_address() -> None:
    row = derived(local_scope="any", remote_address="1.1.1.1", remote_scope="private")
    assert row["local_scope"] == "any"
    assert row["remote_scope"] == "public"
    assert "remote_scope" not in derived(remote_address="no address", remote_scope="private")


def test_a_kind_without_local_scope_gets_none() -> None:
    row = derive({"telemetry": "connection", "ts_us": 1, "local_address": "10.0.0.1"})
    assert "local_scope" not in row


@pytest.mark.parametrize(
    ("not_after_us", "remaining_s"),
    [(7_999_999, 2), (5_000_000, 0), (4_999_999, -1), (0, -5)],
)
def test_remaining_validity_is_floored_seconds(not_after_us: int, remaining_s: int) -> None:
    row = derived(cert_not_after_us=not_after_us, cert_remaining_s=99)
    assert row["cert_remaining_s"] == remaining_s


def test_a_given_validity_counts_without_a_certificate_time() -> None:
    assert derived(cert_remaining_s=99)["cert_remaining_s"] == 99
