"""Functions of the user's that are called by others, and what they may not be."""

from __future__ import annotations

from taskgraph.errors.base import TaskgraphError


class LazyResultError(TaskgraphError, TypeError):
    """A function that is called as it is returned a lazy call, which nobody would run.

    Run it in the function, ``return taskgraph.run(task(...))``, or make the function a task.
    """

    def __init__(self, function: str, task: str) -> None:
        super().__init__(function, task)
        self.function = function
        self.task = task

    def __str__(self) -> str:
        return (
            f"{self.function} returned a call of the task {self.task} that has not run. Run it "
            f"there, `return taskgraph.run(...)`, or make {self.function} a task itself."
        )


class GeneratorCallError(TaskgraphError, TypeError):
    """A generator cannot be remembered: what its call gives can be gone through only once.

    Return a list, or have a function that is remembered call the generator.
    """

    def __init__(self, function: str) -> None:
        super().__init__(function)
        self.function = function

    def __str__(self) -> str:
        return (
            f"{self.function} is a generator: what its call gives can be gone through only once, "
            "and cannot be kept. Return a list instead, or keep a function that makes a list of "
            f"it: `cached(lambda: list({self.function.rpartition('.')[2]}(...)))`."
        )


class YieldFixtureError(GeneratorCallError):
    """A pytest fixture that yields cannot be kept: what comes after its ``yield`` must run too.

    Let a cached fixture return the value, and one that is not cached take and yield it.
    """

    def __str__(self) -> str:
        name = self.function.rpartition(".")[2]
        return (
            f"The fixture {self.function} yields, so it cannot be kept between sessions: what "
            "follows its yield must run each time. Make it two: one with @cached that returns the "
            f"value, and {name} without @cached, which takes that one, yields it and cleans up."
        )


class FixtureRequestError(TaskgraphError, AttributeError):
    """A cached pytest fixture asked ``request`` for more than ``request.param``.

    What else is there does not count in the key of the fixture. Let a fixture that is not cached
    return it, and let the cached one take that as an argument.
    """

    def __init__(self, attribute: str) -> None:
        super().__init__(attribute)
        self.attribute = attribute

    def __str__(self) -> str:
        if self.attribute == "param":
            return "The fixture has no param: it was not given @pytest.fixture(params=[...])."
        return (
            f"A cached fixture sees request.param only, and asked for request.{self.attribute}, "
            "which would not count in its key. Return it from a fixture without @cached and take "
            "that one as an argument; or, if the result does not depend on it, write "
            '@cached(config_args=["request"]).'
        )


class FixtureNotKeptWarning(UserWarning):
    """A cached pytest fixture ran and was used, and will run in the next session again."""

    def __init__(self, fixture: str, reason: str, advice: str = "") -> None:
        super().__init__(fixture, reason, advice)
        self.fixture = fixture
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        advice = f" {self.advice}" if self.advice else ""
        return (
            f"The cached fixture {self.fixture} is not kept and runs in every session: "
            f"{self.reason}.{advice}"
        )
