"""The system calls and sockets that a unit allows, without systemd: `sandbox.py UNIT COMMAND` runs a command so.

It reads SystemCallFilter= and RestrictAddressFamilies= as systemd does, and gives the filter to the kernel.
"""

import ctypes
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_EQUAL: Final = 4
_FAMILIES: Final = range(1, 64)


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: a condition on an argument of a system call."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def settings(unit: Path, key: str) -> list[str]:
    """Give the values of a key, in order."""
    lines = [line.partition("=") for line in unit.read_text().splitlines()]
    return [value for name, _, value in lines if name == key]


def members(group: str) -> Iterator[str]:
    """Give the system calls of a group such as `@resources`, or one that is named itself."""
    if not group.startswith("@"):
        yield group
        return
    listing = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines()[1:]:
        if line.strip() and not line.strip().startswith("#"):
            yield from members(line.strip())


def allowed_calls(unit: Path) -> set[str]:
    """Give the system calls that a unit allows: its first line makes a list, `~` takes out of it."""
    allowed = set(members("@default"))
    for value in settings(unit, "SystemCallFilter"):
        named = {name for group in value.removeprefix("~").split() for name in members(group)}
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def restrict(unit: Path) -> None:
    """Restrict this process, and all that come from it."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    calls = {seccomp.seccomp_syscall_resolve_name(name.encode()) for name in allowed_calls(unit)}
    known = {seccomp.seccomp_syscall_resolve_name(name.encode()) for name in members("@known")}
    # As systemd does it: what is newer than its list looks as if the kernel had no such call.
    by_call = _filter(seccomp, _ERRNO | errno.ENOSYS)
    for number in sorted(known | calls):
        if number >= 0:
            action = _ALLOW if number in calls else _ERRNO | errno.EPERM
            _check(seccomp.seccomp_rule_add_array(by_call, ctypes.c_uint32(action), number, 0, None))
    by_family = _filter(seccomp, _ALLOW)
    (names,) = settings(unit, "RestrictAddressFamilies")
    families = {int(getattr(socket, name)) for name in names.split()}
    for family in set(_FAMILIES) - families:
        is_family = (_Comparison * 1)(_Comparison(0, _EQUAL, family, 0))
        refused = ctypes.c_uint32(_ERRNO | errno.EAFNOSUPPORT)
        call = seccomp.seccomp_syscall_resolve_name(b"socket")
        _check(seccomp.seccomp_rule_add_array(by_family, refused, call, 1, is_family))
    for made in (by_family, by_call):
        _check(seccomp.seccomp_load(made))


def _filter(seccomp: ctypes.CDLL, default: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))


def main(arguments: Sequence[str]) -> None:
    """Become the command, restricted."""
    unit, *command = arguments
    restrict(Path(unit))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
