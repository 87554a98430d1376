"""Downloads, from a server of this machine: the published bytes or nothing."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from gradtape.datasets import _download, _files
from gradtape.datasets._files import Published, Source


class Server:
    """Answers of a local web server by path: a status, headers and a body."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        answers = self.answers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"


CONTENT = np.random.default_rng(5).bytes(100_000)
FILE = Published("file.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server, strict = Server(), _download.require_https

    def require(url: str) -> None:
        if not url.startswith(server.url):
            strict(url)

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(_download, "require_https", require)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def test_a_set_is_completed_in_the_cache_from_the_first_mirror_that_serves(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADTAPE_DATA", str(tmp_path))
    other = Published("other.gz", 3, hashlib.sha256(b"abc").hexdigest())
    source = Source("set", "Set", (FILE, other), (f"{server.url}gone/", f"{server.url}good/"))
    server.answers["/good/file.gz"] = (200, {}, CONTENT)
    server.answers["/good/other.gz"] = (200, {}, b"abc")

    def held(place: Path) -> list[Path] | None:
        files = [place / file.name for file in source.files]
        return files if all(file.is_file() for file in files) else None

    files = _files.find(source, held)
    assert files == [tmp_path / "set" / "file.gz", tmp_path / "set" / "other.gz"]
    assert [file.read_bytes() for file in files] == [CONTENT, b"abc"]
    assert sorted((tmp_path / "set").iterdir()) == files
    server.answers.clear()
    assert _files.find(source, held) == files


def test_only_missing_files_are_downloaded(tmp_path: Path, server: Server) -> None:
    (tmp_path / FILE.name).write_bytes(b"mine")
    other = Published("other.gz", 3, hashlib.sha256(b"abc").hexdigest())
    server.answers["/other.gz"] = (200, {}, b"abc")
    source = Source("set", "Set", (FILE, other), (server.url,))
    assert _download.download_missing(source, tmp_path) == []
    assert (tmp_path / FILE.name).read_bytes() == b"mine"
    assert (tmp_path / "other.gz").read_bytes() == b"abc"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {}, CONTENT[::-1]), f"expected SHA-256 {FILE.sha256}, received [0-9a-f]{{64}}"),
        ((200, {}, CONTENT + b"\0"), "expected 100000 bytes, received more"),
        ((200, {}, CONTENT[:-1]), "expected 100000 bytes, received 99999"),
        ((404, {}, b""), "404"),
        ((302, {"Location": "http://127.0.0.1:9/file.gz"}, b""), "expected an https:// address"),
        ((302, {"Location": "file:///etc/hostname"}, b""), "is not allowed"),
    ],
    ids=["digest", "too long", "truncated", "missing", "redirect to http", "redirect to a file"],
)
def test_a_wrong_download_is_refused_and_leaves_nothing(
    tmp_path: Path, server: Server, answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    server.answers["/file.gz"] = answer
    (tmp_path / "new").mkdir()
    with pytest.raises((ValueError, OSError), match=message):
        _download.download(f"{server.url}file.gz", FILE, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
    failures = _download.download_missing(Source("set", "Set", (FILE,), (server.url,)), tmp_path)
    assert len(failures) == 1
    assert re.search(message, failures[0])
    assert failures[0].startswith(f"{server.url}file.gz: ")


def test_an_endless_download_stops_at_the_published_size(tmp_path: Path, server: Server) -> None:
    server.answers["/file.gz"] = (200, {"Content-Length": str(10**15)}, CONTENT * 20)
    with pytest.raises(ValueError, match="received more"):
        _download.download(f"{server.url}file.gz", FILE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(response: object, out: IO[bytes], file: Published) -> str:
        out.write(b"some")
        raise KeyboardInterrupt

    server.answers["/file.gz"] = (200, {}, CONTENT)
    monkeypatch.setattr(_download, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _download.download(f"{server.url}file.gz", FILE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_concurrent_downloads_do_not_clash(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers["/file.gz"] = (200, {}, CONTENT)
    source = Source("set", "Set", (FILE,), (server.url,))
    failures: list[str] = []
    together, copy = threading.Barrier(4, timeout=10), _download._copy

    def copy_together(response: IO[bytes], out: IO[bytes], file: Published) -> str:
        together.wait()
        return copy(response, out, file)

    def run() -> None:
        failures.extend(_download.download_missing(source, tmp_path))

    monkeypatch.setattr(_download, "_copy", copy_together)
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [CONTENT]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "ftp://127.0.0.1:9/", "file:///etc/"])
def test_only_https_is_downloaded(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="expected an https:// address"):
        _download.download(f"{url}file.gz", FILE, tmp_path)
