"""The text of a notification: a template with names in braces, which runs no code.

A name stands for a text that is known. There is nothing else: no attributes, no items, no formats,
so that who writes a template can ask for nothing but these texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Final

from taskgraph.catalog.secrets import refuse_secrets
from taskgraph.errors import TemplateError

#: What can be in a template, with what it stands for.
VARIABLES: Final[Mapping[str, str]] = {
    "execution_id": "the execution: 32 hex digits",
    "short_id": "the first 8 of them",
    "name": "what the execution is called",
    "entrypoint": "the task or workflow that it runs",
    "state": "the type of the state: FAILED",
    "state_name": "the name of the state: Failed, Late",
    "previous_state": "the name of the state before, if there was one",
    "time": "since when it is in that state, in UTC",
    "message": "what there is to say of the state",
    "study": "its study",
    "workflow": "its stored workflow, with the version",
    "submitted_by": "who submitted it",
    "tags": "its tags: team=ml, nightly=true",
    "run_seconds": "how long it has run",
    "workspace": "its folder",
    "policy": "the policy that this is of",
}
#: What is said where a policy has no template of its own.
DEFAULT_TEMPLATE: Final = "{name} ({short_id}): {state_name}. {message}"
_LONGEST: Final = 10_000


def checked_template(given: str) -> str:
    """Return a template that can be filled in.

    Raises:
        TemplateError: It names something unknown, asks for more than a name, or is broken.
        SecretError: There is a secret in it.
    """
    if not isinstance(given, str) or not given.strip():
        raise TemplateError(f"expected text, not {given!r}", list(VARIABLES))
    if len(given) > _LONGEST or "\0" in given:
        raise TemplateError(f"expected at most {_LONGEST:,} characters of text", list(VARIABLES))
    refuse_secrets("template", given)
    for _, name, format, conversion in _pieces(given):
        if name is None:
            continue
        if name not in VARIABLES:
            raise TemplateError(f"{{{name}}} stands for nothing", list(VARIABLES))
        if format or conversion:
            raise TemplateError(f"{{{name}}} is a name alone, without a format", list(VARIABLES))
    return given


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return a template with texts in the place of names; what is in the texts stays as it is.

    What a newer library may have meant stays as it is, too: a text with an odd name in it is better
    than none.
    """
    parts = []
    try:
        pieces = _pieces(template)
    except TemplateError:
        return template.strip()
    for text, name, _, _ in pieces:
        parts.append(text)
        if name is not None:
            parts.append(values.get(name, f"{{{name}}}"))
    return "".join(parts).strip()


def _pieces(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(
            f"this is no template ({error}; a brace itself is written twice)", list(VARIABLES)
        ) from error


__all__ = ["DEFAULT_TEMPLATE", "VARIABLES", "checked_template", "filled"]
