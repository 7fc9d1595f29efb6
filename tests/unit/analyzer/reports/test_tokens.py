import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import AnalyzerError
from analyzer.reports.tokens import KEY_BYTES, Grant, Signer, TokenError, signer_of

SIGNER = Signer(b"k" * KEY_BYTES)
GRANT = Grant("0-abc", "full-1.pdf", 1_000)


def test_token_gives_its_file_until_it_expires() -> None:
    token = SIGNER.token(GRANT)
    assert SIGNER.grant(token, now_us=999) == GRANT
    with pytest.raises(TokenError, match="has expired; ask for the report again"):
        SIGNER.grant(token, now_us=1_000)


def test_token_of_another_key_is_of_no_report() -> None:
    with pytest.raises(TokenError, match="of no report"):
        Signer(b"x" * KEY_BYTES).grant(SIGNER.token(GRANT), now_us=0)


@given(st.integers(0, 1_000), st.integers(1, 255))
def test_changed_token_is_of_no_report(place: int, change: int) -> None:
    token = SIGNER.token(GRANT)
    data = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    data[place % len(data)] ^= change
    with pytest.raises(TokenError):
        SIGNER.grant(base64.urlsafe_b64encode(data).rstrip(b"=").decode(), now_us=0)


@given(st.text(max_size=40))
def test_any_text_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        SIGNER.grant(text, now_us=0)


def test_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "reports.key"
    assert signer_of(path) == signer_of(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.write_bytes(b"short")
    with pytest.raises(AnalyzerError, match="is no key of 32 bytes; delete it"):
        signer_of(path)
    with pytest.raises(AnalyzerError, match="cannot use the key"):
        signer_of(path / "below")
