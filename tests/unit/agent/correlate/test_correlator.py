from agent.correlate import Correlator
from agent.sensors.observations import TlsAnswered
from tests.socket_facts import NGINX, S

VALUES = {"handshake": "answered", "tls_version": "TLSv1.2"}


def test_tls_answer_becomes_an_inbound_session_of_the_listeners_owner() -> None:
    (event,) = Correlator().add(TlsAnswered(S, "probe", "0.0.0.0", 443, NGINX, VALUES))  # noqa: S104

    assert (event.kind, event.ts_us, event.process) == ("tls_session", S, NGINX)
    assert event.values == {
        "direction": "inbound",
        "local_address": "0.0.0.0",  # noqa: S104
        "local_port": 443,
        "handshake": "answered",
        "tls_version": "TLSv1.2",
        "attribution": "listener",
        "source": "probe",
    }


def test_tls_answer_of_an_unseen_process_is_unknown() -> None:
    (event,) = Correlator().add(TlsAnswered(S, "probe", "::", 443, None, VALUES))

    assert (event.values["attribution"], event.process) == ("unknown", None)
