# SPDX-License-Identifier: Apache-2.0
"""The built UI: a fixed set of files, read into memory, so that no address can name anything else."""

from __future__ import annotations

import gzip
import mimetypes
import threading
from pathlib import Path

import msgspec
from starlette.responses import HTMLResponse, Response

STATIC = Path(__file__).with_name("static")
IMMUTABLE = "public, max-age=31536000, immutable"
GZIP_FROM = 600
"""Smaller files gain nothing from it."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title}</h1><p>{text}</p><p><a href="/">Closed Circuit</a></p></html>
"""


class Page(msgspec.Struct, frozen=True):
    """One file of the UI."""

    body: bytes
    zipped: bytes | None
    media_type: str
    cache: str


class StaticPages:
    """The files by address. Safe from any thread (`_lock`).

    Reads them again when a build changed `index.html` or the set of assets: one that was read half-built is not kept.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._pages: dict[str, Page] = {}

    def answer(self, path: str, *, accepts_gzip: bool) -> Response:
        """Return the answer to GET of an address outside `/api`. May read the disk."""
        page = self._find(path)
        if page is None:
            return self._missing(path)
        headers = {"cache-control": page.cache, "vary": "accept-encoding"}
        if page.zipped is not None and accepts_gzip:
            return Response(page.zipped, 200, {**headers, "content-encoding": "gzip"}, page.media_type)
        return Response(page.body, 200, headers, page.media_type)

    def _find(self, path: str) -> Page | None:
        stamp = tuple(_changed(self._folder / name) for name in ("index.html", "assets"))
        with self._lock:
            if stamp != self._stamp:
                self._pages, self._stamp = _read(self._folder), stamp
            return self._pages.get("/index.html" if path == "/" else path)

    def _missing(self, path: str) -> Response:
        if path == "/" and not self._pages:
            text = "The pages are not built into this installation. In a checkout, ./dev run builds them."
            return HTMLResponse(_PAGE.format(title="No pages here", text=text), 503)
        return HTMLResponse(_PAGE.format(title="There is no such page", text="Perhaps the address is mistyped."), 404)


def _changed(path: Path) -> int:
    """When a file was written, or a folder's names changed; 0 without one."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _read(folder: Path) -> dict[str, Page]:
    pages: dict[str, Page] = {}
    for path in sorted(folder.rglob("*")):
        name = "/" + path.relative_to(folder).as_posix()
        if not path.is_file() or path.is_symlink() or "/." in name:
            continue
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            continue  # a build is going on; the folder changes, and is read again
        kind = _media_type(path)
        text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml"}
        pages[name] = Page(
            body=body,
            zipped=gzip.compress(body, 9, mtime=0) if text and len(body) >= GZIP_FROM else None,
            media_type=f"{kind}; charset=utf-8" if text else kind,
            cache=IMMUTABLE if name.startswith("/assets/") else "no-store",
        )
    return pages


def _media_type(path: Path) -> str:
    if path.suffix in {".js", ".mjs"}:
        return "text/javascript"
    if path.suffix == ".webmanifest":
        return "application/manifest+json"
    return mimetypes.guess_type(path.name, strict=True)[0] or "application/octet-stream"
