"""Put the table of a new token into the text of a manifest, and leave every other character as it is."""

from datetime import datetime
from pathlib import Path

from obelisk_config import forms
from obelisk_config.document import Document
from obelisk_config.model import Role
from obelisk_config.rules import FormError
from obelisk_config.syntax import parse
from obelisk_config.tables import toml


def token_table(name: str, role: Role, sha256: str, expires: datetime | None) -> str:
    """Write a `[[token]]`."""
    lines = [f"name = {toml(name)}", f"role = {toml(role)}", f"sha256 = {toml(sha256)}"]
    if expires is not None:
        lines.append(f"expires = {expires.isoformat()}")
    return "\n".join(("[[token]]", *lines)) + "\n"


def add_token(text: str, name: str, table: str, file: Path) -> str:
    """Add the table of a token with a name. `file` is for messages.

    It comes before all other tables: at the end, taking it out again would look like a file that was cut off.

    Raises:
        ManifestError: the text is no TOML, or has its tokens in a form that no table can follow.
        FormError: the name is not of the form, or another token has it.
    """
    document = parse(text.encode(), str(file))
    forms.name(name)
    authored = document.values.get("token")
    if name in (one.get("name") for one in authored or () if isinstance(one, dict)):
        raise FormError(f'there is a token named "{name}" already')
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.split("\n")
    place = _first_table(document, lines)
    block = table.replace("\n", end)
    if place is None:
        changed = text + ("" if not text or text.endswith("\n") else end) + (end if text else "") + block
    else:
        changed = "\n".join([*lines[:place], block + end + lines[place], *lines[place + 1 :]])
    parse(changed.encode(), str(file))
    return changed


def _first_table(document: Document, lines: list[str]) -> int | None:
    """Find the line (from 0) of the first table with its own comment; None if there is none."""
    spans = [document.key((key,)) for key in document.values]
    headers = [span.line - 1 for span in spans if span.text.lstrip().startswith("[")]
    if not headers:
        return None
    place = min(headers)
    above = place
    while above > 0 and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    # a comment that begins the file is the file's: editors look for the schema in its first line
    return above or place
