"""IANA names of TLS cipher suites.

In: the number that a hello carries. Out: its name. Suites of Kerberos, SRP and ARIA are
left out: their number is reported without a name.
Source: IANA, TLS Cipher Suites registry.
"""

from __future__ import annotations

from typing import Final

# What a connection is encrypted with → how its keys are exchanged → number. Strongest first, as a
# careful client would ask for them.
_SUITES: Final[dict[str, dict[str, int]]] = {
    "AES_256_GCM_SHA384": {
        "ECDHE_ECDSA": 0xC02C,
        "ECDHE_RSA": 0xC030,
        "DHE_RSA": 0x009F,
        "DHE_DSS": 0x00A3,
        "RSA": 0x009D,
        "ECDH_ECDSA": 0xC02E,
        "ECDH_RSA": 0xC032,
        "DH_RSA": 0x00A1,
        "DH_DSS": 0x00A5,
        "DH_anon": 0x00A7,
        "PSK": 0x00A9,
        "DHE_PSK": 0x00AB,
        "RSA_PSK": 0x00AD,
    },
    "CHACHA20_POLY1305_SHA256": {
        "ECDHE_ECDSA": 0xCCA9,
        "ECDHE_RSA": 0xCCA8,
        "DHE_RSA": 0xCCAA,
        "PSK": 0xCCAB,
        "ECDHE_PSK": 0xCCAC,
        "DHE_PSK": 0xCCAD,
        "RSA_PSK": 0xCCAE,
    },
    "AES_128_GCM_SHA256": {
        "ECDHE_ECDSA": 0xC02B,
        "ECDHE_RSA": 0xC02F,
        "DHE_RSA": 0x009E,
        "DHE_DSS": 0x00A2,
        "RSA": 0x009C,
        "ECDH_ECDSA": 0xC02D,
        "ECDH_RSA": 0xC031,
        "DH_RSA": 0x00A0,
        "DH_DSS": 0x00A4,
        "DH_anon": 0x00A6,
        "PSK": 0x00A8,
        "DHE_PSK": 0x00AA,
        "RSA_PSK": 0x00AC,
    },
    "AES_256_CCM": {"ECDHE_ECDSA": 0xC0AD, "DHE_RSA": 0xC09F, "RSA": 0xC09D},
    "AES_128_CCM": {"ECDHE_ECDSA": 0xC0AC, "DHE_RSA": 0xC09E, "RSA": 0xC09C},
    "AES_256_CCM_8": {"ECDHE_ECDSA": 0xC0AF, "DHE_RSA": 0xC0A3, "RSA": 0xC0A1},
    "AES_128_CCM_8": {"ECDHE_ECDSA": 0xC0AE, "DHE_RSA": 0xC0A2, "RSA": 0xC0A0},
    "AES_256_CBC_SHA384": {
        "ECDHE_ECDSA": 0xC024,
        "ECDHE_RSA": 0xC028,
        "ECDH_ECDSA": 0xC026,
        "ECDH_RSA": 0xC02A,
        "PSK": 0x00AF,
    },
    "AES_256_CBC_SHA256": {
        "DHE_RSA": 0x006B,
        "DHE_DSS": 0x006A,
        "RSA": 0x003D,
        "DH_RSA": 0x0069,
        "DH_DSS": 0x0068,
        "DH_anon": 0x006D,
    },
    "AES_128_CBC_SHA256": {
        "ECDHE_ECDSA": 0xC023,
        "ECDHE_RSA": 0xC027,
        "DHE_RSA": 0x0067,
        "DHE_DSS": 0x0040,
        "RSA": 0x003C,
        "ECDH_ECDSA": 0xC025,
        "ECDH_RSA": 0xC029,
        "DH_RSA": 0x003F,
        "DH_DSS": 0x003E,
        "DH_anon": 0x006C,
        "PSK": 0x00AE,
    },
    "CAMELLIA_256_CBC_SHA384": {"ECDHE_ECDSA": 0xC073, "ECDHE_RSA": 0xC077},
    "CAMELLIA_128_CBC_SHA256": {
        "ECDHE_ECDSA": 0xC072,
        "ECDHE_RSA": 0xC076,
        "DHE_RSA": 0x00BE,
        "DHE_DSS": 0x00BD,
        "RSA": 0x00BA,
        "DH_anon": 0x00BF,
    },
    "CAMELLIA_256_CBC_SHA256": {
        "DHE_RSA": 0x00C4,
        "DHE_DSS": 0x00C3,
        "RSA": 0x00C0,
        "DH_anon": 0x00C5,
    },
    "AES_256_CBC_SHA": {
        "ECDHE_ECDSA": 0xC00A,
        "ECDHE_RSA": 0xC014,
        "DHE_RSA": 0x0039,
        "DHE_DSS": 0x0038,
        "RSA": 0x0035,
        "ECDH_ECDSA": 0xC005,
        "ECDH_RSA": 0xC00F,
        "DH_RSA": 0x0037,
        "DH_DSS": 0x0036,
        "DH_anon": 0x003A,
        "ECDH_anon": 0xC019,
        "PSK": 0x008D,
        "ECDHE_PSK": 0xC036,
    },
    "AES_128_CBC_SHA": {
        "ECDHE_ECDSA": 0xC009,
        "ECDHE_RSA": 0xC013,
        "DHE_RSA": 0x0033,
        "DHE_DSS": 0x0032,
        "RSA": 0x002F,
        "ECDH_ECDSA": 0xC004,
        "ECDH_RSA": 0xC00E,
        "DH_RSA": 0x0031,
        "DH_DSS": 0x0030,
        "DH_anon": 0x0034,
        "ECDH_anon": 0xC018,
        "PSK": 0x008C,
        "ECDHE_PSK": 0xC035,
    },
    "CAMELLIA_256_CBC_SHA": {
        "DHE_RSA": 0x0088,
        "DHE_DSS": 0x0087,
        "RSA": 0x0084,
        "DH_anon": 0x0089,
    },
    "CAMELLIA_128_CBC_SHA": {
        "DHE_RSA": 0x0045,
        "DHE_DSS": 0x0044,
        "RSA": 0x0041,
        "DH_anon": 0x0046,
    },
    "SEED_CBC_SHA": {"DHE_RSA": 0x009A, "DHE_DSS": 0x0099, "RSA": 0x0096, "DH_anon": 0x009B},
    "IDEA_CBC_SHA": {"RSA": 0x0007},
    "3DES_EDE_CBC_SHA": {
        "ECDHE_ECDSA": 0xC008,
        "ECDHE_RSA": 0xC012,
        "DHE_RSA": 0x0016,
        "DHE_DSS": 0x0013,
        "RSA": 0x000A,
        "ECDH_ECDSA": 0xC003,
        "ECDH_RSA": 0xC00D,
        "DH_RSA": 0x0010,
        "DH_DSS": 0x000D,
        "DH_anon": 0x001B,
        "ECDH_anon": 0xC017,
        "PSK": 0x008B,
    },
    "RC4_128_SHA": {
        "ECDHE_ECDSA": 0xC007,
        "ECDHE_RSA": 0xC011,
        "RSA": 0x0005,
        "ECDH_ECDSA": 0xC002,
        "ECDH_RSA": 0xC00C,
        "ECDH_anon": 0xC016,
        "PSK": 0x008A,
    },
    "RC4_128_MD5": {"RSA": 0x0004, "DH_anon": 0x0018},
    "DES_CBC_SHA": {
        "DHE_RSA": 0x0015,
        "DHE_DSS": 0x0012,
        "RSA": 0x0009,
        "DH_RSA": 0x000F,
        "DH_DSS": 0x000C,
        "DH_anon": 0x001A,
    },
    "DES40_CBC_SHA": {
        "DHE_RSA_EXPORT": 0x0014,
        "DHE_DSS_EXPORT": 0x0011,
        "RSA_EXPORT": 0x0008,
        "DH_anon_EXPORT": 0x0019,
    },
    "RC2_CBC_40_MD5": {"RSA_EXPORT": 0x0006},
    "RC4_40_MD5": {"RSA_EXPORT": 0x0003, "DH_anon_EXPORT": 0x0017},
    "NULL_SHA256": {"RSA": 0x003B, "PSK": 0x00B0},
    "NULL_SHA": {
        "ECDHE_ECDSA": 0xC006,
        "ECDHE_RSA": 0xC010,
        "RSA": 0x0002,
        "ECDH_ECDSA": 0xC001,
        "ECDH_RSA": 0xC00B,
        "ECDH_anon": 0xC015,
        "PSK": 0x002C,
    },
    "NULL_MD5": {"RSA": 0x0001},
}
_TLS13_SUITES: Final = {  # TLS 1.3 exchanges keys apart from the suite
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1304: "TLS_AES_128_CCM_SHA256",
    0x1305: "TLS_AES_128_CCM_8_SHA256",
    0x00C6: "TLS_SM4_GCM_SM3",
    0x00C7: "TLS_SM4_CCM_SM3",
}

CIPHER_SUITES: Final[dict[int, str]] = _TLS13_SUITES | {
    code: f"TLS_{exchange}_WITH_{cipher}"
    for cipher, exchanges in _SUITES.items()
    for exchange, code in exchanges.items()
}
"""Number → IANA name."""

TLS13_CODES: Final = tuple(_TLS13_SUITES)
"""Suites of TLS 1.3, strongest first."""

# They need a certificate of a kind that nobody has.
_UNUSED: Final = frozenset({"DH_DSS", "DH_RSA", "ECDH_ECDSA", "ECDH_RSA"})

OLDER_CODES: Final = tuple(
    code
    for exchanges in _SUITES.values()
    for exchange, code in exchanges.items()
    if exchange not in _UNUSED and not exchange.endswith("PSK")
)
"""Suites of SSL 3.0 to TLS 1.2 that need no shared secret, strongest first.

With those of TLS 1.3 they stay below 128, which is as many as some servers can take.
"""
