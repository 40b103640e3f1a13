"""Finding a function by the name a person typed."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from obelisk_daemon.api.services import ComponentInfo, FunctionInfo
from obelisk_daemon.errors import CallerError
from obelisk_daemon.ffqn import Ffqn

_MOST_SHOWN: Final = 5


class FunctionCatalog:
    """The functions and components of one generation, indexed by every name that finds them."""

    def __init__(self, generation: int, components: Sequence[ComponentInfo], functions: Sequence[FunctionInfo]) -> None:
        self._generation = generation
        self._components = tuple(components)
        self._functions = tuple(functions)
        self._by_name: Mapping[str, list[FunctionInfo]] = _index(self._functions)
        self._by_ffqn = {str(function.ffqn): function for function in self._functions}

    @property
    def generation(self) -> int:
        """The number of the generation."""
        return self._generation

    def components(self) -> Sequence[ComponentInfo]:
        """Give all components, in the manifest's order."""
        return self._components

    def functions(self) -> Sequence[FunctionInfo]:
        """Give all functions, in the manifest's order."""
        return self._functions

    def get(self, ffqn: str) -> FunctionInfo | None:
        """Give the function of a full name, if there is one."""
        return self._by_ffqn.get(ffqn)

    def find(self, ffqn_text: str) -> FunctionInfo:
        """Find a function by its full name, or by a shorter one where that names only one.

        Raises:
            CallerError: `function_not_found`, with what may have been meant; `ambiguous_function`, with all.
        """
        exact = self.get(ffqn_text)
        if exact is not None:
            return exact
        match self._by_name.get(ffqn_text.removeprefix(".../"), []):
            case [function]:
                return function
            case []:
                raise self._not_found(ffqn_text)
            case several:
                names = _listed([str(function.ffqn) for function in several])
                raise CallerError(
                    "ambiguous_function", f"{ffqn_text[:200]!r} may be any of {names}; write more of the name"
                )

    def _not_found(self, text: str) -> CallerError:
        near = difflib.get_close_matches(text[:200].removeprefix(".../"), self._by_name, n=3, cutoff=0.6)
        meant = dict.fromkeys(str(function.ffqn) for name in near for function in self._by_name[name])
        hint = f"did you mean {_listed(list(meant))}?" if meant else "`obelisk-ctl functions` lists what there is"
        return CallerError("function_not_found", f"generation {self._generation} has no {text[:200]!r}; {hint}")


def names_of(ffqn: Ffqn) -> tuple[str, ...]:
    """Give the names that find a function: with and without package and version, the full one first."""
    path, _, version = ffqn.interface.partition("@")
    interface = path.rpartition("/")[2]
    names = [str(ffqn), f"{path}.{ffqn.function}", f"{interface}.{ffqn.function}"]
    if version:
        names.append(f"{interface}@{version}.{ffqn.function}")
    return tuple(dict.fromkeys(names))


def _index(functions: Sequence[FunctionInfo]) -> dict[str, list[FunctionInfo]]:
    index: dict[str, list[FunctionInfo]] = {}
    for function in functions:
        for name in names_of(function.ffqn):
            index.setdefault(name, []).append(function)
    return index


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN])
    rest = len(names) - _MOST_SHOWN
    return f"{shown} or {rest} more" if rest > 0 else shown
