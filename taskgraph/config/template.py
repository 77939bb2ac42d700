"""A first configuration: the file of settings that a project begins with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from taskgraph.errors import ConfigError

CONFIG_FILE_NAME: Final = "config.toml"
IGNORE_FILE_NAME: Final = ".gitignore"

DEFAULT_CONFIG: Final = """\
# Settings of this project. What is commented out shows the default.
# An environment variable TASKGRAPH_SECTION__KEY wins over this file, and ${VAR} is filled in from
# the environment. Relative paths start from the folder that .taskgraph lies in.

[backend]
# db_uri = "sqlite:///.taskgraph/taskgraph.db"
# automigrate = true            # upgrade an old database when it is opened
# synchronous = "normal"        # "full" survives a power cut as well, and is slower
# max_value_size = "256 MiB"    # larger results are used, but not stored
# value_store = ""              # of large values: a folder, "s3://bucket/v"; "none": nowhere
# value_store_min_size = "1 MiB"
# value_store_compression = "none"  # or "zstd"
# trust = "all"                 # "data": stored values that are more than data are made again
# trust_classes = []            # classes that are data too, as "pkg.models.*"

[scheduler]
# executor = "threads"          # of tasks that name none
# ignore_warnings = "namespace" # do not warn of tasks without a namespace
# single_flight = true          # wait for calls that run in other processes, and run none twice
# job_status_interval = 10      # seconds between two lines of progress in a log
# context = { genome = "hg38" } # values that calls read with get_context
# context_file = "context.toml" # a file with such values, beside this one

[logs]
# folder = "logs"               # what calls print; by default beside the database; "none": nowhere
# max_size = "10 MiB"           # of each job, its beginning and its end
# keep_days = 30
# echo = true                   # show it as well

[observers]
# python = ["mypkg.watch:on_event"]  # functions that are called with each event
# jsonl = "events.jsonl"        # a file to which each event is added as a line of JSON
# opentelemetry = false         # executions and jobs as spans

[workers]
# max_losses = 3                # after so many workers died with an execution it is given to none
# poll = 1.0                    # seconds between two looks whether anything waits

[submissions]
# min_interval = 0              # seconds between two of one workflow on one output

[user]
# email = "ada@example.org"     # who submits what is run; TASKGRAPH_USER says the same

[files]
# ask_above = "100 GB"          # say so before a larger file is read for its hash

[files.policies]
# "*.bam" = "stat"              # "content" (default), "stat" (size and time), "immutable"

[code]
# project = ["src"]             # folders whose code is followed; all that is not installed
# strict = true                 # what cannot be followed is an error

[roots]
# reference = "/data/reference" # paths below are the same for everyone, wherever it lies

[limits]
# api = 4                       # calls of tasks with limits=["api"] that run at once; else 1

# [executors.big]
# type = "processes"            # "threads", "processes", "async", "inline", "alias"
# max_workers = 8
# start_method = "spawn"        # or "forkserver", "loky"
# options = { memory = 8 }      # of the tasks that it runs, where nothing else is said of them

# [executors.farm]
# type = "dask"                 # or "submitit", or what another package has added; or else
# class = "package.module:Class"
# address = "tcp://host:8786"   # and its arguments
"""

# The settings are shared with the project; the database beside them is not.
_IGNORED: Final = f"*\n!{IGNORE_FILE_NAME}\n!{CONFIG_FILE_NAME}\n"


def write_default_config(config_dir: Path) -> bool:
    """Write a commented ``config.toml`` into a folder, which is made if need be.

    A folder that is made here also gets a ``.gitignore``, so that ``config.toml`` is committed and
    the database is not. Each file appears whole or not at all, and one that is there is never
    touched.

    Returns:
        Whether ``config.toml`` was written.

    Raises:
        ConfigError: The folder or a file cannot be written.
    """
    wanted = config_dir / CONFIG_FILE_NAME
    try:
        if _make_folder(config_dir):
            _write_new(config_dir / IGNORE_FILE_NAME, _IGNORED)
        return _write_new(wanted, DEFAULT_CONFIG)
    except OSError as error:
        raise ConfigError(str(wanted), f"cannot be written: {error.strerror}") from error


def _make_folder(folder: Path) -> bool:
    """Make a folder; return whether it was made by this call.

    A folder that was there may hold other things, as with ``-c .``, which must not be ignored.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return False
    return True


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless it is there already; return whether it was written."""
    if path.exists():
        return False
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        # A link is refused where a rename would overwrite: two that start at once are safe.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True
