"""What host names say about AWS services."""

from __future__ import annotations

import pytest

from agent.aws import AwsEndpoint, classify, load_table, seen_at
from rules.telemetry.kinds import AWS_CALL

NAMES = {
    "ec2.us-east-1.amazonaws.com": ("ec2", "us-east-1", "aws", "standard"),
    "EC2.US-EAST-1.amazonaws.com.": ("ec2", "us-east-1", "aws", "standard"),
    "ec2.us-gov-west-1.amazonaws.com": ("ec2", "us-gov-west-1", "aws-us-gov", "standard"),
    "ec2.cn-north-1.amazonaws.com.cn": ("ec2", "cn-north-1", "aws-cn", "standard"),
    "ec2.eusc-de-east-1.amazonaws.eu": ("ec2", "eusc-de-east-1", "aws-eusc", "standard"),
    "my.dotted.bucket.s3.eu-west-1.amazonaws.com": ("s3", "eu-west-1", "aws", "standard"),
    "compute.s3.eu-west-1.amazonaws.com": ("s3", "eu-west-1", "aws", "standard"),
    "my.elb.logs.s3.eu-west-1.amazonaws.com": ("s3", "eu-west-1", "aws", "standard"),
    "elb.s3.amazonaws.com": ("s3", None, "aws", "standard"),
    "bucket.s3.amazonaws.com": ("s3", None, "aws", "standard"),
    "s3-us-west-2.amazonaws.com": ("s3", "us-west-2", "aws", "standard"),
    "bucket.s3-website-us-east-1.amazonaws.com": ("s3", "us-east-1", "aws", "standard"),
    "bucket.s3.dualstack.us-west-2.amazonaws.com": ("s3", "us-west-2", "aws", "dualstack"),
    "s3-fips.dualstack.us-east-1.amazonaws.com": ("s3", "us-east-1", "aws", "fips_dualstack"),
    "b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com": (
        "s3",
        "us-east-1",
        "aws",
        "standard",
    ),
    "kms-fips.us-east-1.amazonaws.com": ("kms", "us-east-1", "aws", "fips"),
    "fips.transcribe.us-east-1.amazonaws.com": ("transcribe", "us-east-1", "aws", "fips"),
    "runtime-fips.lex.us-east-1.amazonaws.com": ("runtime.lex", "us-east-1", "aws", "fips"),
    "lambda.us-east-1.api.aws": ("lambda", "us-east-1", "aws", "dualstack"),
    "vpce-0a1b-xyz.ec2.us-east-1.vpce.amazonaws.com": ("ec2", "us-east-1", "aws", "vpce"),
    "bucket.vpce-1a2b-5e6f.s3.us-east-1.vpce.amazonaws.com": ("s3", "us-east-1", "aws", "vpce"),
    "123456789012.dkr.ecr.us-east-1.amazonaws.com": ("ecr", "us-east-1", "aws", "standard"),
    "api.ecr.us-east-1.amazonaws.com": ("ecr", "us-east-1", "aws", "standard"),
    "entitlement.marketplace.us-east-1.amazonaws.com": (
        "entitlement-marketplace",
        "us-east-1",
        "aws",
        "standard",
    ),
    "abc123.execute-api.us-east-1.amazonaws.com": ("execute-api", "us-east-1", "aws", "standard"),
    "us-east-1.queue.amazonaws.com": ("sqs", "us-east-1", "aws", "standard"),
    "search-x.us-east-1.es.amazonaws.com": ("es", "us-east-1", "aws", "standard"),
    "sts.amazonaws.com": ("sts", "us-east-1", "aws", "standard"),
    "brand-new.us-east-1.amazonaws.com": ("brand-new", "us-east-1", "aws", "standard"),
}
NONE = (
    "evilamazonaws.com",
    "ec2.us-east-1.evilamazonaws.com",
    "notamazonaws.com.evil.org",
    "ec2.us-east-1.amazonaws.com.evil.org",
    "amazonaws.com",
    "us-east-1.amazonaws.com",
    "www.amazonaws.com",
    "ec2-203-0-113-7.eu-west-1.compute.amazonaws.com",
    "ec2-203-0-113-7.compute-1.amazonaws.com",
    "balancer-123.us-east-1.elb.amazonaws.com",
    "balancer-123.elb.us-east-1.amazonaws.com",
    "ec2-203-0-113-7.cn-north-1.compute.amazonaws.com.cn",
    "a0b1.awsglobalaccelerator.com",
    "ec2.cn-north-1.amazonaws.com",
    "ec2.us-east-1.amazonaws.com:443",
    "ec2..us-east-1.amazonaws.com",
    "-.amazonaws.com",
    "a" * 300 + ".us-east-1.amazonaws.com",
    "localhost",
    "203.0.113.7",
    "",
)


@pytest.mark.parametrize("host", NAMES)
def test_endpoint_is_read_from_its_name(host: str) -> None:
    assert classify(host) == AwsEndpoint(*NAMES[host])


@pytest.mark.parametrize("host", NONE)
def test_other_name_is_no_endpoint(host: str) -> None:
    assert classify(host) is None


def test_private_address_gives_a_vpc_endpoint_with_private_dns_away() -> None:
    endpoint = AwsEndpoint("ec2", "us-east-1", "aws", "standard")
    assert seen_at(endpoint, "private").variant == "vpce_inferred"
    assert seen_at(endpoint, "public") is endpoint
    assert seen_at(endpoint, None) is endpoint
    own = endpoint._replace(variant="vpce")
    assert seen_at(own, "private") is own


def test_variants_are_values_of_the_column() -> None:
    closed = AWS_CALL.columns["variant"].closed
    variants = {endpoint.variant for endpoint in load_table().hosts.values()}
    assert variants <= set(closed)
