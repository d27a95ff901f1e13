"""Who could have written a file: what runs without being named has to be this user's own, or root's."""

from __future__ import annotations

import os
import stat

__all__ = ["is_only_ours"]


def is_only_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder, and what it links to, belongs to this user or root, and nobody else can write to it.

    A group may write to it if it is the user's own, of the same name and without other members. On a system without
    owners it is always true.
    """
    if not hasattr(os, "getuid"):
        return True
    try:
        return all(map(_is_only_ours, (os.lstat(path), os.stat(path))))
    except OSError:
        return False


def _is_only_ours(status: os.stat_result) -> bool:
    if status.st_uid not in (0, os.getuid()):
        return False
    if stat.S_ISLNK(status.st_mode):  # whose mode says nothing
        return True
    return not status.st_mode & 0o002 and (not status.st_mode & 0o020 or _is_private(status.st_gid))


def _is_private(group: int) -> bool:
    import grp
    import pwd

    try:
        name, members = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(group)
    except KeyError:  # a number without a name, as in containers
        return False
    return members.gr_name == name and set(members.gr_mem) <= {name}
