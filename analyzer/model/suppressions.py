"""What people say about findings: which risk they accept, until when, and what they resolved."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which findings are meant: those that all given parts match.

    ``rule``, ``agent_id`` and the values of ``group`` may hold ``*`` for any letters; case counts.
    """

    issue_id: str = ""
    """Exactly this issue; empty, as the others, = any."""
    rule: str = ""
    agent_id: str = ""
    group: dict[str, str] = field(default_factory=dict)
    """Column of the finding's group → its value as text."""

    def text(self) -> str:
        """Return it in words, such as ``rule imdsv1-*, host i-1, remote_port=23``."""
        parts = [
            f"issue {self.issue_id}" if self.issue_id else "",
            f"rule {self.rule}" if self.rule else "",
            f"host {self.agent_id}" if self.agent_id else "",
            *(f"{name}={value}" for name, value in self.group.items()),
        ]
        return ", ".join(filter(None, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """A risk that an owner accepts until a moment.

    Attributes:
        id: ``s-`` and eight digits.
        matcher: Of which findings.
        reason: Why.
        owner: Who answers for it.
        created_us: Since when.
        expires_us: Until when, at the latest.
        ended_us: When somebody took it back, or None.
    """

    id: str
    matcher: Matcher
    reason: str
    owner: str
    created_us: int
    expires_us: int
    ended_us: int | None = None

    def is_active(self, now_us: int) -> bool:
        """Tell whether it has neither expired nor been taken back."""
        return self.ended_us is None and now_us < self.expires_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Somebody says that an issue is resolved; if it is seen later, it is open again."""

    issue_id: str
    owner: str
    note: str
    at_us: int
