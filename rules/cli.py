"""``python -m rules``: check, show, write and explain rules.

In: command line arguments. Out: text or JSON on stdout, errors on stderr, and an exit code: 0 done,
1 problems found, 2 wrong usage or malformed rule files.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rules.check import Report, check
from rules.columns import suggestion
from rules.errors import Problem, RuleFileError
from rules.explain import explain
from rules.format import ID_PATTERN, Rule
from rules.history import undeclared_changes
from rules.loader import Package, load_packages, rules_digest
from rules.schema import SCHEMA_PATH, schema_text
from rules.skeleton import SKELETON_KINDS, skeleton
from rules.tables import README_PATH, with_tables

OK: Final = 0
PROBLEMS: Final = 1
MISUSE: Final = 2
_WIDTH: Final = 100  # columns of wrapped text
_EXAMPLES: Final = """\
examples:
  python -m rules check                        the shipped packages
  python -m rules check my-rules -o json       a folder of rules, as JSON
  python -m rules new my-rule --dir my-rules   a new rule file
  python -m rules show                         all shipped rules
  python -m rules explain imdsv1-burst         one rule in words
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough, and nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except RuleFileError as error:
        for problem in error.problems:
            print(_at_hand(problem), file=sys.stderr)
        return MISUSE
    except _MisuseError as error:
        print(f"rules: {error}", file=sys.stderr)
        return MISUSE


class _MisuseError(Exception):
    """What was asked for makes no sense; the text says why and what to do."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rules",
        description="Check, show, write and explain rules.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("check", help="run tests and mutants, list every problem")
    command.add_argument("paths", nargs="*", type=Path, metavar="PATH", help=_PATH_HELP)
    command.add_argument(
        "--against", type=Path, metavar="DIR", help="earlier packages: versions must have risen"
    )
    _add_output(command, _check)

    command = commands.add_parser("show", help="list packages and rules, or show one rule")
    command.add_argument("id", nargs="?", metavar="ID", help="id of one rule")
    _add_rules(command)
    _add_output(command, _show)

    command = commands.add_parser("new", help="write the skeleton of a rule")
    command.add_argument("id", metavar="ID", help="lower case words joined by -")
    command.add_argument("--kind", choices=SKELETON_KINDS, default="event", help="how it fires")
    command.add_argument(
        "--dir", type=Path, default=Path(), help="where to write it (default: here)"
    )
    command.set_defaults(command=_new)

    command = commands.add_parser("schema", help="JSON Schema of rule files and generated tables")
    action = command.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write both files again")
    action.add_argument("--check", action="store_true", help="fail if a file is not current")
    command.set_defaults(command=_schema)

    command = commands.add_parser("explain", help="say in words what a rule means")
    command.add_argument("id", metavar="ID", help="id of the rule")
    _add_rules(command)
    command.set_defaults(command=_explain)
    return parser


_PATH_HELP: Final = (
    "package, folder of packages, folder of rule files, or rule file (default: shipped)"
)


def _add_rules(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rules", type=Path, metavar="PATH", help=_PATH_HELP)


def _add_output(
    command: argparse.ArgumentParser, function: Callable[[argparse.Namespace], int]
) -> None:
    command.add_argument("-o", "--output", choices=("table", "json"), default="table")
    command.set_defaults(command=function)


def _check(arguments: argparse.Namespace) -> int:
    report = check(arguments.paths)
    problems = [*report.malformed, *report.problems]
    if arguments.against is not None and not report.malformed:
        old = load_packages(arguments.against)
        problems += undeclared_changes(old, report.packages)
    if arguments.output == "json":
        _print_json(_report(report, problems))
    else:
        for line in _report_lines(report, problems):
            print(line)
    if report.malformed:
        return MISUSE
    return PROBLEMS if problems else OK


def _report(report: Report, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "format": 1,
        "packages": len(report.packages),
        "rules": len(report.rules),
        "tests": report.tests,
        "mutants": {"killed": report.killed, "total": report.mutants},
        "problems": [
            {"path": problem.path, "line": problem.line, "text": problem.text}
            for problem in problems
        ],
    }


def _report_lines(report: Report, problems: Sequence[Problem]) -> Iterator[str]:
    yield from _table(
        ("Package", "Rule", "Tests", "Mutants killed"),
        [
            (
                rule.package,
                rule.rule.id,
                str(rule.tests),
                _share(rule.mutants.killed, rule.mutants.total),
            )
            for rule in report.rules
        ],
    )
    yield ""
    for problem in problems:
        yield str(_at_hand(problem))
    yield (
        f"{len(report.rules)} rules in {len(report.packages)} packages, {report.tests} tests, "
        f"mutants killed {_share(report.killed, report.mutants)}, "
        f"problems {len(problems) or 'none'}"
    )


def _share(part: int, whole: int) -> str:
    return f"{part} / {whole} ({100 * part // whole} %)" if whole else "0 / 0"


def _show(arguments: argparse.Namespace) -> int:
    packages = load_packages(arguments.rules)
    if arguments.id is not None:
        package, rule = _find(packages, arguments.id)
        if arguments.output == "json":
            _print_json({**_listed(package, rule), "file": rule.document})
        else:
            print("\n".join(_shown(package, rule)))
    elif arguments.output == "json":
        _print_json(
            {
                "format": 1,
                "digest": rules_digest(packages),
                "rules": [_listed(package, rule) for package in packages for rule in package.rules],
            }
        )
    else:
        rows = [
            (package.id, rule.id, rule.severity, str(rule.version), rule.status, rule.title)
            for package in packages
            for rule in package.rules
        ]
        head = ("Package", "Rule", "Severity", "Version", "Status", "Title")
        print("\n".join(_table(head, rows)))
    return OK


def _listed(package: Package, rule: Rule) -> dict[str, Any]:
    return {
        "package": package.id,
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "numeric_severity": rule.numeric_severity,
        "version": rule.version,
        "status": rule.status,
        "telemetry": list(rule.telemetry),
        "digest": rule.digest,
    }


def _shown(package: Package, rule: Rule) -> Iterator[str]:
    yield f"{rule.id}: {rule.title}"
    yield f"{rule.severity} · package {package.id} · version {rule.version} · {rule.status}"
    parts = [
        ("What was observed", [rule.description]),
        ("Why it matters", [rule.rationale]),
        ("What to do", [rule.recommendation]),
        ("What it cannot see", [f"- {text}" for text in rule.limitations]),
        ("To read", [f"- {item.title}\n{item.url}" for item in rule.references]),
        ("ATT&CK and CWE", [", ".join((*(rule.attack or ()), *(rule.cwe or ())))]),
    ]
    for title, texts in parts:
        if any(texts):
            yield f"\n{title}"
        for text in filter(None, texts):
            for line in text.splitlines():
                indent = "  " if line.startswith("- ") or not text.startswith("- ") else "    "
                yield textwrap.fill(
                    line,
                    _WIDTH,
                    initial_indent=indent,
                    subsequent_indent="    " if text.startswith("- ") else "  ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )


def _new(arguments: argparse.Namespace) -> int:
    if not re.fullmatch(ID_PATTERN, arguments.id):
        raise _MisuseError(f"{arguments.id!r} is no id: lower case words and digits joined by -")
    path: Path = arguments.dir / f"{arguments.id}.yaml"
    if path.exists():
        raise _MisuseError(f"{path} is there already; choose another id or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(skeleton(arguments.id, arguments.kind))
    except OSError as error:
        raise _MisuseError(f"{path} cannot be written: {error.strerror}") from error
    print(f"Wrote {path}. Fill in its texts, then: python -m rules check {path}")
    return OK


def _schema(arguments: argparse.Namespace) -> int:
    schema = schema_text()
    if not (arguments.write or arguments.check):
        print(schema, end="")
        return OK
    readme = README_PATH.read_text(encoding="utf-8")
    wanted = {SCHEMA_PATH: schema, README_PATH: with_tables(readme)}
    stale = [path for path, text in wanted.items() if _text(path) != text]
    for path in stale:
        if arguments.write:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"Wrote {_near(path)}")
        else:
            print(f"{_near(path)}:1: is not current; run: python -m rules schema --write")
    return PROBLEMS if stale and arguments.check else OK


def _explain(arguments: argparse.Namespace) -> int:
    package, rule = _find(load_packages(arguments.rules), arguments.id)
    print(explain(rule, package.id))
    return OK


def _find(packages: Sequence[Package], rule_id: str) -> tuple[Package, Rule]:
    rules = {rule.id: (package, rule) for package in packages for rule in package.rules}
    if rule_id not in rules:
        hint = suggestion(rule_id, rules) or "; `python -m rules show` lists all"
        raise _MisuseError(f"there is no rule {rule_id!r}{hint}")
    return rules[rule_id]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _at_hand(problem: Problem) -> Problem:
    """Return a problem with its path as one would type it here."""
    return Problem(_near(Path(problem.path)), problem.line, problem.text)


def _near(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _print_json(value: Any) -> None:  # noqa: ANN401 (any JSON value)
    print(json.dumps(value, indent=2, ensure_ascii=False))
