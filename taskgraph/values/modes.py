"""The modes that files are opened with, as types: which of them give text and which give bytes."""

from __future__ import annotations

from typing import Literal

TextMode = (
    Literal["r", "w", "a", "x"]
    | Literal["rt", "wt", "at", "xt"]
    | Literal["r+", "w+", "a+", "x+"]
    | Literal["rt+", "wt+", "at+", "xt+"]
    | Literal["r+t", "w+t", "a+t", "x+t"]
)
BinaryMode = (
    Literal["rb", "wb", "ab", "xb"]
    | Literal["rb+", "wb+", "ab+", "xb+"]
    | Literal["r+b", "w+b", "a+b", "x+b"]
)

__all__ = ["BinaryMode", "TextMode"]
