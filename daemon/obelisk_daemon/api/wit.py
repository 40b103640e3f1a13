"""`/v1/wit`: the functions of the active generation as WIT text, to generate bindings from."""

import asyncio
import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, TypeAlias

from litestar import get
from litestar.params import FromQuery, QueryParameter

from obelisk_daemon import wit
from obelisk_daemon.api.documents import WitDocument, WitPackageDocument
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import MAX_NAME, ApiRequest, FunctionName, services_of
from obelisk_daemon.api.services import Catalog, FunctionInfo
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.wit_interfaces import WitComponent, WitInterface, narrowed
from obelisk_daemon.execution.wit_printing import file_names, one_text, print_packages
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn

ComponentName: TypeAlias = Annotated[
    str | None, QueryParameter(max_length=MAX_NAME, description="Only what this component exports.")
]


@get("/wit", responses=PROBLEMS, summary="Print functions as WIT")
async def print_wit(
    request: ApiRequest,
    component: ComponentName = None,
    ffqn: FunctionName = None,
    extensions: FromQuery[bool] = False,
) -> WitDocument:
    """Give WIT text of all functions, of a component's, or of one. With `extensions` also of the generated interfaces.

    The text is complete: the packages of the host that it uses are in it.
    """
    catalog = services_of(request).catalog()
    if component is not None and ffqn is not None:
        raise CallerError("contradictory", "give a component or a function, not both")
    return await asyncio.to_thread(_document, catalog, _chosen(catalog, component, ffqn), extensions)


def _document(catalog: Catalog, chosen: list[WitComponent], extensions: bool) -> WitDocument:
    packages = print_packages(chosen, wit.texts(), extensions=extensions)
    documents = [
        WitPackageDocument(package.name, file, package.text)
        for package, file in zip(packages, file_names(packages), strict=True)
    ]
    return WitDocument(catalog.generation, documents, one_text(packages))


def _chosen(catalog: Catalog, component: str | None, ffqn: str | None) -> list[WitComponent]:
    known = {one.name: one for one in _described(catalog)}
    if ffqn is not None:
        function = catalog.find(ffqn)
        return [_with_one_function(known[function.component], function.ffqn)]
    if component is None:
        return list(known.values())
    if component not in known:
        near = difflib.get_close_matches(component[:200], known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "`obelisk-ctl components` lists what there is"
        raise CallerError(
            "component_not_found", f"generation {catalog.generation} has no component {component[:200]!r}; {hint}"
        )
    return [known[component]]


def _described(catalog: Catalog) -> Iterator[WitComponent]:
    """Give all that exports functions. What is no component with WIT has its functions only, as stubs may have."""
    by_component: dict[str, list[FunctionInfo]] = {info.name: [] for info in catalog.components()}
    for function in catalog.functions():
        by_component.setdefault(function.component, []).append(function)
    infos = {info.name: info for info in catalog.components()}
    for name, functions in by_component.items():
        info = infos.get(name)
        if info is not None and info.interfaces:
            yield WitComponent(name, info.kind, info.interfaces, info.imported_types)
        elif functions:
            yield WitComponent(name, functions[0].kind, _from_functions(functions))


def _from_functions(functions: Sequence[FunctionInfo]) -> tuple[WitInterface, ...]:
    """Make interfaces of functions alone: their types get names from where they stand."""
    by_interface: dict[str, list[tuple[str, FunctionType]]] = {}
    for function in functions:
        by_interface.setdefault(function.ffqn.interface, []).append((function.ffqn.function, function.type))
    return tuple(WitInterface(name, (), tuple(members)) for name, members in by_interface.items())


def _with_one_function(component: WitComponent, ffqn: Ffqn) -> WitComponent:
    """Leave only one function to be printed; the other interfaces still tell where its types come from."""
    chosen = [narrowed(one, ffqn.function) for one in component.exports if one.name == ffqn.interface]
    others = [WitInterface(one.name, one.types) for one in component.exports if one.name != ffqn.interface]
    return WitComponent(component.name, component.kind, tuple(chosen), (*component.imports, *others))


ROUTES: Final = (print_wit,)
