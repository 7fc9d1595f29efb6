from pathlib import Path

import pytest

from analyzer.access import CredentialsFile, Role, new_key
from analyzer.commands.serve import profile_of

pytestmark = pytest.mark.allow_blocking  # a command reads its files itself


def test_profile_that_is_named_at_the_start_exists(tmp_path: Path) -> None:
    file = CredentialsFile(tmp_path / "credentials")
    assert profile_of(file, now_us=0) is None
    file.add(new_key("ended", expires_us=5), now_us=0)
    file.add(new_key("looks", role=Role.READ_ONLY), now_us=0)
    assert profile_of(file, now_us=6) == "looks"
    file.add(new_key("terraform"), now_us=6)
    assert profile_of(file, now_us=6) == "terraform"
    file.add(new_key("proctor", role=Role.READ_ONLY), now_us=6)
    assert profile_of(file, now_us=6) == "proctor"
    file.path.write_text("[")
    assert profile_of(file, now_us=6) is None
