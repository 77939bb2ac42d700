"""The kinds of models that say what their state is: estimators of scikit-learn, models of pydantic.

What these libraries write for pickle names their version or changes with it, so it is not asked.
"""

from __future__ import annotations

from typing import Any

from taskgraph.values import objects
from taskgraph.values.kinds import Shape, ValueKind, class_path
from taskgraph.values.registry import register


class EstimatorKind(ValueKind):
    """Estimators of scikit-learn: by class, parameters and fitted attributes."""

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with parameters and fitted attributes inside."""
        from sklearn.base import BaseEstimator

        cls: Any = type(value)
        state = vars(value)
        if cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__:
            return objects.OBJECT.shape(value)
        if not objects.leaves_state_to(cls, BaseEstimator):
            # A class that leaves something out does so for a reason.
            state = objects.default_state(value)
        if type(state) is not dict:
            return objects.OBJECT.shape(value)
        derived = objects.derived_names(cls)
        names = sorted(n for n in state if n not in derived and n != "_sklearn_version")
        inside = [state[name] for name in names]
        described = (*_public_path(cls), *names)
        return Shape("sklearn estimator", described, inside, lambda p: f".{names[p]}")


def _public_path(cls: type) -> tuple[str, str]:
    """Return where a class is; scikit-learn's own by the package that offers it."""
    module, name = class_path(cls)
    if module.partition(".")[0] == "sklearn":
        module = ".".join(part for part in module.split(".") if not part.startswith("_"))
    return module, name


class ModelKind(ValueKind):
    """Models of pydantic: by class, fields, extra and private attributes, and what was set.

    Which fields were set shows in what is dumped, though not in ``==``.
    """

    def shape(self, value: Any) -> Shape:
        """Return the class and the names, with the values inside."""
        from pydantic import BaseModel

        cls = type(value)
        if not objects.leaves_state_to(cls, BaseModel):
            return objects.OBJECT.shape(value)
        derived = objects.derived_names(cls)
        fields = {n: v for n, v in sorted(vars(value).items()) if n not in derived}
        extra = sorted((value.__pydantic_extra__ or {}).items())
        private = sorted((value.__pydantic_private__ or {}).items())
        names = [*fields, *(name for name, _ in extra), *(name for name, _ in private)]
        inside = [*fields.values(), *(each for _, each in extra), *(each for _, each in private)]
        counts = (len(fields), len(extra), len(private))
        state = (*class_path(cls), counts, tuple(names), frozenset(value.model_fields_set))
        return Shape("pydantic model", state, inside, lambda p: f".{names[p]}")


def register_pydantic() -> None:
    """Register the kind of pydantic's models."""
    from pydantic import BaseModel

    # The first version has the same name, and says with __dict__ alone what a model is.
    if hasattr(BaseModel, "model_fields"):
        register(BaseModel, ModelKind(), subclasses=True)


def register_sklearn() -> None:
    """Register the kind of scikit-learn's estimators."""
    from sklearn.base import BaseEstimator

    register(BaseEstimator, EstimatorKind(), subclasses=True)


__all__ = ["register_pydantic", "register_sklearn"]
