"""Which listeners need what: one that everybody on this machine can reach needs tokens."""

from collections.abc import Iterator
from typing import Final

from obelisk_config.diagnostics import Diagnostic
from obelisk_config.model import Manifest, TcpListen
from obelisk_config.place import at

_TOKENS: Final = (
    "make a token: obelisk-ctl token new --role admin --add-to obelisk.toml\n"
    "or listen on a unix socket only, where the mode of its file says who may; --dev serves the loopback without"
)


def check_listeners(manifest: Manifest, *, dev: bool = False, given: bool = False) -> tuple[Diagnostic, ...]:
    """Report listeners that may not be as they are.

    With `dev` the loopback may do without tokens. `given` says that the listeners are of the command line.
    """
    return tuple(_without_tokens(manifest, dev, given))


def _without_tokens(manifest: Manifest, dev: bool, given: bool) -> Iterator[Diagnostic]:
    if manifest.document.values.get("token"):
        return
    for number, listen in enumerate(manifest.daemon.listen):
        if isinstance(listen, TcpListen) and not dev:
            path = ("daemon",) if given else ("daemon", "listen", number)
            message = f"{listen} can be reached by everybody on this machine, and there is no [[token]] to tell them by"
            yield at(manifest.document, path, "listen_without_token", message, _TOKENS)
