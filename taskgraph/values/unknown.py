"""What a stored function is read as that is not there any more: a stub that is never valid."""

from __future__ import annotations

from typing import Any, NoReturn

from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.registry import register


class UnknownFunction:
    """Stands for a function, or a class, that was stored by its name and is not there any more.

    Attributes:
        module: The module that it was in.
        name: Its name there.
    """

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    @property
    def fullname(self) -> str:
        """The name with its module."""
        return f"{self.module}.{self.name}"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse to be called.

        Raises:
            ValueError: Always; it names what is not there.
        """
        raise ValueError(
            f"The function {self.fullname} cannot be called: it was stored by its name, and there "
            "is none of this name any more. Define it again, or run what returned it."
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownFunction) and self.fullname == other.fullname

    def __hash__(self) -> int:
        return hash(self.fullname)

    def __repr__(self) -> str:
        return f"UnknownFunction({self.fullname})"


class UnknownFunctionKind(ValueKind):
    """Stubs: by the name that nothing has, and never valid."""

    name = "taskgraph.UnknownFunction"
    brings_code = False

    def shape(self, value: Any) -> Shape:
        """Return the name."""
        return Shape("unknown function", (value.module, value.name))

    def is_valid(self, value: Any) -> bool:
        """Tell that it is not: the call that gave the function is to be made again."""
        return False

    def describe_change(self, value: Any) -> str:
        """Say which function is gone."""
        return f"function {value.fullname} is not defined any more"


def is_unknown_function(value: object) -> bool:
    """Tell whether a value stands for a function that is not there any more.

    It is not valid, so that the call that gave it is made again; and calling it is a `ValueError`
    that names the function.
    """
    return isinstance(value, UnknownFunction)


register(UnknownFunction, UnknownFunctionKind())

__all__ = ["UnknownFunction", "UnknownFunctionKind", "is_unknown_function"]
