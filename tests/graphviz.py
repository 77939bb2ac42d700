"""Pictures are drawn by Graphviz, a program that users may do without: tests of them need it."""

from __future__ import annotations

import os
import shutil

import pytest

#: On CI, which installs it, a missing one is a failure and no skip.
needs_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None and not os.environ.get("CI"),
    reason="Graphviz is not installed: it is optional, and CI installs it",
)
