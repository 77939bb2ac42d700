"""The tasks of the tests of files; by import, so that worker processes find them.

Each notes in a file that it ran, for worker processes share nothing else.
"""

from __future__ import annotations

from taskgraph import Dir, File, StagingDir, StagingFile, task

taskgraph_namespace = "files"


def note(log: str, word: str) -> None:
    with open(log, "a") as stream:
        stream.write(f"{word}\n")


@task(config_args=["log"])
def write(path: str, text: str, log: str) -> File:
    note(log, f"write {text}")
    file = File(path)
    file.write(text)
    return file


@task(config_args=["log", "local"])
def read_staged(staged: StagingFile, local: str, log: str) -> str:
    note(log, "read")
    return str(StagingFile(local, staged.remote).stage().read())


@task(config_args=["log"])
def upload(text: str, staged: StagingFile, log: str) -> StagingFile:
    note(log, "upload")
    staged.local.write(text)
    staged.unstage()
    return staged


@task(config_args=["log"])
def upload_folder(names: list[str], staged: StagingDir, log: str) -> Dir:
    note(log, "upload folder")
    for name in names:
        staged.local.file(name).write(name)
    return staged.unstage()


@task(config_args=["log"])
def name_of_local(staged: StagingFile, log: str) -> str:
    note(log, "name")
    return staged.local.path
