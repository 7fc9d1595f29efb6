import re
from typing import get_type_hints

import pytest

from rules.telemetry.batch import NULLABLE_NUMBERS, PROCESS_ROW_KEYS, TYPE_CODES, Process
from rules.telemetry.kinds import KINDS, PROCESS_COLUMNS, Column, ColumnType, Kind

CONTRACT = {
    "direction": "outbound|inbound",
    "protocol": "tcp|udp",
    "attribution": "exact|listener|polled|unknown",
    "source": "perf|bpf|sock_diag|procfs|psutil|packets|probe|facts|pcap|simulator",
    "app_protocol": "http|ftp|telnet|smtp|pop3|imap|irc|ldap|snmp|rlogin|rsh|rexec|redis|mysql"
    "|postgresql|mongodb|memcached|nntp|xmpp|tls|ssh|dns",
    "tls_version": "SSLv2|SSLv3|TLSv1.0|TLSv1.1|TLSv1.2|TLSv1.3|DTLSv1.0|DTLSv1.2|DTLSv1.3",
    "handshake": "answered|unanswered|refused",
    "variant": "standard|fips|dualstack|fips_dualstack|vpce|vpce_inferred",
    "purpose": "token|credentials|identity|other",
    "local_scope": "loopback|link_local|private|shared|multicast|any|public",
    "remote_scope": "loopback|link_local|private|shared|multicast|any|public",
}
STATES = {
    "connection": "opened|closed",
    "listener": "present|opened|closed",
    "process": "started|exited",
}
EVERY = [(kind, column) for kind in KINDS.values() for column in kind.columns.values()]


def test_the_kinds_are_those_of_the_contract() -> None:
    assert list(KINDS) == [
        "connection",
        "listener",
        "tls_session",
        "aws_call",
        "imds_request",
        "dns_answer",
        "process",
        "executable",
        "loaded_module",
        "operating_system",
        "setting",
        "directory",
        "package",
        "user",
        "group",
        "interface",
        "instance_metadata",
    ]


@pytest.mark.parametrize(("kind", "column"), EVERY, ids=lambda item: item.name)
def test_every_column_is_named_described_and_typed(kind: Kind, column: Column) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert column.description.endswith(".")
    assert bool(column.closed) == (column.type is ColumnType.CODE)
    assert len(column.closed) < 255, "a code is one byte"
    assert not any("|" in value for value in column.closed), "the wire joins them by it"
    expected = STATES.get(kind.name) if column.name == "state" else CONTRACT.get(column.name)
    if expected is not None:
        assert "|".join(column.closed) == expected
    if column.numbers:
        assert column.type is ColumnType.INTEGER
    if column.lower:
        assert column.type is ColumnType.TEXT


def test_process_columns_stand_in_every_kind_and_match_the_instance() -> None:
    names = tuple(column.name for column in PROCESS_COLUMNS)
    assert names == PROCESS_ROW_KEYS
    assert len(get_type_hints(Process)) == len(PROCESS_ROW_KEYS)
    for kind in KINDS.values():
        assert tuple(kind.columns)[: len(names)] == names
        assert "ts_us" not in kind.columns
        assert "process" not in kind.columns, "the wire uses this name"


def test_derived_columns_are_never_sent() -> None:
    derived = {column.name for _, column in EVERY if column.derived}
    assert derived == {"local_scope", "remote_scope", "cert_remaining_s"}
    for kind in KINDS.values():
        sent = {column.name for column in kind.sent}
        assert sent == kind.columns.keys() - derived - set(PROCESS_ROW_KEYS)


def test_every_type_has_a_form_in_memory() -> None:
    assert TYPE_CODES.keys() == set(ColumnType)
    assert set(ColumnType) >= NULLABLE_NUMBERS
