"""Values that become something else on their way, and tasks that take them; by import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from taskgraph import ProxyValue, Value, task

taskgraph_namespace = "values"


class Sealed(Value):
    """Is opened on the way in, and sealed once more on the way out."""

    def __init__(self, text: str, seals: int = 0) -> None:
        self.text = text
        self.seals = seals

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        if self.text == "cursed":
            raise PermissionError(f"{preprocess_args['task']} must not open it")
        return f"{self.text} for {preprocess_args['task']}"

    def postprocess(self, postprocess_args: dict[str, Any]) -> Any:
        assert len(postprocess_args["job_id"]) == 32
        return Sealed(self.text, self.seals + 1)


class Temperature:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Celsius(ProxyValue):
    type = Temperature

    def preprocess(self, preprocess_args: dict[str, Any]) -> Any:
        return self.instance.degrees


@dataclass
class Box:
    content: Any


@task
def seal(text: str) -> Sealed:
    return Sealed(text)


@task
def seal_in(text: str) -> Any:
    return Box([Sealed(text), {"more": (Sealed(text),)}])


@task
def show(given: Any) -> str:
    return repr(given)


@task
async def show_async(given: Any) -> str:
    return f"async {given!r}"


@task
async def seal_async(text: str) -> Any:
    return [Sealed(text)]


@task
def pass_on(given: Any) -> Any:
    return given
