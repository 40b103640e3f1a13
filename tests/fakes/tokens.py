"""Tokens of the API that are the same in every run."""

import hashlib
from datetime import datetime

from obelisk_config import Role, Token
from obelisk_config.tokens import new_token, sha256_of


def holder(name: str, role: Role, expires: datetime | None = None) -> tuple[str, Token]:
    """Make a token, and what the manifest has of it."""
    token = new_token(lambda count: hashlib.sha256(name.encode()).digest()[:count])
    return token, Token(name, role, sha256_of(token), expires)
