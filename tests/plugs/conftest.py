"""Tools write into folders of their own, never into the user's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from taskgraph.plug.trials import taskgraph  # noqa: F401 - where it is not installed

# Prefect makes it when it is imported, which is before any fixture.
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-")
atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)
