"""Outlines: what of a piece of code counts, and which names it reaches out to, as plain data.

An outline is made of the text alone: no object of the running program is looked at, so that it can
be remembered by the content of the file. `taskgraph.fingerprint.syntax` makes them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

Chain = tuple[str, ...]
#: The hash of a decorator, what is called, and the names in it.
Decorator = tuple[str, Chain, tuple[Chain, ...]]
#: A name with attributes, what is done to what it stands for, and more of that: see
#: `taskgraph.fingerprint.touches`.
Touched = tuple[Chain, str, str]

#: Before level, module and name of an import within the code.
IMPORTED: Final = "@import:"
#: Before a name that was declared global, whatever the functions around it call so.
GLOBAL: Final = "@global:"
#: Before the name of a parameter.
PARAMETER: Final = "@parameter"


class Trap(NamedTuple):
    """Something in the code that may reach what nobody can foresee.

    Attributes:
        chain: The name that is called, or assigned to.
        target: The name that is its first argument; () where there is none, or it is local.
        what: A word for it: ``call`` of an importer with a name that is computed or ``import`` with
            one that is not, ``call on`` something (``getattr`` and its like), ``assignment`` to an
            attribute of something, or ``attribute``.
        line: Counted from the first line of the piece.
    """

    chain: Chain
    target: Chain
    what: str
    line: int


class Outline(NamedTuple):
    """What of a function or class counts.

    Attributes:
        kind: ``function``, ``lambda`` or ``class``.
        name: Its qualified name within the module.
        first: The line of its first decorator, or of its own if it has none.
        last: Its last line.
        syntax: The hash of all that always counts.
        docs: The hash of the docstrings in it; "" for none.
        annotations: The hash of annotations that only count if something reads them; "" for none.
        decorators: For each decorator of its own: its hash, what is called, what it refers to.
        inner_decorators: What the decorators of functions further inside are called.
        references: The names that it reaches out to, with attributes: ``("np", "mean")``. An import
            within the code stands in place of the name that it binds: ``"@import:0:np:mean"``.
        optional: References that may be to names of a class body instead.
        annotation_references: The names in annotations, likewise.
        traps: What may reach further than names tell.
        touched: What it does to what names stand for, and parameters.
        assigned: Of a class: the names that its body assigns to.
        defined: Of a class: the names of the functions and classes in it.
        imports: What is imported within it, used or not.
        reads_docs: Whether something in it looks at docstrings.
        reads_annotations: Whether something in it looks at annotations.
        text: Its source.
    """

    kind: str
    name: str
    first: int
    last: int
    syntax: str
    docs: str
    annotations: str
    decorators: tuple[Decorator, ...]
    inner_decorators: tuple[Chain, ...]
    references: tuple[Chain, ...]
    optional: tuple[Chain, ...]
    annotation_references: tuple[Chain, ...]
    traps: tuple[Trap, ...]
    touched: tuple[Touched, ...]
    assigned: tuple[str, ...]
    defined: tuple[str, ...]
    imports: tuple[str, ...]
    reads_docs: bool
    reads_annotations: bool
    text: str
