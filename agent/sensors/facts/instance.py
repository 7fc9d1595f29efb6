"""Instance: what the EC2 instance metadata service says of this host.

In: the service, asked with a session token (IMDSv2); only on hosts whose firmware says EC2. Out:
facts of the kind ``instance_metadata``. Credentials and user data are never asked for.
"""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import TYPE_CHECKING, Final

from agent.sensors.facts.host_files import Fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.sensors.facts.host_files import HostFiles

ADDRESSES: Final = ("169.254.169.254", "fd00:ec2::254")  # the second where there is no IPv4
TIMEOUT_S: Final = 1.0  # it answers within milliseconds, or not at all
NAMES: Final = (
    "ami-id",
    "hostname",
    "instance-id",
    "instance-type",
    "local-ipv4",
    "mac",
    "placement/availability-zone",
    "placement/region",
    "public-ipv4",
)
_VENDORS: Final = ("/sys/class/dmi/id/sys_vendor", "/sys/hypervisor/uuid")
_LIFE_S: Final = "60"  # of a session token
_MAX_BYTES: Final = 4_096
_OK: Final = 200


def is_ec2(host: HostFiles) -> bool:
    """Tell whether the firmware of a host says that it is an EC2 instance."""
    texts = [(host.text(name) or "").strip().lower() for name in _VENDORS]
    return texts[0] == "amazon ec2" or texts[1].startswith("ec2")


def read_instance(
    host: HostFiles, *, addresses: Sequence[str] = ADDRESSES, port: int = 80
) -> Iterator[Fact]:
    """Yield what the service says; of a host that is no EC2 instance, nothing.

    Where the service is silent, it counts as unreadable.
    """
    if not is_ec2(host):
        return
    for address in addresses:
        try:
            with closing(http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)) as service:
                found = list(_values(service))
        except (OSError, ValueError, http.client.HTTPException):
            continue
        if found:
            yield from found
            return
    host.unreadable.add("the instance metadata service")


def _values(service: http.client.HTTPConnection) -> Iterator[Fact]:
    life = {"X-aws-ec2-metadata-token-ttl-seconds": _LIFE_S, "Content-Length": "0"}
    token = _ask(service, "PUT", "/latest/api/token", life)
    if token is None:
        return
    for name in NAMES:
        path = f"/latest/meta-data/{name}"
        value = _ask(service, "GET", path, {"X-aws-ec2-metadata-token": token})
        if value is not None:
            yield Fact("instance_metadata", {"name": name, "value": value})


def _ask(
    service: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> str | None:
    """Return the answer; None where there is none.

    Raises:
        ValueError: It is no answer of this service: far too long.
    """
    service.request(method, path, headers=headers)
    answer = service.getresponse()
    body = answer.read(_MAX_BYTES)
    if answer.read(1):
        raise ValueError("an answer is longer than any of this service")
    return body.decode("utf-8", "replace") if answer.status == _OK else None
