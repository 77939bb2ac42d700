"""Values that have no stable hash, cannot be stored, or are not what was stored."""

from __future__ import annotations

from collections.abc import Sequence

from taskgraph.errors.base import TaskgraphError


class UnhashableValueError(TaskgraphError, TypeError):
    """A value has no stable hash; says where inside the argument it was found."""

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        super().__init__(path, type_name, reason)
        self.path = path
        self.type_name = type_name
        self.reason = reason

    @property
    def what(self) -> str:
        """What happened, without what to do: for values that are no arguments."""
        return f"{self.path} (a {self.type_name}) cannot be hashed in a stable way: {self.reason}."

    def __str__(self) -> str:
        return (
            f"{self.what} Leave the argument out of the key with @task(config_args=[...]), give "
            "its class a __taskgraph_hash__ method, or register a ValueKind for it."
        )


class UnstorableValueError(TaskgraphError):
    """A value cannot be written to the store: it cannot be pickled, or is too large."""

    def __init__(self, type_name: str, reason: str) -> None:
        super().__init__(type_name, reason)
        self.type_name = type_name
        self.reason = reason

    def __str__(self) -> str:
        return f"A value of type {self.type_name} cannot be stored: {self.reason}."


class DamagedValueError(TaskgraphError):
    """A stored value does not have the bytes that were written, or can no longer be read."""

    def __init__(self, value_hash: str, reason: str) -> None:
        super().__init__(value_hash, reason)
        self.value_hash = value_hash
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"Stored value {self.value_hash[:8]} cannot be used: {self.reason}. "
            "The call that made it will run again."
        )


class InvalidValueError(DamagedValueError):
    """A stored value has the bytes that were written, and what it needs besides is not there.

    A module that is not installed, a type that nobody registers, the file that holds it.

    Attributes:
        is_lost: Whether it is gone for good, so that its record is of no use to anybody.
    """

    def __init__(self, value_hash: str, reason: str, is_lost: bool = False) -> None:
        super().__init__(value_hash, reason)
        self.args = (value_hash, reason, is_lost)
        self.is_lost = is_lost


class RefusedValueError(InvalidValueError):
    """A stored value holds what the store is not trusted with; nothing of it was run.

    It is neither damaged nor deleted: who trusts what is in it reads it.

    Attributes:
        what: What it holds that is no data.
        name: The class, by its dotted name, that could be named as data; "" if none could.
    """

    def __init__(self, value_hash: str, what: str, name: str = "") -> None:
        reason = f"it holds {what}, and the store is trusted with data only"
        if name:
            reason += (
                ". If that is a class of yours that only holds data, say "
                f'trust_classes = ["{name}"] in [backend]'
            )
        super().__init__(value_hash, reason)
        self.args = (value_hash, what, name)
        self.what = what
        self.name = name


class HandleError(TaskgraphError, ValueError):
    """A handle cannot be followed: where it lies, or with what it is merged."""

    def __init__(self, handle: str, reason: str) -> None:
        super().__init__(handle, reason)
        self.handle = handle
        self.reason = reason

    def __str__(self) -> str:
        return f"Handle {self.handle!r}: {self.reason}."


class HandleOutsideError(UnhashableValueError):
    """A function that no workflow calls is given a handle, so that nobody follows its service."""

    def __str__(self) -> str:
        return (
            f"{self.path} is a handle (a {self.type_name}), and {self.reason}. Make the function a"
            " @task, and call it in a workflow; or give it something else than a handle."
        )


class UnknownRootError(TaskgraphError, LookupError):
    """A file was recorded below a root that is not declared here."""

    def __init__(self, root: str, path: str, known: Sequence[str] = ()) -> None:
        super().__init__(root, path, tuple(known))
        self.root = root
        self.path = path
        self.known = tuple(known)

    def __str__(self) -> str:
        here = ", ".join(repr(name) for name in self.known) or "none"
        return (
            f"File {self.path!r} lies below the root {self.root!r}, which is not declared here "
            f'(there is {here}). Say where it is: {self.root} = "/folder" in [roots].'
        )


class ReleaseRefusedError(TaskgraphError):
    """Files that were to be released must stay."""

    def __init__(self, reasons: Sequence[tuple[str, str]]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    def __str__(self) -> str:
        lines = [f"  {what}: {why}" for what, why in self.reasons]
        return "\n".join(
            [
                "Nothing was deleted:",
                *lines,
                "With force=True (--force) files that are named are deleted all the same.",
            ]
        )


class ValueStoreError(TaskgraphError):
    """The value store, where large values are kept, cannot be reached, read or written."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url = url
        self.reason = reason

    def __str__(self) -> str:
        from taskgraph.errors.database import without_password

        where = f" {without_password(self.url)}" if self.url else ""
        return (
            f"The value store{where} cannot be used: {self.reason}. Its values were left as they "
            "are; see that it can be reached (backend.value_store says where it is), and run again."
        )


class ValueCompressionError(TaskgraphError):
    """Values are, or are to be, compressed with zstd, and the package for that is not installed."""

    def __str__(self) -> str:
        return (
            "Compressed values need the package zstandard: pip install 'taskgraph[zstd]', or "
            'set backend.value_store_compression = "none" for new ones.'
        )
