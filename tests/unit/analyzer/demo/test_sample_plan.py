from collections import namedtuple
from ipaddress import IPv4Network
from types import SimpleNamespace

import pytest
from cryptography import x509

from analyzer.demo.sample_network import NoNetworkError, SampleNetwork, free_subnet, own_address
from analyzer.demo.sample_plan import Side, plan_for
from analyzer.demo.sample_traffic import CERTIFICATE, End, server_context
from rules.loader import load_packages

Address = namedtuple("Address", "family address")  # noqa: PYI024 (as psutil has it)
PEER = SampleNetwork("10.0.0.1", "10.0.0.2", ("ip", "netns", "exec", "x"))
ALONE = SampleNetwork("10.0.0.1", "10.0.0.1", why_not="no")


def test_end_reads_as_it_is_written() -> None:
    assert str(End.parse("http=10.0.0.1:80")) == "http=10.0.0.1:80"
    for wrong in ("http", "http=80", "gopher=10.0.0.1:70", "http=10.0.0.1:x"):
        with pytest.raises(ValueError, match=r".+"):
            End.parse(wrong)


def test_everything_that_is_called_listens() -> None:
    for network in (PEER, ALONE):
        plan = plan_for(network)
        listening = {*plan.here.listen, *plan.peer.listen}
        assert {*plan.here.call, *plan.peer.call} <= listening
        called = {*plan.here.call, *plan.peer.call}
        assert {end.protocol for end in listening - called} == {"unused"}


def test_with_a_peer_no_side_calls_itself() -> None:
    plan = plan_for(PEER)
    assert {end.address for end in plan.here.call} == {"10.0.0.2"}
    assert {end.address for end in plan.peer.call} == {"10.0.0.1"}


def test_sentences_name_shipped_rules() -> None:
    rules = {rule.id for package in load_packages() for rule in package.rules}
    for network in (PEER, ALONE):
        sentences = plan_for(network).sentences
        named = {sentence.rpartition("(")[2].rstrip(")") for sentence in sentences}
        assert len(named) == 5
        assert named <= rules


def test_no_address_means_no_traffic() -> None:
    plan = plan_for(SampleNetwork("", "", why_not="none"))
    assert (plan.here, plan.peer, plan.sentences) == (Side(), Side(), ())


def test_side_is_written_as_arguments() -> None:
    side = Side((End("http", "10.0.0.1", 80),), (End("tls", "10.0.0.2", 443),))
    assert side.arguments == ["--listen", "http=10.0.0.1:80", "--call", "tls=10.0.0.2:443"]


def test_subnet_is_one_that_nobody_uses() -> None:
    assert free_subnet([]) == IPv4Network("10.213.77.0/30")
    used = ["10.213.77.1/32", "192.168.0.0/16", "10.213.77.4/30"]
    assert free_subnet(used) == IPv4Network("10.213.77.8/30")
    with pytest.raises(NoNetworkError, match=r"10\.213\.77\.0/24 is in use"):
        free_subnet(["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("interfaces", "found"),
    [
        ({"lo": "127.0.0.1", "down0": "10.0.0.9", "eth0": "10.0.0.1"}, "10.0.0.1"),
        ({"lo": "127.0.0.1"}, None),
    ],
)
def test_own_address_is_the_first_that_is_up(
    monkeypatch: pytest.MonkeyPatch, interfaces: dict[str, str], found: str | None
) -> None:
    states = {name: SimpleNamespace(isup=name != "down0") for name in interfaces}
    addresses = {name: [Address(2, address)] for name, address in interfaces.items()}
    monkeypatch.setattr("psutil.net_if_stats", lambda: states)
    monkeypatch.setattr("psutil.net_if_addrs", lambda: addresses)
    assert own_address() == found


def test_certificate_has_expired_and_its_key_fits() -> None:
    from importlib import resources

    data = resources.files("analyzer.demo").joinpath("sample_data", CERTIFICATE).read_bytes()
    assert x509.load_der_x509_certificate(data).not_valid_after_utc.year == 2021
    assert server_context().cert_store_stats()["x509"] == 0
