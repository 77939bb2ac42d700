"""What a worker starts for each of its slots: ``python -m taskgraph.cli.slot``; for nobody else."""

from __future__ import annotations

import sys

from taskgraph.cli.scripts import load_script
from taskgraph.serving.slots import serve

if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), int(sys.argv[2]), load_script))
