"""Stand-ins for objects whose classes are not at hand, or whose code is not to run.

A stand-in has the name of a class (or of the function that would make the object), and what it
would be made of: arguments, state and items. It can be looked at and compared, and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import Any

from taskgraph.values.kinds import Shape, ValueKind
from taskgraph.values.preview import LIMIT, preview
from taskgraph.values.registry import register

_MOST_SHOWN = 40


class StandIn:
    """What stands for an object; each class or function has a subclass of its own."""

    path: tuple[str, str] = ("", "")

    arguments: tuple[Any, ...]
    state: Any
    appended: list[Any]
    pairs: list[tuple[Any, Any]]

    def __new__(cls, *arguments: Any, **named: Any) -> StandIn:
        """Take any arguments, as whatever it stands for may."""
        made = super().__new__(cls)
        made.arguments = (*arguments, *named.items())
        made.state = None
        made.appended = []
        made.pairs = []
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Do nothing more."""

    def __setstate__(self, state: Any) -> None:
        """Keep the state as it is."""
        self.state = state

    def append(self, each: Any) -> None:
        """Keep an item."""
        self.appended.append(each)

    def extend(self, several: list[Any]) -> None:
        """Keep items."""
        self.appended.extend(several)

    def add(self, each: Any) -> None:
        """Keep an item of a set."""
        self.appended.append(each)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.pairs.append((key, value))

    # By identity: what it stands for may be a key of a dict, however it would compare.
    __hash__ = object.__hash__

    def parts(self) -> dict[str, Any]:
        """Return what it is made of, by the step that leads there."""
        state = self.state
        if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
            state = {**(state[0] or {}), **state[1]}  # of a class with slots
        found = {f"<argument {i}>": each for i, each in enumerate(self.arguments)}
        if type(state) is dict and all(type(name) is str for name in state):
            found |= {f".{name}": state[name] for name in sorted(state)}
        elif state is not None:
            found["<state>"] = state
        found |= {f"[{i}]": each for i, each in enumerate(self.appended)}
        return found | {f"[{preview(key, 40)}]": value for key, value in self.pairs}

    def __repr__(self) -> str:
        shown = []
        for step, each in islice(self.parts().items(), _MOST_SHOWN):
            name = f"{step[1:]}=" if step.startswith(".") else ""
            shown.append(f"{name}{preview(each, LIMIT)}")
        return f"{self.path[1]}({', '.join(shown)})"


class StandInKind(ValueKind):
    """Stand-ins: by the name of what they stand for and all that they are made of."""

    def shape(self, value: StandIn) -> Shape:
        """Return the name with the parts inside."""
        parts = value.parts()
        labels = list(parts)
        state = (*value.path, *labels)
        return Shape("stand-in", state, list(parts.values()), labels.__getitem__)

    def preview(self, value: StandIn) -> str:
        """Return it as its class would most likely be shown."""
        return repr(value)


@lru_cache(maxsize=4096)
def stand_in_for(module: str, name: str) -> type[StandIn]:
    """Return the class of stand-ins for a class or function, the same one each time."""
    return type(name.rpartition(".")[2], (StandIn,), {"path": (module, name), "__module__": module})


register(StandIn, StandInKind(), subclasses=True)

__all__ = ["StandIn", "stand_in_for"]
