"""Downloads over connections that break, from servers that answer in every way they can."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from support import refused

from helpers.base.download import download, sha256
from helpers.base.paths import ROOT

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Paths: /ranges, /no-ranges, /breaks (once, half way), /missing, /hangs."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str | None]] = []  # noqa: RUF012 - emptied by the fixture

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.seen.append((self.path, wanted))
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.path == "/hangs":
            threading.Event().wait(1)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if self.path == "/no-ranges":
            start = 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        breaks = self.path == "/breaks" and len(self.seen) == 1
        self.wfile.write(body[: len(body) // 2] if breaks else body)
        self.close_connection = breaks

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    Handler.seen.clear()
    return tmp_path / "new folder" / "file.bin"


def part(target: Path) -> Path:
    return target.with_name("file.bin.part")


def test_whole(address: str, target: Path) -> None:
    download(f"{address}/ranges", target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert Handler.seen == [("/ranges", None)]
    assert sha256(target) == DIGEST


def test_resumed_after_a_broken_connection(address: str, target: Path) -> None:
    with refused(f"could not download {address}/breaks"):
        download(f"{address}/breaks", target, DIGEST)
    assert not target.exists()
    kept = part(target).read_bytes()
    assert CONTENT.startswith(kept)
    assert len(kept) > 80_000
    download(f"{address}/breaks", target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert Handler.seen[1:] == [("/breaks", f"bytes={len(kept)}-")]
    assert not part(target).exists()


def test_server_without_ranges_starts_again(address: str, target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:1000])
    download(f"{address}/no-ranges", target, DIGEST[:8])
    assert target.read_bytes() == CONTENT


def test_almost_or_quite_complete_part(address: str, target: Path) -> None:
    target.parent.mkdir()
    for have in (len(CONTENT), len(CONTENT) - 1):
        part(target).write_bytes(CONTENT[:have])
        download(f"{address}/ranges", target, DIGEST)
        assert target.read_bytes() == CONTENT
        target.unlink()


@pytest.mark.parametrize(
    "kept",
    [b"", b"x" * 1000, CONTENT + b"more"],
    ids=["another file at the address", "damaged part", "part too long"],
)
def test_wrong_content_is_thrown_away(address: str, target: Path, kept: bytes) -> None:
    target.parent.mkdir()
    target.write_bytes(b"what was there before")
    if kept:
        part(target).write_bytes(kept)
    with refused("it was deleted"):
        download(f"{address}/ranges", target, DIGEST if kept else "0123")
    assert target.read_bytes() == b"what was there before"
    assert not part(target).exists()


def test_no_such_file(address: str, target: Path) -> None:
    with refused("(HTTPError); 0 bytes are kept"):
        download(f"{address}/missing", target, DIGEST)
    assert not list(target.parent.iterdir())


def test_failure_keeps_the_part(address: str, target: Path) -> None:
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:1000])
    with refused("1000 bytes are kept"):
        download(f"{address}/missing", target, DIGEST)
    assert part(target).read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:9/file", "ConnectionError"),
        ("http://no-such-host.invalid/file", "ConnectionError"),
        ("{}/hangs", "ReadTimeout"),
    ],
)
def test_dead_host(address: str, target: Path, url: str, error: str) -> None:
    with refused(f"({error}); 0 bytes are kept"):
        download(url.format(address), target, DIGEST, timeout=0.3)
    assert not list(target.parent.iterdir())


def test_what_stands_in_the_way(address: str, target: Path) -> None:
    """Said before anything is fetched."""
    target.mkdir(parents=True)
    with refused(f"a folder stands where the file {target} should be; move it away"):
        download(f"{address}/ranges", target, DIGEST)
    file = target / "file"
    file.touch()
    with refused(f"the file {file} stands where a folder should be; move it away"):
        download(f"{address}/ranges", file / "below", DIGEST)
    assert Handler.seen == []


FULL = """
import pathlib, resource, sys
from helpers.base.download import download
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
download(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that is not there")
def test_full_disk_loses_nothing(address: str, target: Path) -> None:
    command = [sys.executable, "-c", FULL, f"{address}/ranges", str(target), DIGEST]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = process.stderr.splitlines()[-1]
    assert f"CourseError: there is no room left in {target.parent}; free some or use" in last
    assert [path.name for path in target.parent.iterdir()] == ["file.bin.part"]
    kept = part(target).stat().st_size
    assert kept > 0
    download(f"{address}/ranges", target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert Handler.seen[-1] == ("/ranges", f"bytes={kept}-")
