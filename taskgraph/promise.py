"""Promises: values that are not there yet, for scheduler tasks in the style of callbacks.

They know no engine and no thread: a promise is settled by whoever calls `Promise.do_resolve`, and
what was asked to follow has run when that returns. No callback runs inside of another one: what a
callback settles has its turn once that has ended, so that chains are as long as memory allows.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, cast, overload

T = TypeVar("T")
S = TypeVar("S")

# What is called with an error may ask for any class of errors. Any: it is the user's.
_OnError = Callable[[Any], S]

# Who follows, and what is made for it of the value or of the error; None: that itself.
_Follower = tuple["Promise[Any]", Callable[[Any], Any] | None, Callable[[Any], Any] | None]


class _State(Enum):
    PENDING = "pending"
    FULFILLED = "fulfilled"
    REJECTED = "rejected"


def _error_of(given: Any) -> BaseException:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, type) and issubclass(given, BaseException):
        try:
            return given()
        except Exception as error:  # one that needs arguments
            return error
    return TypeError(f"A promise is rejected with an error, and {given!r} is none.")


class Promise(Generic[T]):
    """A value that will be there, or an error in its place.

    The first that settles it wins; whatever comes later is ignored. One that is resolved with
    another promise becomes what that becomes.

    Args:
        func: Called at once with two functions, of which one resolves the promise and the other
            rejects it; what it raises rejects it, too.
    """

    __slots__ = ("_followers", "_is_taken", "_outcome", "_state")

    def __init__(
        self,
        func: Callable[[Callable[[T | Promise[T]], None], Callable[[BaseException], None]], object]
        | None = None,
    ) -> None:
        self._state = _State.PENDING
        self._outcome: Any = None  # the value, or the error
        self._is_taken = False  # settled, or about to become what another promise becomes
        self._followers: list[_Follower] = []
        if func is not None:
            try:
                func(self.do_resolve, self.do_reject)
            except Exception as error:
                self.do_reject(error)

    @property
    def is_pending(self) -> bool:
        """Whether it has neither a value nor an error yet."""
        return self._state is _State.PENDING

    @property
    def is_fulfilled(self) -> bool:
        """Whether it has a value."""
        return self._state is _State.FULFILLED

    @property
    def is_rejected(self) -> bool:
        """Whether it has an error."""
        return self._state is _State.REJECTED

    @property
    def value(self) -> T:
        """The value.

        Raises:
            ValueError: It is pending.
            BaseException: Its error, if it was rejected.
        """
        if self._state is _State.PENDING:
            raise ValueError("This promise is pending: its value is not there yet.")
        if self._state is _State.REJECTED:
            raise self._outcome
        return cast(T, self._outcome)

    @property
    def error(self) -> BaseException:
        """The error.

        Raises:
            ValueError: It was not rejected.
        """
        if self._state is not _State.REJECTED:
            raise ValueError(f"This promise is {self._state.value}: it has no error.")
        return cast(BaseException, self._outcome)

    def do_resolve(self, value: T | Promise[T]) -> None:
        """Give it a value, or let it become what another promise becomes."""
        if self._is_taken:
            return
        self._is_taken = True
        if value is self:
            self._settle(_State.REJECTED, TypeError("A promise was resolved with itself."))
        elif isinstance(value, Promise):
            value._follow((self, None, None))
        else:
            self._settle(_State.FULFILLED, value)

    def do_reject(self, error: BaseException) -> None:
        """Give it an error in place of a value.

        Of a class of errors it is given one without arguments, as by ``raise``; of what is no
        error at all, a TypeError that says so.
        """
        if not self._is_taken:
            self._is_taken = True
            self._settle(_State.REJECTED, _error_of(error))

    @overload
    def then(self, resolver: None = None, rejector: None = None) -> Promise[T]: ...

    @overload
    def then(
        self, resolver: None, rejector: _OnError[Promise[S]] | _OnError[S]
    ) -> Promise[T | S]: ...

    @overload
    def then(
        self, resolver: Callable[[T], Promise[S]], rejector: _OnError[S | Promise[S]] | None = None
    ) -> Promise[S]: ...

    @overload
    def then(
        self, resolver: Callable[[T], S], rejector: _OnError[S | Promise[S]] | None = None
    ) -> Promise[S]: ...

    def then(
        self,
        resolver: Callable[[T], Any] | None = None,
        rejector: Callable[[Any], Any] | None = None,
    ) -> Promise[Any]:
        """Have something done with the value or the error; what it returns is the next promise's.

        Args:
            resolver: Called with the value. Without one, the value is passed on.
            rejector: Called with the error. Without one, the error is passed on.

        Returns:
            A promise of what they return, which may be a promise again, or of what they raise.
        """
        following: Promise[Any] = Promise()
        following._is_taken = True
        self._follow((following, resolver, rejector))
        return following

    @overload
    def catch(self, rejector: _OnError[Promise[S]]) -> Promise[T | S]: ...

    @overload
    def catch(self, rejector: _OnError[S]) -> Promise[T | S]: ...

    def catch(self, rejector: Callable[[Any], Any]) -> Promise[Any]:
        """Have something made of the error, if there is one; a value is passed on."""
        return self.then(None, rejector)

    @staticmethod
    def all(promises: Iterable[Promise[S]]) -> Promise[list[S]]:
        """Return a promise of all values, in order; the first error is its error."""
        wanted = list(promises)
        every: Promise[list[S]] = Promise()
        values: list[Any] = [None] * len(wanted)
        missing = len(wanted)

        def take(position: int, value: S) -> None:
            nonlocal missing
            values[position] = value
            missing -= 1
            if not missing:
                every.do_resolve(values)

        if not wanted:
            every.do_resolve([])
        for position, each in enumerate(wanted):
            each.then(partial(take, position), every.do_reject)
        return every

    # Settled, and who follows

    def _settle(self, state: _State, outcome: Any) -> None:
        self._state, self._outcome = state, outcome
        followers, self._followers = self._followers, []
        if followers:
            _turns.take([(self, each) for each in followers])

    def _follow(self, follower: _Follower) -> None:
        if self._state is _State.PENDING:
            self._followers.append(follower)
        else:
            _turns.take([(self, follower)])

    def _tell(self, follower: _Follower) -> None:
        """Settle a promise that follows this one, which is settled."""
        following, resolver, rejector = follower
        is_error = self._state is _State.REJECTED
        callback = rejector if is_error else resolver
        if callback is None:
            following._settle(self._state, self._outcome)
            return
        try:
            made = callback(self._outcome)
        except Exception as error:
            following._settle(_State.REJECTED, error)
            return
        following._is_taken = False
        following.do_resolve(made)

    def __repr__(self) -> str:
        said = "" if self._state is _State.PENDING else f" {self._outcome!r}"
        return f"<Promise {self._state.value}{said}>"


def wait_promises(promises: Iterable[Promise[T]]) -> Promise[list[Promise[T]]]:
    """Return a promise of these very promises, which has its value when all of them are settled.

    None of their errors is its own: each promise tells its value or error by itself.
    """
    wanted = list(promises)
    ended = [each.then(lambda value: None, lambda error: None) for each in wanted]
    return Promise.all(ended).then(lambda ends: wanted)


class _Turns(threading.local):
    """The callbacks whose turn has come, of each thread; one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Promise[Any], _Follower]] | None = None

    def take(self, turns: list[tuple[Promise[Any], _Follower]]) -> None:
        """Tell those that follow a promise: now, or when what runs here has ended."""
        if self._waiting is not None:
            self._waiting.extend(turns)
            return
        waiting = self._waiting = deque(turns)
        try:
            while waiting:
                promise, follower = waiting.popleft()
                promise._tell(follower)
        finally:
            # A Ctrl-C in a callback ends all that would have followed.
            self._waiting = None


_turns = _Turns()
