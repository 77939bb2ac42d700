"""Pictures of charts, drawn by Graphviz where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import Final

from taskgraph.errors import GraphvizError
from taskgraph.provenance.chart_formats import chart_dot
from taskgraph.provenance.charts import Chart

#: Charts are bounded, so it takes a second; something that takes longer is stuck.
_SECONDS: Final = 120


def chart_svg(chart: Chart) -> str:
    """Return a chart as SVG.

    Raises:
        GraphvizError: Its program ``dot`` is not there, or failed.
    """
    program = shutil.which("dot")
    if program is None:
        raise GraphvizError("its program `dot` is not installed, or not on the PATH")
    try:
        done = subprocess.run(
            [program, "-Tsvg"],
            input=chart_dot(chart).encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GraphvizError(str(error)) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise GraphvizError(f"`dot` failed: {said or done.returncode}")
    return done.stdout.decode()


__all__ = ["chart_svg"]
