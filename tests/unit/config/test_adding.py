from datetime import UTC, datetime
from pathlib import Path

import pytest

from obelisk_config import FormError, ManifestError, load
from obelisk_config.adding import add_token, token_table

FILE = Path("/etc/obelisk/obelisk.toml")
ENDS = datetime(2027, 1, 31, tzinfo=UTC)
TABLE = token_table("ci", "operate", "0" * 64, ENDS)
DAEMON = "[daemon]\nstate_dir = 's'\n"
SCHEMA = "#:schema ./obelisk.schema.json\n# The first lines.\n"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("", "", ""),
        ("# nothing yet", "# nothing yet\n\n", ""),
        (DAEMON, "", "\n" + DAEMON),
        (SCHEMA + DAEMON, SCHEMA, "\n" + DAEMON),
        (SCHEMA + "\n# Its own.\n" + DAEMON, SCHEMA + "\n", "\n# Its own.\n" + DAEMON),
        ("daemon.state_dir = 's'\n", "daemon.state_dir = 's'\n\n", ""),
        ("x = [\n  1\n]\n" + DAEMON, "x = [\n  1\n]\n", "\n" + DAEMON),
    ],
)
def test_a_table_is_put_before_the_others_and_all_else_stays(text: str, before: str, after: str) -> None:
    assert add_token(text, "ci", TABLE, FILE) == before + TABLE + after


def test_what_was_added_is_read_back_and_a_second_one_too() -> None:
    text = add_token(DAEMON, "ci", TABLE, FILE)
    text = add_token(text, "other", token_table("other", "read", "1" * 64, None), FILE)
    tokens = load(text.encode(), FILE).tokens
    assert [(one.name, one.role, one.sha256[0], one.expires) for one in tokens] == [
        ("other", "read", "1", None),
        ("ci", "operate", "0", ENDS),
    ]
    assert text.count("[[token]]") == 2


def test_line_ends_of_another_system_are_kept() -> None:
    text = add_token(DAEMON.replace("\n", "\r\n"), "ci", TABLE, FILE)
    assert text.replace("\r\n", "").count("\n") == 0


@pytest.mark.parametrize("name", ["ci", "a b", ""])
def test_a_name_that_is_taken_or_is_none_is_refused(name: str) -> None:
    text = add_token("", "ci", TABLE, FILE)
    with pytest.raises(FormError):
        add_token(text, name, token_table(name, "read", "1" * 64, None), FILE)


def test_tokens_in_another_form_are_left_alone() -> None:
    with pytest.raises(ManifestError):
        add_token("token = []\n", "ci", TABLE, FILE)
