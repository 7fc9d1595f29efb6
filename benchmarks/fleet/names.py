"""Names: what processes, servers and certificates of the fleet are called.

In: nothing. Out: pools of names; the first ones of a pool are used most.
"""

from __future__ import annotations

from typing import Final

SERVERS: Final = ("nginx", "java", "python3", "node", "postgres", "redis-server", "envoy")
DAEMONS: Final = (
    *SERVERS,
    "sshd",
    "systemd-resolved",
    "amazon-ssm-agent",
    "kubelet",
    "containerd",
    "chronyd",
    "postfix",
    *(f"svc-{number:03d}" for number in range(180)),
)
COMMANDS: Final = (
    "python3",
    "sh",
    "bash",
    "curl",
    "git",
    "wget",
    "aws",
    "node",
    "java",
    *(f"job-{number:03d}" for number in range(60)),
)
MAILERS: Final = ("postfix", "sendmail", "exim4")
USERS: Final = ("root", "www-data", "app", "postgres", "nobody", *(f"u{i:02d}" for i in range(40)))

NETCAT, DELETED, IN_MEMORY, ROOT_SYNC = range(4)
ROGUES: Final = (
    ("nc", "/usr/bin/nc", "app"),
    ("java", "/usr/bin/java (deleted)", "app"),
    ("k", "/dev/shm/k", "nobody"),  # noqa: S108 (a path in made-up telemetry)
    ("sync", "/opt/sync/bin/run", "root"),
)
"""Name, path and user of what every host has and only violating events use."""

SERVICE_PORTS: Final = (443, 53, 5432, 6379, 3306, 9092, 8080, 80, 123, 8443, 2379)
SERVICE_WEIGHTS: Final = (0.5, 0.2, 0.07, 0.06, 0.04, 0.04, 0.03, 0.02, 0.02, 0.01, 0.01)
UDP_PORTS: Final = (53, 123)
IDLE_PORTS: Final = (22, 9100, 8125, 11211)
"""Ports that hosts listen on and nobody uses."""
APP_PROTOCOLS: Final = {443: "tls", 8443: "tls", 53: "dns", 80: "http", 8080: "http", 6379: "redis"}
BACKDOOR_PORTS: Final = (4444, 5555, 31337)

TLS_12, TLS_13 = "TLSv1.2", "TLSv1.3"
OLD_TLS: Final = ("SSLv3", "TLSv1.0", "TLSv1.1")
CIPHERS_13: Final = (
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
)
CIPHERS_12: Final = (
    (0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
)
WEAK_CIPHERS: Final = (
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0x000A, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x0002, "TLS_RSA_WITH_NULL_SHA"),
    (0x0003, "TLS_RSA_EXPORT_WITH_RC4_40_MD5"),
)
SERVER_NAMES: Final = (
    *(f"api{number}.svc.example.com" for number in range(2_000)),
    *(f"db{number}.prod.example.com" for number in range(900)),
)
ODD_SERVER_NAMES: Final = tuple(f"h{number}.weird.test" for number in range(100))
PROD_SERVER_NAMES: Final = SERVER_NAMES[2_000:]
ISSUERS: Final = ("CN=Example Issuing CA 1", "CN=Example Issuing CA 2", "CN=R11,O=Example")
KEYS: Final = (("ecdsa", 256), ("rsa", 2048), ("rsa", 4096))
SIGNATURES: Final = ("ecdsa-with-SHA256", "sha256WithRSAEncryption", "sha384WithRSAEncryption")
FINGERPRINTS: Final = 200  # distinct TLS clients of the fleet

AWS_SERVICES: Final = (
    *("s3", "sqs", "dynamodb", "logs", "monitoring", "kms", "ssm", "ecr", "lambda"),
    *("secretsmanager", "kinesis", "ec2", "sns", "sts", "iam"),
)
REGIONS: Final = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-south-1")
FAR_REGIONS: Final = ("sa-east-1", "me-south-1", "af-south-1")
CLOSED_REGIONS: Final = (("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"))
