"""The values of secrets: each that a component needs is read once. Nothing here shows one."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from obelisk_config import (
    CredentialSecret,
    Diagnostic,
    EnvSecret,
    FileSecret,
    Manifest,
    SecretSource,
    Severity,
    secret_variable,
)
from obelisk_daemon.errors import OperatorError
from obelisk_daemon.wasm.wasi.placeholders import SHORTEST_HIDDEN
from obelisk_daemon.wasm.wasi.secret import MAX_BYTES, BadSecretError, Secret, without_line_end

_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_VALUE: Final = f"a secret is one line of 1 byte to {MAX_BYTES >> 10} KiB: it is put into a header"


class _MissingError(Exception):
    """There is no value to be had, with a hint for the operator."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read_secrets(
    manifest: Manifest, variables: Mapping[str, str], severity: Severity = "error"
) -> tuple[dict[str, Secret], tuple[Diagnostic, ...]]:
    """Read the secrets that allowed hosts of components name, from the environment `variables` and from files.

    What can't be read is reported with this severity. Blocks on the disk: call it on a thread.
    """
    secrets: dict[str, Secret] = {}
    found: list[Diagnostic] = []
    needed = {name for component in manifest.components for name in component.secrets}
    for name, source in manifest.secrets.items():
        if name not in needed:
            continue
        span = manifest.document.at(("secrets", name))
        try:
            value = without_line_end(_read(source, variables))
            secrets[name] = Secret(name, secret_variable(name), value)
        except _MissingError as error:
            found.append(Diagnostic("missing_secret", f'the secret "{name}": {error}', span, error.hint, severity))
        except BadSecretError as error:
            message = f'the value of the secret "{name}" {error}'
            found.append(Diagnostic("bad_secret", message, span, _VALUE, severity))
        else:
            if len(value) < SHORTEST_HIDDEN:
                found.append(_short(name, manifest))
    return secrets, tuple(found)


def read_password(source: SecretSource, variables: Mapping[str, str]) -> str:
    """Read the password of the database. Blocks on the disk.

    Raises:
        OperatorError: `missing_secret`, or `bad_secret`: it is not one line of text.
    """
    what = "the password of the database"
    try:
        value = without_line_end(_read(source, variables))
        return Secret("database", "", value).reveal().decode()
    except _MissingError as error:
        raise OperatorError("missing_secret", f"{what}: {error}; {error.hint}") from None
    except BadSecretError as error:
        raise OperatorError("bad_secret", f"{what} {error}") from None
    except UnicodeDecodeError:
        raise OperatorError("bad_secret", f"{what} is not UTF-8") from None


def _short(name: str, manifest: Manifest) -> Diagnostic:
    message = f'the value of the secret "{name}" has fewer than {SHORTEST_HIDDEN} bytes'
    hint = "a server that sends it back shows it to the activity: so short, it can't be told from other text"
    return Diagnostic("short_secret", message, manifest.document.at(("secrets", name)), hint, "warning")


def _read(source: SecretSource, variables: Mapping[str, str]) -> bytes:
    match source:
        case EnvSecret(variable):
            value = variables.get(variable)
            if value is None:
                hint = f"set {variable} where the daemon is started; under systemd a credential is safer"
                raise _MissingError(f"the environment variable {variable} is not set", hint)
            return os.fsencode(value)
        case FileSecret(path):
            return _read_file(Path(path), "its file", "a path is relative to the manifest")
        case CredentialSecret(name):
            load = f"LoadCredential={name}:/etc/obelisk/secrets/{name}"
            directory = variables.get(_DIRECTORY)
            if not directory:
                hint = f"add {load} to the unit; without systemd,\nset {_DIRECTORY} to a directory with the file {name}"
                raise _MissingError(f"${_DIRECTORY} is not set", hint)
            return _read_file(Path(directory, name), f'the credential "{name}"', f"add {load} to the unit")


def _read_file(path: Path, what: str, hint: str) -> bytes:
    """Read a file as far as a secret goes and a little more; never a pipe or device, which might never end."""
    try:
        # Looked at before it is opened, since opening a device can do something; and again after, as for components.
        _must_be_regular(path.stat(), what)
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            _must_be_regular(os.fstat(file.fileno()), what)
            return file.read(MAX_BYTES + 3)
    except (FileNotFoundError, NotADirectoryError):
        raise _MissingError(f"{what} is not there", hint) from None
    except PermissionError:
        raise _MissingError(f"{what} may not be read", "give the daemon's user the right to read it") from None
    except OSError as error:
        raise _MissingError(f"{what} can't be read: {error.strerror or error}", "look at the disk") from None


def _must_be_regular(status: os.stat_result, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _MissingError(f"{what} is not a regular file", "name the file itself")
