"""Evidence in OCSF: one event behind a finding as an ``evidences`` object.

In: a row of a finding's evidence. Out: process, endpoints, connection, TLS, file or query, as far
as the row knows them, and the whole row under ``data``. Source: OCSF 1.5.0, object ``evidences``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

Json = dict[str, Any]

_DIRECTIONS: Final = {"inbound": (1, "Inbound"), "outbound": (2, "Outbound")}
_UNKNOWN: Final = (0, "Unknown")
_PROTOCOL_NUMBERS: Final = {"tcp": 6, "udp": 17}
_BOUNDARIES: Final = {
    "loopback": (1, "Localhost"),
    "link_local": (2, "Internal"),
    "private": (2, "Internal"),
    "shared": (2, "Internal"),
    "public": (3, "External"),
}
_FILES: Final = {
    "executable": (1, "Regular File"),
    "loaded_module": (1, "Regular File"),
    "directory": (2, "Folder"),
}
_MD5: Final = re.compile(r"[0-9a-f]{32}")


def evidence_of(row: Mapping[str, Any], host: Json) -> Json:
    """Return one event as an ``evidences`` object.

    Args:
        row: As it stands in a finding.
        host: What is known of the host's own end of a connection.
    """
    source, target = _ends(row, host)
    parts: Json = {
        "process": _process(row),
        "container": _some({"uid": row.get("container_id")}),
        "src_endpoint": source,
        "dst_endpoint": target,
        "connection_info": _connection(row),
        "tls": _tls(row),
        "ja4_fingerprint_list": _ja4(row),
        "file": _file(row),
        "query": _query(row),
    }
    return {"name": row["telemetry"], "data": dict(row), **_some(parts)}


def _some(values: Json) -> Json:
    """Return what is there: OCSF leaves out what is unknown."""
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


def _process(row: Mapping[str, Any]) -> Json | None:
    if row.get("pid") is None:  # without an id OCSF knows no process; name and path stay in data
        return None
    path = row.get("process_path")
    started_us = row.get("process_start_us")
    parent_pid, uid = row.get("parent_pid"), row.get("uid")
    return _some(
        {
            "pid": row["pid"],
            "name": row.get("process_name"),
            "path": path,
            "file": _file_object(path, (1, "Regular File")) if path else None,
            "created_time": None if started_us is None else started_us // 1000,
            "parent_process": None if parent_pid is None else {"pid": parent_pid},
            "user": _some({"name": row.get("user"), "uid": None if uid is None else str(uid)}),
        }
    )


def _ends(row: Mapping[str, Any], host: Json) -> tuple[Json | None, Json | None]:
    """Return source and destination: who opened it is the source; a listener is a destination."""
    local = _endpoint(row.get("local_address"), row.get("local_port"))
    remote = _endpoint(row.get("remote_address"), row.get("remote_port"))
    if row["telemetry"] == "aws_call" and (endpoint := row.get("endpoint")):
        remote = {**(remote or {}), "hostname": endpoint}
    if local:
        local = {**host, **local}
    if row["telemetry"] == "listener" or row.get("direction") == "inbound":
        return _named(remote), _named(local)
    return _named(local), _named(remote)


def _endpoint(address: str | None, port: int | None) -> Json:
    named = {"ip" if _is_ip(address) else "name": address} if address else {}
    return named if port is None else {**named, "port": port}


def _named(endpoint: Json | None) -> Json | None:
    """Return an endpoint that says who it is; a port alone is none."""
    return endpoint if endpoint and set(endpoint) != {"port"} else None


def _is_ip(address: str | None) -> bool:
    try:
        ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return True


def _connection(row: Mapping[str, Any]) -> Json | None:
    if "protocol" not in row and "direction" not in row:
        return None
    direction_id, direction = _DIRECTIONS.get(row.get("direction", ""), _UNKNOWN)
    protocol = row.get("protocol")
    boundary_id, boundary = _BOUNDARIES.get(row.get("remote_scope", ""), (None, None))
    address = row.get("remote_address") or row.get("local_address")
    version = ipaddress.ip_address(address).version if _is_ip(address) and address else None
    return _some(
        {
            "direction_id": direction_id,
            "direction": direction,
            "protocol_name": protocol,
            "protocol_num": _PROTOCOL_NUMBERS.get(protocol or ""),
            "protocol_ver_id": version,
            "boundary_id": boundary_id,
            "boundary": boundary,
        }
    )


def _tls(row: Mapping[str, Any]) -> Json | None:
    if "tls_version" not in row:  # OCSF requires one; without it the session stays in data
        return None
    ja3 = row.get("ja3")
    is_hash = ja3 is not None and _MD5.fullmatch(ja3)
    return _some(
        {
            "version": row["tls_version"],
            "cipher": row.get("cipher_suite"),
            "sni": row.get("server_name"),
            "ja3_hash": {"algorithm_id": 1, "algorithm": "MD5", "value": ja3} if is_hash else None,
        }
    )


def _ja4(row: Mapping[str, Any]) -> list[Json]:
    return [{"type_id": 1, "type": "JA4", "value": row["ja4"]}] if row.get("ja4") else []


def _file(row: Mapping[str, Any]) -> Json | None:
    kind = _FILES.get(row["telemetry"])
    path = row.get("path")
    if kind is None or not path:
        return None
    return _file_object(path, kind) | _some({"owner": _some({"name": row.get("owner")})})


def _file_object(path: str, kind: tuple[int, str]) -> Json:
    type_id, type_name = kind
    name = PurePosixPath(path).name or path
    return {"name": name, "path": path, "type_id": type_id, "type": type_name}


def _query(row: Mapping[str, Any]) -> Json | None:
    if row["telemetry"] != "dns_answer" or not row.get("name"):
        return None
    return _some({"hostname": row["name"], "type": row.get("type")})
