"""The tasks of the tests of files; by import, so that worker processes find them.

Each notes in a file that it ran, for worker processes share nothing else.
"""

from __future__ import annotations

import secrets

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


@task(config_args=["log"])
def write_temp(path: str, text: str, log: str) -> File:
    note(log, f"temp {text}")
    file = File(path, temp=True)
    file.write(text)
    return file


@task(config_args=["log"])
def pass_on(file: File, log: str) -> File:
    note(log, "pass on")
    return file


@task(config_args=["log"])
def derive(file: File, path: str, log: str) -> File:
    note(log, f"derive {path.rpartition('/')[2]}")
    made = File(path, temp=True)
    made.write(file.read() + "+")
    return made


@task(config_args=["log"])
def length(file: File, times: int, log: str) -> int:
    note(log, f"length {times}")
    return len(file.read()) * times


@task(config_args=["log"])
def lengths(files: list[File], times: int, log: str) -> int:
    note(log, f"lengths {times}")
    return sum(len(each.read()) for each in files) * times


@task(config_args=["log"])
def write_inside(path: str, text: str, log: str) -> File:
    note(log, "inside")
    return write_temp(path, text, log)


@task(config_args=["log"])
def write_random(path: str, log: str) -> File:
    note(log, "random")
    file = File(path, temp=True)
    file.write(secrets.token_hex(8))
    return file


@task(config_args=["log"])
def content(file: File, times: int, log: str) -> str:
    note(log, f"content {times}")
    return file.read() * times


@task(config_args=["log"])
def fail_the_second_time(path: str, log: str) -> File:
    with open(log) as stream:
        is_second = "maybe" in stream.read()
    note(log, "maybe")
    if is_second:
        raise RuntimeError("not again")
    file = File(path, temp=True)
    file.write("x")
    return file
