"""Sends a notification to whatever kind of target; each kind is loaded when there is one."""

from __future__ import annotations

from taskgraph.catalog.policy_rows import Answer, Notification
from taskgraph.catalog.targets import Command, Target, Webhook


def send(target: Target, told: Notification, seconds: float) -> Answer:
    """Send a notification, and say what came of it.

    Args:
        target: Where it goes.
        told: What is sent.
        seconds: How long that may take.

    Raises:
        SecretError: A secret is not where it is said to be.
    """
    if isinstance(target, Webhook):
        from taskgraph.notifying.webhook import post

        return post(target, told, seconds)
    if isinstance(target, Command):
        from taskgraph.notifying.command import run

        return run(target, told, seconds)
    from taskgraph.notifying.callback import call

    return call(target, told, seconds)


__all__ = ["send"]
