"""Verified downloads that survive a bad connection."""

import hashlib
from pathlib import Path

import requests
from tqdm import tqdm

from helpers.base.errors import CourseError, writing

_CHUNK = 1 << 16  # at most this much is lost when the connection breaks


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, path: Path, sha256_prefix: str, timeout: float = 10.0) -> None:
    """Fetch `url` into `path`, continuing an interrupted attempt where it stopped.

    The bytes are collected in ``path.part``; only when their SHA-256 starts with `sha256_prefix`
    does that file become `path`. If they differ, they are thrown away.

    Args:
        timeout: seconds to wait for the server to answer, and then between two chunks.

    Raises:
        CourseError: the server cannot be reached, refuses, or sends something else; or the file
            cannot be written.
    """
    part = path.with_name(path.name + ".part")
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(part):
        _collect(url, part, timeout)
        actual = sha256(part)
        if actual.startswith(sha256_prefix):
            part.replace(path)
            return
        part.unlink()
    raise CourseError(
        f"{url} sent a file with SHA-256 {actual}, expected {sha256_prefix}…; it was deleted, "
        "nothing else was changed: try again, or check the proxy between you and the server."
    )


def _collect(url: str, part: Path, timeout: float) -> None:
    """Fetch what `part` does not hold yet."""
    have = part.stat().st_size if part.exists() else 0
    # Uncompressed, or a range would count other bytes than those in the part file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as reply:
            if reply.status_code != 416:  # 416: the part file holds everything already
                reply.raise_for_status()
                resumed = reply.status_code == 206
                total = int(reply.headers.get("Content-Length", 0)) + (have if resumed else 0)
                bar = tqdm(
                    desc=part.stem, total=total or None, initial=have if resumed else 0, unit="B"
                )
                with part.open("ab" if resumed else "wb") as file, bar:
                    for chunk in reply.iter_content(_CHUNK):
                        file.write(chunk)
                        bar.update(len(chunk))
    except requests.RequestException as error:
        kept = part.stat().st_size if part.exists() else 0
        raise CourseError(
            f"could not download {url} ({type(error).__name__}); {kept} bytes are kept, "
            "and the next attempt continues from there."
        ) from error
