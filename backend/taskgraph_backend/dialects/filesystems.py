"""On what a file lies: a disk of this host, or one that other hosts have as well.

SQLite's write-ahead log needs memory that all who use the file share, which hosts do not.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from typing import Final

#: Kinds of file systems that other hosts may have mounted at the same time.
NETWORK_KINDS: Final = frozenset(
    {
        "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2",
        "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs",
        "panfs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav",
        "wekafs",
    }
)  # fmt: skip
# Of those that programs make, some are of this host: archives, encrypted and layered folders.
_LOCAL_FUSE: Final = frozenset(
    {
        "fuse.archivemount", "fuse.bindfs", "fuse.encfs", "fuse.gocryptfs", "fuse.cryfs",
        "fuse.mergerfs", "fuse.ntfs",
        "fuse.ntfs-3g", "fuse.unionfs", "fuse.overlayfs", "fuse.fuse-overlayfs", "fuse.lxcfs",
        "fuse.portal", "fuseblk", "fuse.exfat", "fuse.squashfuse", "fuse.rar2fs",
    }
)  # fmt: skip

_MOUNTINFO = "/proc/self/mountinfo"
_ESCAPE: Final = re.compile(r"\\([0-7]{3})")
# A line of macOS's: "//me@server/lab on /Volumes/lab (smbfs, nodev, nosuid)".
_MOUNTED: Final = re.compile(r"^.* on (?P<place>/.*) \((?P<kind>[\w.]+)[,)]")


def network_kind(path: str) -> str | None:
    """Return the kind of a network file system that a file lies on; None for a disk of this host.

    Args:
        path: The file; it need not be there.
    """
    kind = kind_of(path)
    if kind is None:
        return None
    is_network = kind in NETWORK_KINDS or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)
    return kind if is_network or kind == "macfuse" else None


def kind_of(path: str) -> str | None:
    """Return the kind of the file system that a file lies on, as the system calls it."""
    real = os.path.realpath(path)
    if sys.platform == "linux":
        return _kind_by_mountinfo(real)
    if sys.platform == "darwin":
        return _kind_by_mount(real)
    return None


def _kind_by_mountinfo(real: str) -> str | None:
    try:
        with open(_MOUNTINFO, "rb") as mounts:
            lines = os.fsdecode(mounts.read()).splitlines()
    except OSError:
        return None
    return find_kind(real, (_of_mountinfo(line) for line in lines))


def _of_mountinfo(line: str) -> tuple[str, str]:
    """Return where something is mounted and of which kind it is.

    The optional fields before the dash are of any number.
    """
    before, _, after = line.partition(" - ")
    place = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
    return place, after.split(" ")[0]


def _kind_by_mount(real: str) -> str | None:
    import subprocess  # only here, where the kernel does not say it in a file

    try:
        shown = subprocess.run(["mount"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = (_MOUNTED.match(line) for line in shown.splitlines())
    return find_kind(real, ((each["place"], each["kind"]) for each in found if each))


def find_kind(real: str, mounts: Iterable[tuple[str, str]]) -> str | None:
    """Return the kind of the innermost mount that a path lies below; of two at one place the last.

    Args:
        real: An absolute path without links.
        mounts: Pairs of a place and a kind, in the order in which they were mounted.
    """
    kind, depth = None, -1
    for place, found in mounts:
        inner = place.rstrip("/")
        if (real == inner or real.startswith(f"{inner}/")) and len(inner) >= depth:
            kind, depth = found, len(inner)
    return kind


__all__ = ["NETWORK_KINDS", "find_kind", "kind_of", "network_kind"]
