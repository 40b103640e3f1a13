"""Where programs that are no daemon keep compiled components from one call to the next."""

from collections.abc import Mapping
from pathlib import Path


def user_cache_dir(environ: Mapping[str, str]) -> Path:
    """Give `$XDG_CACHE_HOME/obelisk`, or `~/.cache/obelisk` where the variable is not set or no absolute path."""
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "obelisk"
