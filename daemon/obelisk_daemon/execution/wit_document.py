"""The text of a WIT file to a tree in which names are still names (`wit_parse` looks them up)."""

from typing import NamedTuple, TypeAlias

from obelisk_daemon.execution.wit_syntax import PRIMITIVES, RESOURCES, TypeReader, TypeTree
from obelisk_daemon.execution.wit_tokens import Place, WitError, tokenize


class FunctionTree(NamedTuple):
    """A function's parameters and its result."""

    params: tuple[tuple[str, TypeTree], ...]
    result: TypeTree | None
    place: Place


class Use(NamedTuple):
    """A name that comes from another interface of the file."""

    interface: str
    name: str
    place: Place


Item: TypeAlias = TypeTree | FunctionTree | Use
Interface: TypeAlias = dict[str, Item]


class DocumentTree(NamedTuple):
    """A package: its name, `@version` or nothing, and its interfaces by name."""

    package: str
    version: str
    interfaces: dict[str, Interface]


def read_document(text: str) -> DocumentTree:
    """Read a WIT file with one package. Worlds in it are passed over.

    Raises:
        WitError: it is none, or has what can't be used here.
    """
    return _DocumentReader(tokenize(text), is_file=True).document()


class _DocumentReader(TypeReader):
    def document(self) -> DocumentTree:
        self.must("package", 'the package: "package namespace:name;"')
        package, version = self._package()
        self.must(";")
        document = DocumentTree(package, version, {})
        while self.token.kind != "end":
            self._gates()
            token = self.token
            if token.text not in ("interface", "world", "use", "package"):
                raise self.expected('"interface" or "world"')
            self.next()
            match token.text:
                case "interface":
                    place = self.token.place
                    name = self.name("the name of the interface")
                    if name in document.interfaces:
                        raise WitError(f'"{name}" is the name of two interfaces', place)
                    document.interfaces[name] = self._interface(document)
                case "world":
                    self.name("the name of the world")
                    self._skip_braces()
                case "use":
                    raise WitError("write use inside the interface that needs it", token.place)
                case _:
                    raise WitError("a file has one package: give the other a file and a stub of its own", token.place)
        return document

    def _package(self) -> tuple[str, str]:
        namespace = self.name("the namespace of a package")
        self.must(":")
        name = self.name("the name of a package")
        version = self.next().text if self.token.kind == "version" else ""
        return f"{namespace}:{name}", version

    def _gates(self) -> None:
        """Pass over `@since(...)` and `@deprecated(...)`, which change nothing."""
        while self.takes("@"):
            token = self.next()
            if token.text not in ("since", "deprecated"):
                raise WitError(f"@{token.text} is not supported: leave out what stands behind it", token.place)
            self.must("(")
            while not self.takes(")"):
                if self.next().kind == "end":
                    raise self.expected('")"')

    def _skip_braces(self) -> None:
        self.must("{")
        depth = 1
        while depth:
            token = self.next()
            if token.kind == "end":
                raise self.expected('"}"')
            depth += (token.text == "{") - (token.text == "}")

    def _interface(self, document: DocumentTree) -> Interface:
        self.must("{")
        items: Interface = {}
        while not self.takes("}"):
            self._gates()
            for name, item in self._items(document):
                if name in items:
                    raise WitError(f'"{name}" is in this interface twice', item.place)
                if name in PRIMITIVES and not isinstance(item, FunctionTree):
                    raise WitError(f'"{name}" is a type of WIT itself: choose another name', item.place)
                items[name] = item
        return items

    def _items(self, document: DocumentTree) -> list[tuple[str, Item]]:
        token = self.token
        match token.text:
            case "use":
                self.next()
                return self._use(document)
            case "type":
                self.next()
                name = self.name("the name of the type")
                self.must("=")
                alias: Item = self.type()
                self.must(";")
                return [(name, alias)]
            case "record" | "variant" | "enum" | "flags":
                self.next()
                return [(self.name(f"the name of the {token.text}"), self.shape(token.text, token.place))]
            case "resource":
                raise WitError(RESOURCES, token.place)
        if token.kind != "name":
            raise self.expected("a type or a function")
        name = self.name("a name")
        self.must(":", f'":" and the function "{name}"')
        return [(name, self._function(token.place))]

    def _function(self, place: Place) -> FunctionTree:
        if self.token.text == "async":
            raise WitError("async functions are not supported: leave the word out", self.token.place)
        self.must("func")
        self.must("(")
        names: set[str] = set()

        def param() -> tuple[str, TypeTree]:
            at = self.token.place
            name = self.name("a parameter")
            if name in names:
                raise WitError(f'"{name}" is the name of two parameters', at)
            names.add(name)
            self.must(":", f'":" and the type of "{name}"')
            return name, self.type()

        params = tuple(self.listed(")", param))
        result = None
        if self.takes("->"):
            if self.token.text == "(":
                raise WitError("results with names are not supported: return one type, a tuple say", self.token.place)
            result = self.type()
        self.must(";")
        return FunctionTree(params, result, place)

    def _use(self, document: DocumentTree) -> list[tuple[str, Item]]:
        interface = self._used_interface(document)
        self.must(".", '".{" and the names to use')
        self.must("{")

        def used() -> tuple[str, Item]:
            place = self.token.place
            name = self.name("the name of a type")
            return (self.name("another name") if self.takes("as") else name), Use(interface, name, place)

        items = self.listed("}", used)
        self.must(";")
        return items

    def _used_interface(self, document: DocumentTree) -> str:
        place = self.token.place
        first = self.name("an interface")
        if not self.takes(":"):
            return first
        package = f"{first}:{self.name('the name of a package')}"
        self.must("/")
        interface = self.name("an interface")
        version = self.next().text if self.token.kind == "version" else ""
        if (package, version) != (document.package, document.version):
            text = f"{package}/{interface}{version}"
            reason = f"{text} is of another package, which is not read: write the types that are used into this file"
            raise WitError(reason, place._replace(width=len(text)))
        return interface
