"""In a timeline no two bars of a lane overlap, and each job has its bar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.provenance.timeline import lanes_of, timeline
from taskgraph.provenance.views import JobView

START = datetime(2026, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def a_job(begin: float, took: float, task: str = "flow.f", status: str = "DONE") -> JobView:
    started = START + timedelta(seconds=begin)
    return JobView(
        "ab" * 16, "cd" * 16, None, task, "ef" * 16, None, status, started,
        started + timedelta(seconds=took), (), None,
    )  # fmt: skip


jobs = st.lists(
    st.builds(a_job, st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=30
).map(lambda found: sorted(found, key=lambda job: job.started))


@given(jobs)
def test_jobs_that_ran_at_once_are_in_lanes_of_their_own(found: list[JobView]) -> None:
    lanes = lanes_of(found)

    ends: dict[int, datetime] = {}
    for job, lane in zip(found, lanes, strict=True):
        assert job.ended is not None
        assert ends.get(lane, START) <= job.started
        ends[lane] = job.ended
    at_once = max(
        sum(
            other.started <= job.started < (other.ended or START) or other is job for other in found
        )
        for job in found
    )
    assert max(lanes) + 1 <= at_once


@given(jobs, st.floats(1e-6, 1e7))
def test_it_is_well_formed_and_has_a_bar_for_each(found: list[JobView], longer: float) -> None:
    last = max(job.ended for job in found if job.ended is not None)

    drawn = timeline(found, START, last + timedelta(seconds=longer))

    root = ElementTree.fromstring(drawn)
    assert len(root.findall(".//rect")) == len(found)
    assert 0 < len(root.findall("line")) <= 10


@pytest.mark.parametrize("seconds", [0, 1e-6, 0.003, 7, 3600, 10**6])
def test_its_axis_has_a_few_round_numbers(seconds: float) -> None:
    drawn = timeline([a_job(0, seconds)], START, START + timedelta(seconds=seconds))

    said = [each.text for each in ElementTree.fromstring(drawn).findall("text")]
    assert said[0] == "0"
    assert len(said) == len(set(said)) <= 10


def test_names_are_text_and_failures_are_red() -> None:
    failed = a_job(0, 9, task="<b>&\"'", status="FAILED")

    drawn = timeline([failed], START, START + timedelta(seconds=9))

    root = ElementTree.fromstring(drawn)
    assert "<b>&\"'" in (root.find(".//title").text or "")
    assert root.find(".//rect").get("fill") == "#d6453d"


def test_no_label_of_the_axis_goes_beyond_its_end() -> None:
    for total in (0.0203, 0.0051, 7.02, 61.0):
        drawn = ElementTree.fromstring(timeline([a_job(0, total)], START, _after(total)))

        labels = [each for each in drawn.iter() if each.tag.endswith("text") and each.text]
        assert labels
        for each in labels:
            ends = each.get("text-anchor") == "end"
            reach = float(each.get("x", "0")) + (0 if ends else 6 * len(each.text or ""))
            assert reach <= 960


def _after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)
