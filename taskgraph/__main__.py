"""The command line, as ``python -m taskgraph``."""

import sys

from taskgraph.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
