import pytest

from agent.decode.http import MAX_HEAD_BYTES, Request, RequestReader, imds_columns, read_host
from agent.errors import DecodeError

TOKEN = b"X-aws-ec2-metadata-token: AQAE\r\n"


def request(line: bytes, *fields: bytes) -> bytes:
    return line + b" HTTP/1.1\r\nHost: 169.254.169.254\r\n" + b"".join(fields) + b"\r\n"


def read(data: bytes) -> list[Request]:
    return RequestReader().feed(data)


def test_requests_come_one_after_the_other() -> None:
    reader = RequestReader()
    stream = request(b"PUT /a", b"Content-Length: 3\r\n") + b"abc" + request(b"GET /b")
    found = [each for at in range(0, len(stream), 5) for each in reader.feed(stream[at : at + 5])]

    assert [(each.method, each.target) for each in found] == [(b"PUT", b"/a"), (b"GET", b"/b")]
    assert found[1].headers == {b"host": b"169.254.169.254"}


def test_lines_may_end_as_they_will() -> None:
    (found,) = read(b"\r\nGET /x HTTP/1.0\nA:1\n\n")

    assert (found.target, found.headers) == (b"/x", {b"a": b"1"})


@pytest.mark.parametrize(
    "data",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"x" * (MAX_HEAD_BYTES + 1),
        b"x" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n",
        request(b"PUT /", b"Transfer-Encoding: chunked\r\n"),
        request(b"PUT /", b"Content-Length: many\r\n"),
    ],
)
def test_what_cannot_be_followed_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read(data)


@pytest.mark.parametrize(
    ("line", "fields", "version", "purpose"),
    [
        (b"GET /latest/meta-data/", (), 1, "other"),
        (b"GET /latest/meta-data/", (TOKEN,), 2, "other"),
        (b"GET /latest/meta-data/", (b"x-aws-ec2-metadata-token:\r\n",), 1, "other"),
        (b"PUT /latest/api/token", (b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n",), 2, "token"),
        (b"GET /latest/meta-data/iam/security-credentials/web", (), 1, "credentials"),
        (b"GET /2021-07-15/meta-data/iam/security-credentials/", (TOKEN,), 2, "credentials"),
        (
            b"GET /latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
            (),
            1,
            "credentials",
        ),
        (b"GET /latest/dynamic/instance-identity/document?x", (), 1, "identity"),
        (b"GET /latest/user-data?/api/token", (), 1, "other"),
    ],
)
def test_requests_to_the_metadata_service_are_told_apart(
    line: bytes, fields: tuple[bytes, ...], version: int, purpose: str
) -> None:
    (found,) = read(request(line, *fields))

    assert imds_columns(found) == {"imds_version": version, "purpose": purpose}


@pytest.mark.parametrize(
    ("head", "host"),
    [
        (b"GET / HTTP/1.1\r\nHost: S3.amazonaws.com.\r\n\r\n", "s3.amazonaws.com"),
        (b"GET / HTTP/1.1\nhost:a.test:80\n", "a.test"),
        (b"GET / HTTP/1.1\r\nX-Host: a\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: a", None),
        (b"", None),
    ],
)
def test_host_is_read_once_its_line_is_whole(head: bytes, host: str | None) -> None:
    assert read_host(head) == host
