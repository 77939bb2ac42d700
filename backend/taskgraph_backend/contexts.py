"""The context of a job: what ``get_context`` found there, as far as it is written down.

A job whose context is not that of its caller has it as a tag; all others have their caller's.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Integer, cast, literal, select
from sqlalchemy.orm import Session, aliased

from taskgraph_backend import models

#: The keys of that tag: what it is written under, and what it was once.
CONTEXT_TAGS: Final = ("taskgraph.context", "context")


def context_of(session: Session, job_id: str) -> dict[str, Any]:
    """Return the context of a job, in one statement at any depth; empty if none was given.

    What is no JSON was not written down.
    """
    job, tag = models.Job, models.Tag
    above = (
        select(job.id, job.parent_id, cast(literal(0), Integer).label("depth"))
        .where(job.id == job_id)
        .cte(recursive=True)
    )
    caller = aliased(job)
    above = above.union_all(
        select(caller.id, caller.parent_id, above.c.depth + 1).join(
            above, caller.id == above.c.parent_id
        )
    )
    nearest = session.execute(
        select(tag.value)
        .join(above, tag.entity_id == above.c.id)
        .where(
            tag.key.in_(CONTEXT_TAGS),
            tag.entity_type == models.TagEntity.Job.value,
            tag.is_current.is_(True),
        )
        .order_by(above.c.depth, tag.key.desc(), tag.tag_hash)
        .limit(1)
    ).first()
    return dict(nearest[0]) if nearest is not None and isinstance(nearest[0], dict) else {}
