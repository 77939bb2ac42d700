"""What a file lies on is told from what the system says of its mounts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskgraph_backend.dialects import filesystems
from taskgraph_backend.dialects.filesystems import find_kind, kind_of, network_kind

MOUNTS = [("/", "ext4"), ("/home", "nfs4"), ("/home/me/local", "xfs"), ("/data", "ext4")]

LINUX = r"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /lab rw,relatime shared:9 master:2 - nfs4 server:/lab rw,vers=4.2
31 22 0:41 / /mnt/with\040space rw - fuse.sshfs me@host: rw
32 22 0:42 / /mnt/lustre rw - lustre mgs@tcp:/fs rw
33 22 0:43 / /mnt/merged rw - fuse.mergerfs a:b rw
34 22 0:44 / /mnt/cloud rw - fuse.s3fs bucket rw
"""
MACOS = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@server/lab on /Volumes/lab on it (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/you/x.db", "nfs4"),
        ("/home", "nfs4"),
        ("/homes/x.db", "ext4"),
        ("/home/me/local/x.db", "xfs"),
        ("/x.db", "ext4"),
    ],
)
def test_the_innermost_mount_counts(path: str, kind: str) -> None:
    assert find_kind(path, MOUNTS) == kind


def test_what_was_mounted_last_at_a_place_hides_what_was_there() -> None:
    assert find_kind("/data/x", [*MOUNTS, ("/data", "cifs")]) == "cifs"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/lab/x.db", "nfs4"),
        ("/mnt/with space/x.db", "fuse.sshfs"),
        ("/mnt/lustre/x.db", "lustre"),
        ("/mnt/cloud/x.db", "fuse.s3fs"),
        ("/mnt/merged/x.db", None),
        ("/tmp/x.db", None),
    ],
)
def test_linux_says_it_in_mountinfo(
    path: str, kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(LINUX)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(filesystems, "_MOUNTINFO", str(file))

    assert network_kind(path) == kind


@pytest.mark.parametrize(
    ("path", "kind"), [("/Volumes/lab on it/x.db", "smbfs"), ("/Users/me/x.db", None)]
)
def test_macos_says_it_by_mount(
    path: str, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, MACOS, "")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(subprocess, "run", run)

    assert network_kind(path) == kind


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_this_system_says_what_a_file_lies_on() -> None:
    assert kind_of("/proc/self/status") == "proc"
    assert network_kind("/proc/self/status") is None


def test_where_nothing_is_said_of_mounts_a_disk_is_believed_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(filesystems, "_MOUNTINFO", "/nowhere/mountinfo")
    assert network_kind("/x") is None
    monkeypatch.setattr(sys, "platform", "sunos5")
    assert network_kind("/x") is None
