"""The text of a WIT type to a tree in which names are still names (`wit_parse` looks them up).

A manifest may write records, variants, enums and flags where they are used, as `wit_text` does; a WIT file may not.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias, TypeVar

from obelisk_daemon.execution.wit_tokens import Place, Token, WitError, tokenize

_T = TypeVar("_T")

DEEPEST: Final = 50
"""How deep types may nest, within a text and with all names looked up."""
_MOST_FLAGS: Final = 32

GENERICS: Final = frozenset({"list", "option", "result", "tuple"})
SHAPES: Final = frozenset({"record", "variant", "enum", "flags"})
PRIMITIVES: Final = frozenset(
    {"bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string"}
)
_OF_RESOURCES: Final = frozenset({"own", "borrow"})
_ASYNCHRONOUS: Final = frozenset({"future", "stream", "error-context"})
_KEYWORDS: Final = (
    PRIMITIVES
    | GENERICS
    | SHAPES
    | _OF_RESOURCES
    | {"as", "async", "constructor", "export", "from", "func", "future", "import", "include", "interface", "package"}
    | {"resource", "static", "stream", "type", "use", "with", "world"}
)
RESOURCES: Final = "resources can't cross between components, so a stub has none: pass an id instead"


class Named(NamedTuple):
    """A type by its name."""

    name: str
    place: Place


class Generic(NamedTuple):
    """`list`, `option`, `tuple` or `result` of some types. None stands for `_` and for what was left out."""

    kind: str
    arguments: tuple["TypeTree | None", ...]
    place: Place


class Shape(NamedTuple):
    """A record, variant, enum or flags: its names, and with each its type if it has one."""

    kind: str
    members: tuple[tuple[str, "TypeTree | None"], ...]
    place: Place


TypeTree: TypeAlias = Named | Generic | Shape


def read_type(text: str) -> TypeTree:
    """Read a type as a manifest has it.

    Raises:
        WitError: it is none.
    """
    reader = TypeReader(tokenize(text), is_file=False)
    tree = reader.type()
    if reader.token.kind != "end":
        raise reader.expected("nothing after the type")
    return tree


class TypeReader:
    """Goes through the tokens of a text. With `is_file` by the rules of a WIT file, which are stricter."""

    def __init__(self, tokens: list[Token], *, is_file: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._is_file = is_file
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    def next(self) -> Token:
        """Take the next token; the end can be taken any number of times."""
        token = self.token
        self._at += token.kind != "end"
        return token

    def expected(self, what: str) -> WitError:
        """Make the error that the next token is another one."""
        found = f'"{self.token.text[:40]}"' if self.token.text else "the end"
        return WitError(f"expected {what}, found {found}", self.token.place)

    def takes(self, text: str) -> bool:
        """Take the next token if it is this one; it tells if it was."""
        is_next = self.token.text == text
        if is_next:
            self.next()
        return is_next

    def must(self, text: str, what: str = "") -> None:
        """Take the next token, which has to be this one; `what` says it in other words."""
        if not self.takes(text):
            raise self.expected(what or f'"{text}"')

    def name(self, what: str) -> str:
        """Take a name, which a component has without the `%` of the text."""
        token = self.token
        if token.kind != "name":
            raise self.expected(what)
        # where a manifest or wit_text writes a name, nothing else can stand
        if self._is_file and token.text in _KEYWORDS:
            raise WitError(f'"{token.text}" is a keyword of WIT: as a name it is %{token.text}', token.place)
        return self.next().text.removeprefix("%")

    def listed(self, end: str, item: Callable[[], _T]) -> list[_T]:
        """Take items with commas between them, and perhaps after the last, up to and with `end`."""
        items: list[_T] = []
        while not self.takes(end):
            items.append(item())
            if not self.takes(","):
                self.must(end, f'"," or "{end}"')
                break
        return items

    def type(self) -> TypeTree:
        """Take a type."""
        token = self.token
        if token.kind != "name":
            raise self.expected("a type")
        self._depth += 1
        if self._depth > DEEPEST:
            raise WitError(f"types nest more than {DEEPEST} deep here", token.place)
        tree = self._type(self.next())
        self._depth -= 1
        return tree

    def _type(self, token: Token) -> TypeTree:
        word, place = token.text, token.place
        if word in GENERICS:
            return self._generic(word, place)
        if word in SHAPES and self.token.text == "{":
            if self._is_file:
                raise WitError(f"a {word} needs a name: define it as {word} my-{word} {{ ... }}, and use that", place)
            return self.shape(word, place)
        if word in _OF_RESOURCES:
            raise WitError(f"{word}<> is of resources; {RESOURCES}", place)
        if word in _ASYNCHRONOUS:
            raise WitError(f"{word} can't be recorded, so nothing that takes or gives one can be a stub", place)
        if word in _KEYWORDS - PRIMITIVES:
            raise WitError(f'expected a type, found "{word}"', place)
        return Named(word.removeprefix("%"), place)

    def _generic(self, kind: str, place: Place) -> Generic:
        if kind == "result" and self.token.text != "<":
            return Generic(kind, (None, None), place)
        self.must("<", f'"<" after {kind}')
        arguments: list[TypeTree | None]
        if kind == "tuple":
            arguments = [*self.listed(">", self.type)]
            if not arguments:
                raise WitError("a tuple has at least one type", place)
            return Generic(kind, tuple(arguments), place)
        arguments = [None] if kind == "result" and self.takes("_") else [self.type()]
        if kind == "result":
            arguments.append(self.type() if self.takes(",") else None)
            if arguments == [None, None]:
                raise WitError("result<_> is written result", place)
        elif kind == "list" and self.token.text == ",":
            raise WitError("lists of a fixed length are not supported: leave the length out", self.token.place)
        self.must(">")
        return Generic(kind, tuple(arguments), place)

    def shape(self, kind: str, place: Place) -> Shape:
        """Take what is between the braces of a record, variant, enum or flags."""
        self.must("{")
        seen: set[str] = set()

        def member() -> tuple[str, TypeTree | None]:
            at = self.token.place
            name = self.name("a field" if kind == "record" else "a name")
            if name in seen:
                raise WitError(f'"{name}" is in this {kind} twice', at)
            seen.add(name)
            if kind == "record":
                self.must(":", f'":" and the type of "{name}"')
                return name, self.type()
            payload = None
            if kind == "variant" and self.takes("("):
                payload = self.type()
                self.must(")")
            return name, payload

        members = tuple(self.listed("}", member))
        if not members:
            raise WitError(f"{'flags have' if kind == 'flags' else f'this {kind} has'} nothing in it", place)
        if kind == "flags" and len(members) > _MOST_FLAGS:
            raise WitError(f"flags have at most {_MOST_FLAGS} names", place)
        return Shape(kind, members, place)
