"""Download a published file: over https, its exact bytes or nothing, and never half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import IO, Any

from ._files import Published, Source

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 18


def download_missing(source: Source, folder: Path) -> list[str]:
    """Download the files ``folder`` lacks of ``source``, each from the first mirror that serves it.

    Returns:
        Why each attempt failed, one line per URL. Stops at the first file that no mirror serves.
    """
    failures: list[str] = []
    for file in source.files:
        if (folder / file.name).is_file():
            continue
        if not any(_tried(mirror + file.name, file, folder, failures) for mirror in source.mirrors):
            break
    return failures


def download(url: str, file: Published, folder: Path) -> None:
    """Download ``url`` to ``folder`` under the name of ``file``.

    The bytes go to a temporary file of this call alone, which takes the final name, in one step,
    only once size and SHA-256 are right. It is removed whatever happens.

    Raises:
        ValueError: the URL is not https, or what arrived is not the published file.
        OSError: the network or the disk failed.
    """
    partial = folder / f".{file.name}.{secrets.token_hex(8)}.part"
    try:
        with _open(url) as response:
            folder.mkdir(parents=True, exist_ok=True)
            with open(partial, "xb") as out:
                received = _copy(response, out, file)
        if received != file.sha256:
            raise ValueError(f"expected SHA-256 {file.sha256}, received {received}")
        os.replace(partial, folder / file.name)
    finally:
        partial.unlink(missing_ok=True)


def require_https(url: str) -> None:
    """Refuse any URL whose traffic could be read or changed on the way."""
    if not url.lower().startswith("https://"):
        raise ValueError(f"expected an https:// address, received {url}")


def _tried(url: str, file: Published, folder: Path, failures: list[str]) -> bool:
    from http.client import HTTPException

    try:
        download(url, file, folder)
    except (OSError, ValueError, HTTPException) as error:
        failures.append(f"{url}: {error or type(error).__name__}")
        return False
    return True


def _open(url: str) -> Any:
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class HttpsRedirects(HTTPRedirectHandler):
        def redirect_request(
            self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
        ) -> Request | None:
            require_https(newurl)
            return super().redirect_request(req, fp, code, msg, headers, newurl)

    require_https(url)
    request = Request(url, headers={"User-Agent": "gradtape"})
    return build_opener(HttpsRedirects).open(request, timeout=_TIMEOUT)


def _copy(response: IO[bytes], out: IO[bytes], file: Published) -> str:
    """Copy at most the published size, and return the SHA-256 of what was copied."""
    import hashlib

    from tqdm.auto import tqdm

    digest, size = hashlib.sha256(), 0
    # disable=None shows the bar on a terminal only.
    with tqdm(total=file.size, unit="B", unit_scale=True, desc=file.name, disable=None) as bar:
        while chunk := response.read(_CHUNK):
            size += len(chunk)
            if size > file.size:
                raise ValueError(f"expected {file.size} bytes, received more")
            out.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    if size < file.size:
        raise ValueError(f"expected {file.size} bytes, received {size}")
    return digest.hexdigest()
