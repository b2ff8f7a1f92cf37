"""What is recorded by itself about the program: who ran it, from which script or notebook and commit.

Read from the environment and from Git's own files, never by starting a program: no prompt, no hook, and about
a millisecond, once a process, on the writing thread.
"""

from __future__ import annotations

import configparser
import contextlib
import functools
import getpass
import os
import pathlib
import sys
import urllib.parse


@functools.lru_cache(maxsize=1)
def metadata() -> dict[str, str]:
    """Return the metadata of every trace of this process; what can't be found is absent."""
    found = {
        "mlflow.user": _user(),
        "mlflow.source.name": _source_name(),
        "mlflow.source.type": "NOTEBOOK" if _in_notebook() else "LOCAL",
        **_git(pathlib.Path.cwd()),
    }
    return {key: value for key, value in found.items() if value}


def _user() -> str | None:
    with contextlib.suppress(Exception):  # no such user id, no pwd module
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    return None


def _in_notebook() -> bool:
    """Whether this is a Jupyter kernel; a terminal IPython is not."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _source_name() -> str | None:
    if _in_notebook():
        return _notebook_name()
    return (sys.argv[0] if sys.argv else "") or "<console>"


def _notebook_name() -> str | None:
    """Return the notebook's file as Jupyter Server (JPY_SESSION_NAME) or VS Code tells the kernel."""
    shell = sys.modules["IPython"].get_ipython()
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return pathlib.PurePath(path).name if path else None


def _git(directory: pathlib.Path) -> dict[str, str]:
    """Return commit, branch and repository URL of the checkout that `directory` is in, {} outside one.

    Source: https://git-scm.com/docs/gitrepository-layout
    """
    with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
        git = _git_directory(directory)
        if git is not None:
            return _git_metadata(git)
    return {}


def _git_directory(directory: pathlib.Path) -> pathlib.Path | None:
    for folder in (directory, *directory.parents):
        git = folder / ".git"
        if git.is_dir():
            return git
        if git.is_file():  # a worktree or a submodule: "gitdir: <path>"
            return folder / git.read_text("utf-8").removeprefix("gitdir:").strip()
    return None


def _git_metadata(git: pathlib.Path) -> dict[str, str]:
    head = (git / "HEAD").read_text("utf-8").strip()
    common = git
    with contextlib.suppress(FileNotFoundError):
        common = git / (git / "commondir").read_text("utf-8").strip()
    reference = head.removeprefix("ref: ") if head.startswith("ref: ") else None
    commit = head if reference is None else _resolve(git, common, reference)
    return {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": (reference or "").removeprefix("refs/heads/"),
        "mlflow.source.git.repoURL": _remote_url(common),
    }


def _resolve(git: pathlib.Path, common: pathlib.Path, reference: str) -> str:
    for folder in (git, common):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (folder / reference).read_text("utf-8").strip()
    with contextlib.suppress(FileNotFoundError):
        for line in (common / "packed-refs").read_text("utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    return ""


def _remote_url(common: pathlib.Path) -> str:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read(common / "config", "utf-8")
    url = parser.get('remote "origin"', "url", fallback="") or ""
    return _without_password(url)


def _without_password(url: str) -> str:
    """Return `url` without user and password: a token in a remote's URL is nobody's business."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url
