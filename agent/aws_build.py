"""Builds the table of AWS endpoints that comes with the agent.

In: botocore's service models, endpoint rule sets and endpoint list (a developer's dependency).
Out: ``aws_endpoints.json.gz``: DNS zones, service prefixes, and every known name that ``agent.aws``
would read wrongly without it.

    python -m agent.aws_build            says whether the table is up to date
    python -m agent.aws_build --write    writes it
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.aws import TABLE, AwsEndpoint, Table, Zone, read_name, service_of

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA_PREFIXES: Final = frozenset(
    {"dkr.ecr", "email-smtp", "queue", "rds", "s3-accesspoint", "s3-external-1", "s3-website"}
)
"""Prefixes of endpoints that no service model names."""
_PLACEHOLDER: Final = re.compile(r"\{([^}]+)\}")
_TAGGED: Final = {
    frozenset[str](): "standard",
    frozenset({"fips"}): "fips",
    frozenset({"dualstack"}): "dualstack",
    frozenset({"fips", "dualstack"}): "fips_dualstack",
}

Truth = dict[str, AwsEndpoint]
"""Host name → what it is."""


class Source:
    """botocore's data folder."""

    def __init__(self) -> None:
        """Find it.

        Raises:
            ModuleNotFoundError: botocore is not installed.
        """
        module = importlib.import_module("botocore")
        self.version: str = module.__version__
        self._folder = Path(str(module.__file__)).parent / "data"
        self.partitions: list[dict[str, Any]] = self._read("partitions.json")["partitions"]

    def prefixes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each service's endpoint prefix and its newest endpoint rule set."""
        for folder in sorted(path for path in self._folder.iterdir() if path.is_dir()):
            newest = max(path for path in folder.iterdir() if path.is_dir())
            model = self._read(newest / "service-2.json.gz")
            rules = newest / "endpoint-rule-set-1.json.gz"
            yield model["metadata"]["endpointPrefix"], self._read(rules) if rules.exists() else {}

    def endpoints(self) -> Iterator[dict[str, Any]]:
        """Yield each partition of the older endpoint list."""
        yield from self._read("endpoints.json")["partitions"]

    def _read(self, name: str | Path) -> Any:  # noqa: ANN401 (JSON)
        path = self._folder / name
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)


def build() -> dict[str, Any]:
    """Return the table as plain JSON values."""
    source = Source()
    zones = _zones(source)
    services = list(source.prefixes())
    listed = {name for part in source.endpoints() for name in part["services"]}
    prefixes = frozenset({prefix for prefix, _ in services} | listed | EXTRA_PREFIXES)
    bare = Table(zones, prefixes, {})
    truth = known_names(source)
    wrong = {host: known for host, known in truth.items() if read_name(host, bare) != known}
    return {
        "botocore": source.version,
        "zones": [
            [zone.suffix, zone.partition, zone.is_dualstack, zone.region.pattern] for zone in zones
        ],
        "prefixes": sorted(prefixes),
        "hosts": {host: list(wrong[host]) for host in sorted(wrong)},
    }


def known_names(source: Source) -> Truth:
    """Return every name that botocore states, and what it is.

    Rule sets state templates by service, the older list explicit names; rule sets win.
    """
    truth: Truth = {}
    for part in source.endpoints():
        truth.update(_listed_names(part))
    for prefix, rules in source.prefixes():
        for url in sorted(set(_urls(rules))):
            truth.update(_templated_names(prefix, url, source.partitions))
    return truth


def _zones(source: Source) -> list[Zone]:
    zones = [
        Zone(part["outputs"][key], part["id"], key == "dualStackDnsSuffix", _region(part))
        for part in source.partitions
        for key in ("dnsSuffix", "dualStackDnsSuffix")
    ]
    # GovCloud shares its suffix with the others; its narrower pattern is tried first.
    return sorted(zones, key=lambda z: (-len(z.suffix), z.suffix, z.partition == "aws"))


def _region(part: dict[str, Any]) -> re.Pattern[str]:
    return re.compile(part["regionRegex"].removeprefix("^").removesuffix("$"))


def _urls(value: Any) -> Iterator[str]:  # noqa: ANN401 (JSON)
    if isinstance(value, dict):
        if isinstance(value.get("url"), str):
            yield value["url"]
        for item in value.values():
            yield from _urls(item)
    elif isinstance(value, list):
        for item in value:
            yield from _urls(item)


def _templated_names(prefix: str, url: str, partitions: list[dict[str, Any]]) -> Truth:
    """Return the names of a template whose only unknowns are the region and the suffix."""
    template = url.removeprefix("https://").split("/")[0]
    unknown = {name.lower().split("#")[-1] for name in _PLACEHOLDER.findall(template)}
    if not unknown or not unknown <= {"region", "dnssuffix", "dualstackdnssuffix"}:
        return {}
    names: Truth = {}
    for part in partitions:
        is_global = "region" not in unknown
        for region in [part["outputs"]["implicitGlobalRegion"]] if is_global else part["regions"]:
            host = _filled(template, region, part["outputs"])
            if not region.endswith("-global") and _is_in(host, part["outputs"]):
                known = _endpoint(prefix, region, part["id"], template, part["outputs"])
                names.setdefault(host, known)  # of partitions that share a suffix, the first
    return names


def _filled(template: str, region: str, outputs: dict[str, Any]) -> str:
    def fill(match: re.Match[str]) -> str:
        name = match[1].lower()
        if "dualstack" in name:
            return str(outputs["dualStackDnsSuffix"])
        return str(outputs["dnsSuffix"]) if "dnssuffix" in name else region

    return _PLACEHOLDER.sub(fill, template)


def _is_in(host: str, outputs: dict[str, Any]) -> bool:
    return any(host.endswith("." + outputs[key]) for key in ("dnsSuffix", "dualStackDnsSuffix"))


def _endpoint(
    prefix: str, region: str, partition: str, template: str, outputs: dict[str, Any]
) -> AwsEndpoint:
    tags = {"fips"} if re.search(r"(^|[.-])fips([.-])", template) else set()
    in_dualstack = _filled(template, region, outputs).endswith("." + outputs["dualStackDnsSuffix"])
    if in_dualstack or ".dualstack." in template:
        tags.add("dualstack")
    return AwsEndpoint(service_of(prefix), region, partition, _TAGGED[frozenset(tags)])


def _listed_names(part: dict[str, Any]) -> Truth:
    known = re.compile(part["regionRegex"])
    suffixes = tuple({"." + item["dnsSuffix"] for item in (part, *part["defaults"]["variants"])})
    names: Truth = {}
    for prefix, service in part["services"].items():
        for key, endpoint in service.get("endpoints", {}).items():
            scope = endpoint.get("credentialScope", {}).get("region")
            region = key if known.match(key) else scope
            hosts = [(endpoint.get("hostname"), ["fips"] if "fips" in key else [])]
            hosts += [(item.get("hostname"), item["tags"]) for item in endpoint.get("variants", ())]
            for host, tags in hosts:
                if host and "{" not in host and host.endswith(suffixes):
                    variant = _TAGGED[frozenset(tags)]
                    name = service_of(prefix)
                    names[host] = AwsEndpoint(name, region, part["partition"], variant)
    return names


def main(arguments: list[str] | None = None) -> int:
    """Write the table, or tell whether it is up to date."""
    parser = argparse.ArgumentParser(
        prog="python -m agent.aws_build", description="Build the table of AWS endpoints."
    )
    parser.add_argument("--write", action="store_true", help="write the table")
    options = parser.parse_args(arguments)
    text = json.dumps(build(), separators=(",", ":"), sort_keys=True).encode()
    if options.write:
        TABLE.write_bytes(gzip.compress(text, 9, mtime=0))
        return 0
    if not TABLE.exists() or gzip.decompress(TABLE.read_bytes()) != text:
        sys.stderr.write("The table is out of date: python -m agent.aws_build --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
