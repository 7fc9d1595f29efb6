"""The tables of the store, as the newest migration leaves them.

Times are integer microseconds, maps and lists are JSON text. ``seq`` counts up with every row, so
that lists page by it, newest first. What lies in a target, template or run goes with it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts up by itself there


def _text(length: int) -> String:
    """Return a text type that is compared byte by byte everywhere."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


def _seq() -> Column[int]:
    return Column("seq", _NUMBER, primary_key=True, autoincrement=True)


def _inside(column: str, of: str) -> Column[str]:
    return Column(column, _text(300), ForeignKey(of, ondelete="CASCADE"), nullable=False)


settings = Table(
    "settings",
    METADATA,
    Column("name", _text(64), primary_key=True),
    Column("value", Text, nullable=False),
)

agents = Table(
    "agents",
    METADATA,
    Column("agent_id", _text(128), primary_key=True),
    Column("boot_id", String(256), nullable=False),
    Column("hostname", String(256), nullable=False),
    Column("version", String(256), nullable=False),
    Column("tags", Text, nullable=False),
    Column("is_online", Integer, nullable=False),
    Column("is_collecting", Integer, nullable=False),
    Column("is_throttled", Integer, nullable=False, server_default="0"),
    Column("last_seen_us", BigInteger, nullable=False),
    Column("clock_offset_us", BigInteger, nullable=False),
    Column("os_name", String(256), nullable=False, server_default=""),
    Column("kernel_release", String(256), nullable=False, server_default=""),
    Column("interfaces", Text, nullable=False, server_default="[]"),
)

resource_groups = Table(
    "resource_groups",
    METADATA,
    _seq(),
    Column("arn", _text(300), nullable=False, unique=True),
    Column("tags", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

targets = Table(
    "targets",
    METADATA,
    _seq(),
    Column("arn", _text(300), nullable=False, unique=True),
    Column("name", _text(140), nullable=False, unique=True),
    Column("resource_group_arn", _text(300)),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

templates = Table(
    "templates",
    METADATA,
    _seq(),
    Column("arn", _text(300), nullable=False, unique=True),
    _inside("target_arn", "targets.arn"),
    Column("name", _text(140), nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("packages", Text, nullable=False),
    Column("user_attributes", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    UniqueConstraint("target_arn", "name", name="templates_by_name"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    METADATA,
    _seq(),
    Column("id", _text(16), nullable=False, unique=True),
    Column("arn", _text(300), unique=True),
    Column("template_arn", _text(300), ForeignKey("templates.arn", ondelete="CASCADE")),
    Column("target_arn", _text(300)),
    Column("name", _text(140), nullable=False),
    Column("duration_s", Integer, nullable=False),
    Column("packages", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False, index=True),
    Column("state", String(40), nullable=False, index=True),
    Column("from_us", BigInteger),
    Column("to_us", BigInteger),
    Column("started_us", BigInteger),
    Column("completed_us", BigInteger),
    Column("state_changed_us", BigInteger, nullable=False),
    Column("agents", Text, nullable=False),
    Column("changes", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("progress", Text, nullable=False),
    Column("selector", Text, nullable=False),
    Column("user_attributes", Text, nullable=False),
    # Asked for by whoever stops a run; the run clock never writes it, so no request is lost.
    Column("stop", String(20), nullable=False),
    Index("runs_by_template", "template_arn", "seq"),
    sqlite_autoincrement=True,
)

run_agents = Table(
    "run_agents",
    METADATA,
    _inside("run_arn", "runs.arn"),
    Column("agent_id", _text(128), nullable=False),
    Column("code", String(16), nullable=False),
    Column("details", Text, nullable=False),
    Column("is_assessed", Integer, nullable=False),
    Column("hostname", String(256), nullable=False),
    Column("auto_scaling_group", _text(256), nullable=False),
    Column("tags", Text, nullable=False),
    Column("telemetry", Text, nullable=False),
    UniqueConstraint("run_arn", "agent_id", name="run_agents_by_id"),
)

_PLACE = ("created_us", "seq")  # of a finding in lists
_HOST = ("agent_id", "auto_scaling_group")

results = Table(
    "results",
    METADATA,
    Column("run_id", _text(16), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

findings = Table(
    "findings",
    METADATA,
    _seq(),
    Column("run_id", _text(16), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("id", _text(16), nullable=False),
    Column("package", _text(64), nullable=False),
    Column("rule", _text(64), nullable=False),
    Column("agent_id", _text(128), nullable=False),
    Column("auto_scaling_group", _text(256), nullable=False),
    Column("severity", _text(16), nullable=False),
    Column("numeric_severity", Integer, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("updated_us", BigInteger, nullable=False),
    Column("occurrence_id", String(64), nullable=False),
    Column("issue_id", _text(64), nullable=False, index=True),
    Column("user_attributes", Text, nullable=False),
    # What no list asks for: hostname, tags, texts and the rule's attributes.
    Column("content", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("run_id", "id", name="findings_by_id"),
    Index("findings_by_time", *_PLACE),
    Index("findings_by_run", "run_id", *_PLACE),
    # Behind ``seq`` stands what the other members of a filter ask for.
    Index("findings_by_agent", "agent_id", *_PLACE, "severity", "package"),
    Index("findings_by_rule", "rule", *_PLACE, *_HOST, "severity", "package", "run_id"),
    Index("findings_by_group", "auto_scaling_group", *_PLACE, "agent_id", "severity", "package"),
    Index("findings_by_severity", "severity", *_PLACE, *_HOST, "run_id"),
    Index("findings_by_package", "package", "severity", *_PLACE, *_HOST, "run_id"),
    sqlite_autoincrement=True,
)

finding_attributes = Table(
    "finding_attributes",
    METADATA,
    Column(
        "finding_seq",
        _NUMBER,
        ForeignKey("findings.seq", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("is_user", Integer, nullable=False),
    Column("key", _text(128), nullable=False),
    Column("value", _text(256)),
    Column("created_us", BigInteger, nullable=False),
    Index("finding_attributes_by_value", "key", "value", "is_user", "created_us", "finding_seq"),
)

finding_counts = Table(
    "finding_counts",
    METADATA,
    Column("run_id", _text(16), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("package", _text(64), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("run_id", "package", "severity", name="finding_counts_by_run"),
)

exclusions = Table(
    "exclusions",
    METADATA,
    _seq(),
    _inside("run_arn", "runs.arn"),
    Column("id", _text(16), nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("run_arn", "id", name="exclusions_by_id"),
    sqlite_autoincrement=True,
)

exclusions_previews = Table(
    "exclusions_previews",
    METADATA,
    Column("token", _text(36), primary_key=True),
    _inside("template_arn", "templates.arn"),
    Column("created_us", BigInteger, nullable=False),
    Column("exclusions", Text),
)

subscriptions = Table(
    "subscriptions",
    METADATA,
    _seq(),
    _inside("template_arn", "templates.arn"),
    Column("event", String(40), nullable=False),
    Column("topic_arn", _text(300), nullable=False),
    Column("subscribed_us", BigInteger, nullable=False),
    UniqueConstraint("template_arn", "event", "topic_arn", name="subscriptions_by_topic"),
    sqlite_autoincrement=True,
)

schedules = Table(
    "schedules",
    METADATA,
    Column("name", _text(140), primary_key=True),
    _inside("template_arn", "templates.arn"),
    Column("expression", Text, nullable=False),
    Column("zone", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("next_us", BigInteger),
    Column("is_paused", Integer, nullable=False),
    Column("outcomes", Text, nullable=False),
    Index("schedules_due", "next_us"),
)

routes = Table(
    "routes",
    METADATA,
    Column("name", _text(140), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("template_arn", _text(300), nullable=False),
    Column("options", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
)

# Messages on their way outlive what they tell of: what was about to be told is told even of a
# deleted run. Those that were told go with it.
outbox = Table(
    "outbox",
    METADATA,
    _seq(),
    Column("id", _text(64), nullable=False, unique=True),
    Column("created_us", BigInteger, nullable=False),
    Column("event", String(40), nullable=False),
    Column("template_arn", _text(300), nullable=False),
    Column("target_arn", _text(300), nullable=False),
    Column("run_arn", _text(300), nullable=False),
    Column("finding_arn", _text(300), nullable=False),
    Column("topic_arn", _text(300), nullable=False),
    Column("route", _text(140), nullable=False),
    Column("payload", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_us", BigInteger),
    Column("delivered_us", BigInteger),
    Column("status", String(32), nullable=False),
    Column("error", Text, nullable=False),
    Index("outbox_due", "next_attempt_us"),
    Index("outbox_by_run", "run_arn", "seq"),
    sqlite_autoincrement=True,
)

suppressions = Table(
    "suppressions",
    METADATA,
    _seq(),
    Column("id", _text(16), nullable=False, unique=True),
    Column("matcher", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("owner", String(140), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    sqlite_autoincrement=True,
)

resolutions = Table(
    "resolutions",
    METADATA,
    Column("issue_id", _text(64), primary_key=True),
    Column("owner", String(140), nullable=False),
    Column("note", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)
