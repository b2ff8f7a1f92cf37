"""Which file systems SQLite's write-ahead log must not be used on, which overwrite in place, and where a file stands.

The log needs memory that all processes share, and locks that all machines see; network file systems, and those
that pass a host's folder to a virtual machine, have neither for certain (https://www.sqlite.org/wal.html, "all
processes must be on the same host"; https://www.sqlite.org/howtocorrupt.html, section 2.1).

Knows mounts and drives, nothing of SQLite. Looked up once for each store. On macOS and the BSDs nothing is
detected.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys

#: Types of Linux's mounts (proc(5), /proc/pid/mountinfo) that are not of this machine alone.
_REMOTE = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "drvfs",
        "fakeowner",
        "ftpfs",
        "fuse.ceph",
        "fuse.cifs",
        "fuse.davfs",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.grpcfuse",
        "fuse.juicefs",
        "fuse.mfs",
        "fuse.mount.davfs",
        "fuse.osxfs",
        "fuse.portal",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "fuse.vmhgfs-fuse",
    ]
)

#: Those of this machine where what is overwritten needs no new room: its pages may be mapped, and a copy into one
#: never fails. Elsewhere (btrfs, ZFS, or what is not known) a full disk would end the process by SIGBUS.
_IN_PLACE = frozenset(["ext2", "ext3", "ext4", "tmpfs", "xfs"])

#: What this process sees mounted.
MOUNTS = "/proc/self/mountinfo"

#: GetDriveTypeW's answer for a network drive.
_DRIVE_REMOTE = 4


def remote_kind(path: str) -> str | None:
    """Return the type of the network file system that `path` is or would be on, None for a local one."""
    if sys.platform == "win32":
        return _remote_drive(_folder_of(path))
    kind = _kind(path)
    return kind if kind in _REMOTE else None


def overwrites_in_place(path: str) -> bool:
    """Whether what is written over in a file there needs no new room. Linux only; elsewhere False."""
    return _kind(path) in _IN_PLACE


def _folder_of(path: str) -> str:
    return os.path.realpath(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120 - as text


def _kind(path: str) -> str | None:
    """Return the type of the file system that `path` is or would be on, None where that can't be told."""
    with contextlib.suppress(OSError, UnicodeDecodeError, ValueError):
        return _mounted_at(_folder_of(path), pathlib.Path(MOUNTS).read_text("utf-8"))
    return None


def _mounted_at(folder: str, mounts: str) -> str | None:
    """Return the type of the mount that `folder` is in: of several at the same place the last one."""
    best, kind = "", None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = _unescaped(before.split(" ")[4])
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    """Return a mount point as it is: space, tab, newline and backslash are written in octal."""
    for code, character in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", character)
    return text


def _remote_drive(folder: str) -> str | None:
    if folder.startswith("\\\\"):
        return "a network share"
    import ctypes  # noqa: PLC0415 - on Windows only

    drive = os.path.splitdrive(folder)[0] + "\\"
    found = ctypes.windll.kernel32.GetDriveTypeW(drive)  # type: ignore[attr-defined,unused-ignore]
    return "a network drive" if found == _DRIVE_REMOTE else None
