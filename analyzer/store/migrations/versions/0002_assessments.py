"""Targets, templates, exclusions, subscriptions, outbox; runs and findings with ARNs.

Runs that are there are given a template of their own name in an implicit target, so that each has
an ARN; their findings become rows as they are made today, with the title of the rule as text.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

from analyzer.store.migrations.tables_0002 import create_tables

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OLD = ("findings", "results", "runs", "agents")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "arn:aws:inspector:us-east-1:000000000000"  # until a server says whose account it is
_FINAL = ("FAILED", "ERROR", "COMPLETED", "COMPLETED_WITH_ERRORS", "CANCELED")


def upgrade() -> None:
    """Read what is there, make the tables anew, and write it again."""
    old = {name: _rows(name) for name in _OLD}
    for name in (*_OLD, "schema_version"):
        op.drop_table(name)
    create_tables()
    _insert("agents", [{**row, "is_throttled": 0} for row in old["agents"]])
    runs = sorted(old["runs"], key=lambda row: (row["created_us"], row["id"]))
    if runs:
        _insert("targets", [_target(runs[0]["created_us"])])
        _insert("templates", [_template(run) for run in runs])
    _insert("runs", [_run(run) for run in runs])
    _insert("results", old["results"])
    ended = {run["id"]: _changes(run)[-1][1] for run in runs if _changes(run)}
    findings = [_finding(row, ended.get(row["run_id"], 0)) for row in old["findings"]]
    _insert("findings", findings)
    counts = Counter((row["run_id"], row["package"], row["severity"]) for row in findings)
    _insert(
        "finding_counts",
        [
            {"run_id": run, "package": package, "severity": severity, "count": count}
            for (run, package, severity), count in sorted(counts.items())
        ],
    )


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _rows(name: str) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(sa.select(_table(name))).mappings()]


def _insert(name: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        op.get_bind().execute(_table(name).insert(), rows)


def _id(*parts: str) -> str:
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:16], "big")
    digits = []
    for _ in range(8):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "0-" + "".join(digits)


def _target_arn() -> str:
    return f"{_PREFIX}:target/{_id('target', 'all')}"


def _target(created_us: int) -> dict[str, Any]:
    return {
        "arn": _target_arn(),
        "name": "every host",
        "resource_group_arn": None,
        "created_us": created_us,
        "updated_us": created_us,
    }


def _template_arn(run: dict[str, Any]) -> str:
    return f"{_target_arn()}/template/{_id('template', run['id'])}"


def _template(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "arn": _template_arn(run),
        "target_arn": _target_arn(),
        "name": f"{run['name'][:120]} {run['id']}",
        "duration_s": run["duration_s"],
        "packages": run["packages"],
        "user_attributes": "[]",
        "tags": "[]",
        "created_us": run["created_us"],
    }


def _changes(run: dict[str, Any]) -> list[tuple[str, int]]:
    return [(change["state"], change["at_us"]) for change in json.loads(run["changes"])]


def _run(run: dict[str, Any]) -> dict[str, Any]:
    changes = _changes(run)
    last_us = changes[-1][1] if changes else run["created_us"]
    started = (at_us for state, at_us in changes if state == "COLLECTING_DATA")
    return {
        **run,
        "arn": f"{_template_arn(run)}/run/{run['id']}",
        "template_arn": _template_arn(run),
        "target_arn": _target_arn(),
        "started_us": next(started, None),
        "completed_us": last_us if changes and run["state"] in _FINAL else None,
        "state_changed_us": last_us,
        "selector": "[]",
        "user_attributes": "[]",
    }


def _finding(row: dict[str, Any], created_us: int) -> dict[str, Any]:
    body = json.loads(row["body"])
    title = f"Instance {row['agent_id']}: {body.get('title', row['rule'])}"
    content = {
        "hostname": "",
        "host_tags": {},
        "title": title,
        "description": "",
        "recommendation": "",
        "attributes": [],
    }
    return {
        "run_id": row["run_id"],
        "id": _id("finding", row["occurrence_id"]),
        "package": body.get("package", ""),
        "rule": row["rule"],
        "agent_id": row["agent_id"],
        "auto_scaling_group": "",
        "severity": body.get("severity", "Undefined"),
        "numeric_severity": row["numeric_severity"],
        "created_us": created_us,
        "updated_us": created_us,
        "occurrence_id": row["occurrence_id"],
        "issue_id": row["issue_id"],
        "user_attributes": "[]",
        "content": json.dumps(content),
        "body": row["body"],
    }
