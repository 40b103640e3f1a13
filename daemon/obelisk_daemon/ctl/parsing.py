"""Commands that read their parameters without pydantic.

typer has pydantic check every parameter, even one that was left out, and its import takes longer than all the rest
of a command. Texts and flags need no check and whole numbers a simple one, so the parameters get a coercion of ours
in place of the one that typer would make when it first needs it. Should a later typer not know the attribute, it
makes its own again, and is slower.
"""

from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup


class _AsItIs:
    """Stands in for typer's coercion of texts and flags."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        del param, ctx
        return value


class _Texts:
    """Stands in for typer's coercion of options and arguments that may be repeated."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        del param, ctx
        return list(value or ())


class _WholeNumber:
    """Stands in for typer's coercion of whole numbers."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:  # it was left out
            return None
        try:
            number = int(value)
        except ValueError:
            raise typer.BadParameter(f"{value!r} is not a whole number.", ctx=ctx, param=param) from None
        if param.min is not None and number < param.min:
            raise typer.BadParameter(f"{number} is below {param.min}.", ctx=ctx, param=param)
        return number


_COERCIONS: Final[dict[Any, _AsItIs | _Texts | _WholeNumber]] = {
    str: _AsItIs(),
    bool: _AsItIs(),
    int: _WholeNumber(),
    list[str]: _Texts(),
}


class Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> Any:
        """Give the parameters, those for help and shell completion included."""
        return _with_ours(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> Any:
        """Give the parameters, those for help and shell completion included."""
        return _with_ours(super().get_params(ctx))


def _with_ours(params: list[Any]) -> list[Any]:
    for param in params:
        ours = _COERCIONS.get(param.type_descriptor.annotation)
        if ours is not None:
            param._runtime_param = ours  # noqa: SLF001 - see above
    return params
