"""systemd's part in socket activation: `activation.py FD... -- COMMAND` runs it with these descriptors from 3 on.

It is a process of its own, since LISTEN_PID must be that of the daemon, and the descriptors must have their numbers.
"""

import fcntl
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """Become the command."""
    end = arguments.index("--")
    # Copies first, out of the way: a number from 3 on may be one of those that are still to be passed.
    copies = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 100) for number in arguments[:end]]
    for number, copy in enumerate(copies, 3):
        os.dup2(copy, number)
    names = ":".join(["obeliskd.socket"] * len(copies))
    passed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(copies)), "LISTEN_FDNAMES": names}
    command = list(arguments[end + 1 :])
    os.execve(command[0], command, os.environ | passed)


if __name__ == "__main__":
    main(sys.argv[1:])
