"""What is asked of tags: those of a record with their history, and the keys that there are."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from taskgraph_backend import models
from taskgraph_backend.tags import DELETED


class Tagged(Session):
    """A session that knows what records are tagged with."""

    def tags_of(self, entity_id: str) -> list[models.Tag]:
        """Return all tags that a record has or had, earlier ones before those that followed.

        In two statements, with those that each took the place of.
        """
        tag = models.Tag
        rows = self.scalars(
            select(tag)
            .where(tag.entity_id == entity_id)
            .order_by(tag.key, tag.tag_hash)
            .options(selectinload(tag.parents))
        ).all()
        depths: dict[str, int] = {}
        waiting = list(rows)
        # Tags have no times; what took the place of what is all there is, and it has no cycles.
        while waiting:
            known = [each for each in waiting if all(up.tag_hash in depths for up in each.parents)]
            if not known:
                break
            for each in known:
                above = (depths[up.tag_hash] for up in each.parents)
                depths[each.tag_hash] = 1 + max(above, default=-1)
            waiting = [each for each in waiting if each.tag_hash not in depths]
        last = len(rows)
        return sorted(rows, key=lambda each: depths.get(each.tag_hash, last))

    def tag_keys(self) -> list[tuple[str, int, int]]:
        """Return the keys of current tags, with how many records and how many values each has."""
        tag = models.Tag
        rows = self.execute(
            select(
                tag.key,
                func.count(tag.entity_id.distinct()),
                func.count(tag.value.distinct()),
            )
            .where(tag.is_current, tag.entity_type != DELETED)
            .group_by(tag.key)
            .order_by(tag.key)
        )
        return [(key, records, values) for key, records, values in rows]


__all__ = ["Tagged"]
