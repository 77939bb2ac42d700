"""Compression of stored values with zstd, which is an extra package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskgraph.errors import ValueCompressionError

#: Stands behind the format of what is compressed, as in ``npy+zstd``.
ZSTD = "zstd"

_LEVEL = 3


def _zstandard() -> Any:
    """Return the package.

    Raises:
        ValueCompressionError: It is not installed.
    """
    try:
        import zstandard
    except ImportError as error:
        raise ValueCompressionError from error
    return zstandard


def check_compression() -> None:
    """Raise a `ValueCompressionError` if nothing can be compressed here."""
    _zstandard()


def compressed(content: bytes | bytearray | memoryview) -> bytes:
    """Return content compressed."""
    made: bytes = _zstandard().ZstdCompressor(level=_LEVEL).compress(content)
    return made


@contextmanager
def compressing(sink: Any) -> Iterator[Any]:
    """Give a stream whose content goes to another one, compressed."""
    compressor = _zstandard().ZstdCompressor(level=_LEVEL)
    with compressor.stream_writer(sink, closefd=False) as stream:
        yield stream


def decompressed(content: Any) -> bytes:
    """Return content as it was before it was compressed.

    Raises:
        ValueCompressionError: The package is not installed.
    """
    package = _zstandard()
    # Frames that were written as streams do not say how long they are.
    parts = package.ZstdDecompressor().stream_reader(content)
    made: bytes = parts.read()
    return made
