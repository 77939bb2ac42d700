"""Which executables a script calls: a quick look that never fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgraph.scripting.words import find_executables


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("samtools sort -o out in | bgzip > x.gz && tabix x.gz", "samtools bgzip tabix"),
        ("samtools view a; samtools view b", "samtools"),
        ("X=1 Y=$(grep -c a b) bwa mem $ref", "grep bwa"),
        ("./bin/run.sh a \\\n  b\n/opt/tool c", "./bin/run.sh /opt/tool"),
        ("if [ -f x ]; then cat x; else date; fi", "cat date"),
        ("for i in a b; do sort $i; done; while read l; do perl x; done < f", "sort perl"),
        ("case $x in\n a) ls;;\n b|c) pwd; wc x;;\nesac", "ls wc"),
        ("case $x in a) ls;; *) wc x;; esac", "ls wc"),
        ("! grep -q x y || exit 1", "grep"),
        ("{ ls; } 2>/dev/null\n( cd x && tar cf - . )", "ls tar"),
        ("diff <(sort a) <(uniq b) > c", "diff sort uniq"),
        ('echo "$(wc -l < f) lines"', "wc"),
        ("2>err cmd >out 2>&1 arg", "cmd"),
        ("timeout 5s nice -n 3 xargs -I {} mafft {}", "timeout nice xargs mafft"),
        ("exec python3 x", "python3"),
        ("time bcftools view; command -v ls; trap 'rm x' EXIT", "bcftools ls"),
        ("f() { sed s/a/b/; }\nfunction g() { f; }\nf | g | tr a b", "sed tr"),
        ("a=(one two)\n((i++))\nx=$((1+2)); jq . f", "jq"),
        ("cat <<EOF > out\nnot a command\nEOF\nhead out", "cat head"),
        ("python3 - <<'PY' | tail\nimport os\nPY\nrg x", "python3 tail rg"),
        ("# don't\nawk '{print $(NF)}' x # isn't\ncut x", "awk cut"),
        ("$TOOL x; \"$TOOL\" y; 'quoted tool' z; ${x}/bin/y", ""),
        ("#!/usr/bin/env -S Rscript --vanilla\nlibrary(x)", "Rscript"),
        ("#!/usr/bin/python3 -u\nprint(1)", "python3"),
        ("#!/bin/bash -e\nls", "ls"),
        ("#!\nls", ""),
        ("", ""),
    ],
)
def test_the_commands_of_a_script(text: str, names: str) -> None:
    assert find_executables(text) == names.split()


@given(st.text(st.sampled_from("ab $()'\"`\n;|&<>#{}=\\-")) | st.text())
def test_any_text_has_an_answer(text: str) -> None:
    for name in find_executables(text):
        assert name in text.replace("\\\n", " ") or "\\" in text or "'" in text or '"' in text
