"""Connections of HTTP that can be cut while somebody else waits for what comes by them.

A receiver that answers letter by letter keeps no time limit of a socket, for each letter comes in
time. Whoever waits no longer cuts the connection, so that the thread that reads it ends as well.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, Request, build_opener


class Line:
    """The connections of one attempt to send something."""

    def __init__(self) -> None:
        self._connections: list[HTTPConnection] = []
        self._is_cut = False

    def opener(self, *handlers: Any) -> OpenerDirector:
        """Return what opens URLs by connections that can be cut.

        Args:
            handlers: What else handles requests and answers, as `urllib.request` wants it.
        """
        return build_opener(_Plain(self), _Secure(self), *handlers)

    def maker(self, http_class: Any) -> Any:
        """Return what makes connections of a class. Any: what `urllib.request` calls, and how."""

        def make(host: str, **given: Any) -> HTTPConnection:
            if self._is_cut:
                raise TimeoutError
            made: HTTPConnection = http_class(host, **given)
            self._connections.append(made)
            return made

        return make

    def cut(self) -> None:
        """End what is sent and read by them, and let nothing begin."""
        self._is_cut = True
        for each in list(self._connections):
            found: socket.socket | None = each.sock
            if found is not None:
                with suppress(OSError):
                    found.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def do_open(self, http_class: Any, req: Request, **given: Any) -> HTTPResponse:
        return super().do_open(self._line.maker(http_class), req, **given)


class _Secure(HTTPSHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def do_open(self, http_class: Any, req: Request, **given: Any) -> HTTPResponse:
        return super().do_open(self._line.maker(http_class), req, **given)


__all__ = ["Line"]
