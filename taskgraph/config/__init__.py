"""Settings: defaults, then the project's files, then the environment, then the command line.

Whatever is later in that order wins, key by key. A key that is not known and a value of the wrong
type are errors that name the place they stand in: no setting is ever silently without effect.
"""

from taskgraph.config.found import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, USER_VARIABLE
from taskgraph.config.kinds import checked_seconds
from taskgraph.config.loading import (
    CONFIG_DIR_NAME,
    DATABASE_NAME,
    PROJECT_ROOT,
    context_of,
    find_config_dir,
    load_settings,
    read_context_file,
    settings_of,
)
from taskgraph.config.sections import (
    ALIAS_EXECUTOR,
    BUILT_IN_EXECUTORS,
    CLOSED_EXECUTORS,
    BackendSettings,
    CodeSettings,
    ExecutorSettings,
    FileSettings,
    LogSettings,
    ObserverSettings,
    SchedulerSettings,
    Settings,
    SubmissionSettings,
    UserSettings,
    WorkerSettings,
    setting_names,
)
from taskgraph.config.template import (
    CONFIG_FILE_NAME,
    DEFAULT_CONFIG,
    IGNORE_FILE_NAME,
    write_default_config,
)

__all__ = [
    "ALIAS_EXECUTOR",
    "BUILT_IN_EXECUTORS",
    "CLOSED_EXECUTORS",
    "CONFIG_DIR_NAME",
    "CONFIG_FILE_NAME",
    "CONFIG_VARIABLE",
    "DATABASE_NAME",
    "DEFAULT_CONFIG",
    "ENVIRONMENT_PREFIX",
    "IGNORE_FILE_NAME",
    "PROJECT_ROOT",
    "USER_VARIABLE",
    "BackendSettings",
    "CodeSettings",
    "ExecutorSettings",
    "FileSettings",
    "LogSettings",
    "ObserverSettings",
    "SchedulerSettings",
    "Settings",
    "SubmissionSettings",
    "UserSettings",
    "WorkerSettings",
    "checked_seconds",
    "context_of",
    "find_config_dir",
    "load_settings",
    "read_context_file",
    "setting_names",
    "settings_of",
    "write_default_config",
]
