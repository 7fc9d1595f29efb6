"""Settings: every one declared once, with default, unit, bounds and description."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from rules.telemetry.batch import MAX_EVENTS
from rules.telemetry.kinds import PORT_MAX
from rules.telemetry.topics import AGENT_ID

DAY_S: Final = 86_400
MEBIBYTE: Final = 1 << 20
MAX_TAGS: Final = 50  # as many as an EC2 instance can have
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


def _unit(unit: str) -> dict[str, object]:
    return {"unit": unit}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator can choose. Nothing here is a secret: a password stands in its own file."""

    agent_id: Annotated[
        str,
        Meta(
            pattern=rf"\A(?:{AGENT_ID.pattern})?\Z",
            description="Name of this host in results: 1 to 128 of A-Z, a-z, 0-9, _ and -. "
            "Empty: the EC2 instance id, else an id made from /etc/machine-id.",
        ),
    ] = ""
    tags: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=128)], Annotated[str, Meta(max_length=256)]
        ],
        Meta(max_length=MAX_TAGS, description="Tags by which assessment targets choose hosts."),
    ] = {}
    broker_url: Annotated[
        str,
        Meta(
            pattern=r"\Amqtts?://(?:[^/@:\[\]\s]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?/?\Z",
            description="MQTT broker: mqtt://host:port, or mqtts:// for TLS. "
            "User name and password have settings of their own.",
        ),
    ] = "mqtt://127.0.0.1:1883"
    broker_ca_file: Annotated[
        str, Meta(description="CA certificates (PEM) that the broker's must chain to; mqtts only.")
    ] = ""
    broker_cert_file: Annotated[
        str, Meta(description="This agent's certificate (PEM), for brokers that ask for one.")
    ] = ""
    broker_key_file: Annotated[
        str, Meta(description="Private key (PEM) of broker_cert_file; only its owner may read it.")
    ] = ""
    broker_username: Annotated[str, Meta(description="User name at the broker.")] = ""
    broker_password_file: Annotated[
        str, Meta(description="File whose first line is the password at the broker.")
    ] = ""
    connect_timeout_s: Annotated[
        float, Meta(gt=0, le=300, extra=_unit("s"), description="Longest wait for the broker.")
    ] = 10.0
    keepalive_s: Annotated[
        int,
        Meta(
            ge=5, le=3600, extra=_unit("s"), description="Silence after which MQTT asks for life."
        ),
    ] = 30
    reconnect_max_s: Annotated[
        float,
        Meta(gt=0, le=3600, extra=_unit("s"), description="Ceiling of the waits between attempts."),
    ] = 30.0
    state_dir: Annotated[
        str, Meta(min_length=1, description="Folder of the spool and of what `status` reads.")
    ] = "/var/lib/proctor-agent"
    spool_max_bytes: Annotated[
        int,
        Meta(
            ge=MEBIBYTE,
            le=1 << 40,
            extra=_unit("bytes"),
            description="Bound of batches that wait on disk; beyond it the oldest are dropped.",
        ),
    ] = 256 * MEBIBYTE
    spool_max_age_s: Annotated[
        float,
        Meta(
            ge=60,
            le=90 * DAY_S,
            extra=_unit("s"),
            description="Age beyond which a waiting batch is dropped.",
        ),
    ] = float(DAY_S)
    spool_sync: Annotated[
        bool, Meta(description="Make every batch durable against power loss, not only kill -9.")
    ] = True
    batch_max_events: Annotated[
        int, Meta(ge=1, le=MAX_EVENTS, extra=_unit("events"), description="Most events of a batch.")
    ] = MAX_EVENTS
    batch_max_age_s: Annotated[
        float,
        Meta(
            ge=0.05, le=60, extra=_unit("s"), description="Longest wait of an event for its batch."
        ),
    ] = 2.0
    batch_idle_age_s: Annotated[
        float,
        Meta(
            ge=0.05,
            le=60,
            extra=_unit("s"),
            description="Interval of batches that say only that nothing happened.",
        ),
    ] = 10.0
    drain_interval_s: Annotated[
        float,
        Meta(ge=0.01, le=5, extra=_unit("s"), description="Shortest time between two drains."),
    ] = 0.25
    in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            extra=_unit("batches"),
            description="Most batches that are sent and not yet acknowledged by the analyzer.",
        ),
    ] = 32
    ack_timeout_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=3600,
            extra=_unit("s"),
            description="Silence of the analyzer after which batches are sent again; "
            "doubles up to eight times this while it lasts.",
        ),
    ] = 15.0
    heartbeat_interval_s: Annotated[
        float,
        Meta(ge=0.1, le=3600, extra=_unit("s"), description="Time between two status messages."),
    ] = 30.0
    stop_timeout_s: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            extra=_unit("s"),
            description="How long a stopping agent waits for the acks of its last batches.",
        ),
    ] = 3.0
    packets: Annotated[
        bool,
        Meta(
            description="Read the start of each flow of this host: TLS hellos, DNS answers, "
            "metadata requests, protocols. No payload is stored or sent."
        ),
    ] = True
    perf: Annotated[
        bool,
        Meta(
            description="Hear from the kernel of each connection and program (perf events), "
            "where it allows that."
        ),
    ] = True
    perf_ring_bytes: Annotated[
        int,
        Meta(
            ge=64 << 10,
            le=1 << 30,
            extra=_unit("bytes"),
            description="Memory in which the kernel keeps events until they are read, all CPUs "
            "together; each has at least 64 KiB and at most 2 MiB.",
        ),
    ] = 4 * MEBIBYTE
    probe: Annotated[
        bool,
        Meta(description="Ask this host's own TLS listeners for their versions and certificates."),
    ] = True
    cpu_ceiling_percent: Annotated[
        float,
        Meta(
            ge=0,
            le=6400,
            extra=_unit("% of one core"),
            description="CPU time above which less is observed, step by step; 0 = no ceiling.",
        ),
    ] = 5.0
    memory_ceiling_bytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 40,
            extra=_unit("bytes"),
            description="Resident memory above which less is observed; 0 = no ceiling.",
        ),
    ] = 64 * MEBIBYTE
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level of log lines.")
    ] = "info"

    def __post_init__(self) -> None:
        """Check what concerns more than one setting.

        Raises:
            ValueError: Settings contradict each other.
        """
        if not 0 < self.broker_address[1] <= PORT_MAX:
            raise ValueError(f"broker_url: a port is a number from 1 to {PORT_MAX}")
        if bool(self.broker_cert_file) != bool(self.broker_key_file):
            raise ValueError("broker_cert_file and broker_key_file need each other")
        if self.broker_url.startswith("mqtt:") and (self.broker_ca_file or self.broker_cert_file):
            raise ValueError("certificates need a broker_url that begins with mqtts://")
        if self.broker_password_file and not self.broker_username:
            raise ValueError("broker_password_file needs broker_username")
        if self.batch_idle_age_s < self.batch_max_age_s:
            raise ValueError("batch_idle_age_s is smaller than batch_max_age_s")

    @property
    def broker_address(self) -> tuple[str, int]:
        """Return host and port of the broker."""
        scheme, _, rest = self.broker_url.rstrip("/").partition("://")
        host, _, port = rest.rpartition(":")
        if not host or rest.endswith("]"):
            host, port = rest, ""
        return host.strip("[]"), int(port or PORTS[scheme])

    @property
    def is_tls(self) -> bool:
        """Tell whether the broker is reached over TLS."""
        return self.broker_url.startswith("mqtts:")


FIELDS: Final = {field.name: field for field in msgspec.structs.fields(Settings)}


def meta_of(name: str) -> Meta:
    """Return the declaration of a setting: bounds, description and, in ``extra``, the unit."""
    for meta in getattr(FIELDS[name].type, "__metadata__", ()):
        if isinstance(meta, Meta):
            return meta
    return Meta(description="")
