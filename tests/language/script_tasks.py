"""The tasks of the tests of scripts; by import, so that worker processes find them."""

from __future__ import annotations

from taskgraph import Dir, File, script, task
from taskgraph.scripting import quote_shell

taskgraph_namespace = "scripts"


@task
def text_of(word: str) -> str:
    return f"echo {word}"


@task
def make(path: str, content: str) -> File:
    file = File(path)
    file.write(content)
    return file


@task
def make_folder(path: str) -> Dir:
    folder = Dir(path)
    folder.file("a").write("in a\n")
    return folder


@task
def read(value: File) -> str:
    return str(value.read())


@task(script=True)
def count_lines(path: File, log: str, options: str = "-l") -> str:
    return f"echo ran >> {quote_shell(log)}; wc {options} < {quote_shell(path)}"


@task(script=True)
def no_text(x: int) -> int:
    return x


@task(script=True)
def lazy_text(word: str) -> str:
    return text_of(word)


@task(script=True)
async def awaited_text(word: str) -> str:
    return f"echo awaited {word}"


@task(script=True, tags={"kind": "quick"}, limits=["api"], retries=2)
def tried(marker: str) -> str:
    return f"""
        echo begun >> {quote_shell(marker)}
        [ $(wc -l < {quote_shell(marker)}) -eq 3 ]
        echo at last
    """


@task
def nested(path: str) -> File:
    return script(f"echo nested > {quote_shell(path)}", outputs=File(path))


@task
def quoted_later(words: list[str]) -> bytes:
    return script("printf '%s|' " + quote_shell(text_of(words[0]), words[1:]))


@task(script=True)
def endless(pid_path: str) -> str:
    return f"echo $$ > {quote_shell(pid_path)}; exec sleep 1000"
