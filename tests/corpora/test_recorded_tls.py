"""TLS in captures of real traffic: every value is what other decoders read."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.decode.capture_file import CaptureFile
from agent.decode.client_offer import read_client_offer
from agent.decode.facts import ContentSeen, Parties
from agent.decode.flow_table import FlowTable
from agent.decode.handshake import is_client_start
from agent.decode.ja4 import ja4
from agent.decode.packet import Link, Skipped, read_packet
from agent.decode.tls import CLIENT_HELLO, HANDSHAKE, HandshakeReader, Message
from tests.recorded_traffic import corpora, facts_of, load_json

pytestmark = pytest.mark.allow_blocking

JA4_FILES = 15
JA4_VALUES = 159
# Its vector still has the older rule for an ALPN that is no text; we follow the specification.
NON_ASCII = ("t13d151699_8daaf6152771_e5627efa2ab1", "t13d1516bd_8daaf6152771_e5627efa2ab1")
# No row of the second decoder: it does not name the version, or the answer is no TLS.
OTHERWISE = {"ssl-v2.pcap", "https-to-http.pcap"}


class Ends(NamedTuple):
    client: str
    client_port: int
    server: str
    server_port: int


def sessions_in(path: Path) -> list[ContentSeen]:
    return [
        fact
        for fact in facts_of(path)
        if isinstance(fact, ContentSeen) and fact.kind == "tls_session"
    ]


def ends_of(parties: Parties) -> Ends:
    return Ends(*parties[1:])


class Hellos:
    """Reads every ClientHello of a connection, also the one after a HelloRetryRequest."""

    app_protocol = None
    is_over = False
    limit_bytes = None

    def __init__(self, parties: Parties, found: dict[Ends, list[tuple[str, str | None]]]) -> None:
        self._ends = ends_of(parties)
        self._found = found
        self._bytes = b""
        self._has_begun = False

    def feed(self, data: bytes, ts_us: int, *, from_client: bool) -> None:
        del ts_us
        self._has_begun = self._has_begun or (from_client and is_client_start(data))
        if not (from_client and self._has_begun):
            return
        self._bytes += data
        while len(self._bytes) >= 5 + int.from_bytes(self._bytes[3:5], "big") >= 5:
            size = 5 + int.from_bytes(self._bytes[3:5], "big")
            record, self._bytes = self._bytes[:size], self._bytes[size:]
            if record[0] == HANDSHAKE and record[5] == CLIENT_HELLO:
                (message,) = HandshakeReader().feed(record)
                assert isinstance(message, Message)
                offer = read_client_offer(message.body)
                self._found[self._ends].append((ja4(offer.profile), offer.server_name))

    def miss(self, ts_us: int, *, from_client: bool) -> None: ...

    def end(self, ts_us: int) -> None: ...


def test_every_ja4_is_that_of_the_vectors() -> None:
    folder = corpora() / "ja4"
    files = [path for path in sorted(folder.iterdir()) if path.suffix != ".json"]
    checked = 0
    for path in files:
        found: dict[Ends, list[tuple[str, str | None]]] = defaultdict(list)
        table = FlowTable(
            lambda parties, found=found: Hellos(parties, found),  # type: ignore[misc]
            lambda _connection: None,
        )
        with CaptureFile(path) as file:
            for frame in file.frames():
                packet = read_packet(frame.data, frame.link or Link.RAW)
                if not isinstance(packet, Skipped):
                    table.add(packet, frame.ts_us)
        expected: dict[Ends, list[tuple[str, str | None]]] = defaultdict(list)
        for row in load_json(path.with_name(f"{path.name}.expected.json")):
            ends = Ends(row["src"], row["srcport"], row["dst"], row["dstport"])
            values = [NON_ASCII[1] if value == NON_ASCII[0] else value for value in row["ja4"]]
            expected[ends] += [(value, row["server_name"]) for value in values]
        checked += sum(map(len, expected.values()))
        assert found == expected, path.name
    assert (len(files), checked) == (JA4_FILES, JA4_VALUES)


def test_rows_have_the_ja4_of_the_first_hello() -> None:
    for path in sorted((corpora() / "ja4").glob("*.pcap*[pg]")):
        found = {ends_of(fact.parties): fact.values["ja4"] for fact in sessions_in(path)}
        expected: dict[Ends, str] = {}
        for row in load_json(path.with_name(f"{path.name}.expected.json")):
            ends = Ends(row["src"], row["srcport"], row["dst"], row["dstport"])
            expected.setdefault(ends, row["ja4"][0])

        assert found.keys() == expected.keys()
        assert {
            (found[ends], expected[ends]) for ends in found if found[ends] != expected[ends]
        } <= {NON_ASCII[::-1]}


def test_versions_ciphers_and_names_are_those_of_another_decoder() -> None:
    folder = corpora() / "tls"
    for name, rows in load_json(folder / "expected.json").items():
        if name in OTHERWISE:
            continue
        columns = ("server_name", "tls_version", "cipher_code")
        found = [
            (*ends_of(fact.parties), *map(fact.values.get, columns))
            for fact in sessions_in(folder / name)
        ]
        keys = ("client", "client_port", "server", "server_port", *columns)
        assert sorted(found) == sorted(tuple(map(row.get, keys)) for row in rows), name


def test_ssl2_is_named_and_its_certificate_read() -> None:
    (session,) = sessions_in(corpora() / "tls" / "ssl-v2.pcap")

    assert ends_of(session.parties) == ("192.168.4.149", 59_062, "91.227.4.92", 443)
    assert session.values["tls_version"] == "SSLv2"
    assert "CN=plesk" in session.values["cert_subject"]


def test_hello_to_a_server_without_tls_is_unanswered() -> None:
    (session,) = sessions_in(corpora() / "tls" / "https-to-http.pcap")

    assert session.values["handshake"] == "unanswered"
    assert "tls_version" not in session.values
