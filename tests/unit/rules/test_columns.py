import pytest

from rules.columns import column_problem, shown, stored_form, suggestion, value_problem
from rules.telemetry.kinds import CONNECTION, IMDS_REQUEST, KINDS, TLS_SESSION


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("connection", "direction", "outbound"),
        ("connection", "remote_port", 0),
        ("connection", "remote_port", 65535),
        ("connection", "remote_address", "10.0.0.1"),
        ("connection", "bytes_sent", -1),
        ("connection", "process_name", ""),
        ("connection", "remote_scope", "loopback"),
        ("tls_session", "cert_self_signed", True),
        ("imds_request", "imds_version", 2),
    ],
)
def test_value_that_the_column_can_hold_is_no_problem(
    kind: str, column: str, value: object
) -> None:
    assert value_problem(KINDS[kind].columns[column], value) is None


@pytest.mark.parametrize(
    ("kind", "column", "value", "problem"),
    [
        (
            "tls_session",
            "tls_version",
            "TLS1.0",
            (
                "'TLS1.0' is none of SSLv2, SSLv3, TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3, DTLSv1.0, "
                "DTLSv1.2, DTLSv1.3; did you mean 'TLSv1.0'?"
            ),
        ),
        ("imds_request", "imds_version", 3, "3 is none of 1, 2"),
        (
            "connection",
            "remote_port",
            "443",
            "'443' is no value of remote_port, which holds a port, 0 to 65535",
        ),
        ("connection", "remote_port", 65536, "65536 is outside of 0 to 65535"),
        ("connection", "bytes_sent", 2**63, f"{2**63} is outside of {-(2**63)} to {2**63 - 1}"),
        (
            "connection",
            "bytes_sent",
            443.0,
            "443.0 is no value of bytes_sent, which holds a whole number",
        ),
        (
            "connection",
            "bytes_sent",
            True,
            "true is no value of bytes_sent, which holds a whole number",
        ),
        (
            "tls_session",
            "cert_self_signed",
            "true",
            "'true' is no value of cert_self_signed, which holds true or false",
        ),
        ("connection", "process_name", 7, "7 is no value of process_name, which holds text"),
        (
            "connection",
            "process_name",
            None,
            "null is no value of process_name; write {is_null: true} to ask for it",
        ),
    ],
)
def test_other_value_is_a_sentence(kind: str, column: str, value: object, problem: str) -> None:
    assert value_problem(KINDS[kind].columns[column], value) == problem


def test_stored_form_is_how_telemetry_spells_a_value() -> None:
    assert stored_form(TLS_SESSION.columns["server_name"], "Example.COM") == "example.com"
    assert stored_form(TLS_SESSION.columns["remote_address"], "::ffff:10.0.0.1") == "10.0.0.1"
    assert stored_form(TLS_SESSION.columns["remote_port"], 443) == 443
    assert stored_form(TLS_SESSION.columns["process_name"], "Xorg") == "Xorg"


def test_unknown_column_comes_with_the_nearest_name() -> None:
    assert column_problem(CONNECTION, "remote_port") is None
    assert (
        column_problem(CONNECTION, "remote_prt")
        == "connection has no column 'remote_prt'; did you mean 'remote_port'?"
    )
    assert column_problem(IMDS_REQUEST, "zzz") == "imds_request has no column 'zzz'"


def test_key_of_every_row_is_no_column() -> None:
    assert (
        column_problem(CONNECTION, "ts_us")
        == "ts_us is no column that a rule can name: every row has it"
    )


def test_suggestion_ignores_letter_case() -> None:
    assert suggestion("HIGH", ["High", "Low"]) == "; did you mean 'High'?"
    assert suggestion(17, ["High"]) == ""


def test_foreign_value_is_shown_short_and_on_one_line() -> None:
    assert shown("a\nb\x1b") == r"'a\nb\x1b'"
    assert len(shown("x" * 500)) == 60
    assert shown({"a": [1, None]}) == '{"a":[1,null]}'
