"""`obelisk-ctl completion`: the scripts that make shells complete our commands, and what the scripts call."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import OK, USAGE, CtlError
from obelisk_daemon.ctl.session import Session, command

COMPLETE: Final = "__complete"
_PATIENCE: Final = 1.0
"""Seconds that the daemon has for all that is asked: nobody waits longer after a tab."""
# bash splits words also at : = and @, which are in our ids and functions: what stands before the last of them stays.
_BASH: Final = r"""_obelisk_ctl() {
    local line=${COMP_LINE:0:COMP_POINT} current kept words IFS=$' \t\n'
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]}-1]}
    kept=${current%"${current##*[:=@]}"}
    IFS=$'\n'
    COMPREPLY=($("${words[0]}" __complete "${words[@]:1}" 2>/dev/null))
    case ${COMPREPLY[0]-} in
        :files) compopt -o filenames; COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")); return ;;
        :dirs) compopt -o filenames; COMPREPLY=($(compgen -d -- "${COMP_WORDS[COMP_CWORD]}")); return ;;
    esac
    COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
    COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}
complete -F _obelisk_ctl obelisk-ctl
"""
_ZSH: Final = r"""#compdef obelisk-ctl
_obelisk_ctl() {
    local -a found described
    local one
    found=("${(@f)$(${words[1]} __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case ${found[1]} in
        :files) _files; return ;;
        :dirs) _files -/; return ;;
    esac
    for one in $found; do
        described+=("${${one%%$'\t'*}//:/\\:}:${one#*$'\t'}")
    done
    _describe obelisk-ctl described
}
if [[ $funcstack[1] == _obelisk_ctl ]]; then
    _obelisk_ctl "$@"
else
    compdef _obelisk_ctl obelisk-ctl
fi
"""
_FISH: Final = r"""function __obelisk_ctl
    set --local words (commandline --cut-at-cursor --tokenize --current-process) (commandline --cut-at-cursor --current-token)
    set --local found ($words[1] __complete $words[2..-1] 2>/dev/null)
    switch "$found[1]"
        case :files
            __fish_complete_path (commandline --cut-at-cursor --current-token)
        case :dirs
            __fish_complete_directories (commandline --cut-at-cursor --current-token)
        case '*'
            printf '%s\n' $found
    end
end
complete --command obelisk-ctl --no-files --arguments '(__obelisk_ctl)'
"""  # noqa: E501 - a line of another language
SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "completion")(completion)


def completion(
    session: Session, shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="The shell.")]
) -> int:
    """Print a script that makes the shell complete commands, options, functions and ids.

    bash: `obelisk-ctl completion bash > ~/.local/share/bash-completion/completions/obelisk-ctl`, or in ~/.bashrc
    `source <(obelisk-ctl completion bash)`. zsh: into a file `_obelisk-ctl` in a directory of $fpath. fish: into
    ~/.config/fish/completions/obelisk-ctl.fish.
    """
    script = SCRIPTS.get(shell)
    if script is None:
        raise CtlError(USAGE, "usage", f"there is no completion for {shell!r}; there is for {', '.join(SCRIPTS)}")
    if session.output.as_json:
        session.output.document({"shell": shell, "script": script})
    session.output.line(script.rstrip("\n"))
    return OK


def complete(app: typer.Typer, words: Sequence[str]) -> list[str]:
    """Answer a script. What the daemon would have to say is left out where it can't be asked."""
    from typer.main import get_command

    from obelisk_daemon.ctl.completing import place_of, suggest

    root = get_command(app)
    options = place_of(root, words[:-1]).options
    return suggest(root, words, _Asking(options))


class _Asking:
    """Asks the daemon, as long as it answers."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options
        self._client: Any = None
        self._gave_up = False

    def __call__(self, path: str, **query: object) -> Mapping[str, Any]:
        if self._gave_up:
            return {}
        try:
            document: Mapping[str, Any] = self._connected().get(path, **query).document
        except CtlError:
            self._gave_up = True
            return {}
        return document

    def _connected(self) -> Any:
        from obelisk_daemon.ctl.address import find_address
        from obelisk_daemon.ctl.client import Client, Times
        from obelisk_daemon.ctl.credentials import Files, find_credentials

        if self._client is None:
            address = find_address(self._options.get("url"), os.environ)
            files = Files(self._options.get("token_file"), self._options.get("ca_file"))
            credentials = find_credentials(address, files, os.environ)
            times, deadline = Times(time.monotonic, time.sleep), time.monotonic() + _PATIENCE
            self._client = Client(address, times, deadline=deadline, note=lambda _: None, credentials=credentials)
        return self._client
