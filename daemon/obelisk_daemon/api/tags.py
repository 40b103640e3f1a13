"""Tags: keys and values that a submitter gives an execution, for it to be found by."""

import re
from collections.abc import Mapping
from typing import Final

from obelisk_daemon.errors import CallerError

MOST_TAGS: Final = 16
LONGEST_VALUE: Final = 256
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}", re.ASCII)
_KEY_RULE: Final = "a key has 1 to 64 letters, digits and `._:/-`, and begins with a letter or a digit"


def checked_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Check the tags of a submission; give them sorted by key.

    Raises:
        CallerError: `invalid_tag`.
    """
    if len(tags) > MOST_TAGS:
        raise CallerError("invalid_tag", f"{len(tags)} tags; there may be up to {MOST_TAGS}")
    for key, value in tags.items():
        if not _KEY.fullmatch(key):
            raise CallerError("invalid_tag", f"tag {key[:80]!r}: {_KEY_RULE}")
        if len(value) > LONGEST_VALUE or not value.isprintable():
            raise CallerError(
                "invalid_tag", f"tag {key}: a value is up to {LONGEST_VALUE} printable characters, not {value[:80]!r}"
            )
    return dict(sorted(tags.items()))


def tag_wanted(text: str) -> tuple[str, str | None]:
    """Read a filter: `key=value`, or a key whatever its value.

    Raises:
        CallerError: `invalid_filter`.
    """
    key, is_exact, value = text.partition("=")
    if not _KEY.fullmatch(key) or not value.isprintable():
        raise CallerError("invalid_filter", f"tag: {text[:80]!r} is not key=value or a key; {_KEY_RULE}")
    return key, value if is_exact else None
