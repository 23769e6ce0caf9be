"""A file from the web, by HTTP, bounded, going on where it was cut off.

What has arrived is kept as KEY.part, and in KEY.json beside it what its server calls that content: its ETag, else its
date. It is gone on with only where the server says that the content is still that one (If-Range, RFC 9110 section
13.1.5), and begun anew otherwise. So no mixture of two contents comes of it, unless the server lies.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path
from typing import IO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from aurora.errors import AuroraError, DeadlineExceeded, HostError, InputError, NotFound, Refused, UsageError
from aurora.host.files import locked, write_atomic

__all__ = ["Arrived", "Progress", "fetched", "is_address"]

CONNECTIONS_MAX = 20
"""For one file in one command; each one after the first brought something."""
CHANGES_MAX = 2
"""How often it is begun anew, in one command, as what is there cannot be gone on with."""
PARTS_MAX = 4
"""Files that are kept for going on; the one that was left alone longest goes."""
SILENCE_MAX_SEC = 30.0
"""Without a byte from the server."""
SLOW_SEC = 60.0
SLOW_BYTES = 16 * 1024
"""What has to arrive within SLOW_SEC."""
CHUNK_BYTES = 64 * 1024
URL_MAX_CHARS = 2048
NOTE_MAX_BYTES = 8192
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_AGAIN = "the same command again, which goes on from there"


class Arrived(NamedTuple):
    """How far it is."""

    have_bytes: int
    total_bytes: int | None
    """None where the server does not say."""


type Progress = Callable[[Arrived], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Note:
    """What is known of the content that a part is of."""

    validator: str = ""
    """What If-Range can name it by; empty when nothing can."""
    total_bytes: int | None = None


class _Cut(Exception):
    """The connection ended before the file did."""


class _Changed(Exception):
    """What is there cannot be gone on with."""


def is_address(text: str) -> bool:
    """Whether it is to be fetched and is no file here."""
    return text.partition("://")[0].lower() in ("http", "https") and "://" in text


@contextmanager
def fetched(url: str, folder: Path, *, max_bytes: int, tell: Progress) -> Iterator[Path]:
    """The file at an address of http or https, in `folder`, which is ours alone; it is removed when the body ends.

    Certificates are verified, and nobody is led from https to http. What was cut off is gone on with, in this command
    as long as anything arrives and by the next one; at most `PARTS_MAX` such files are kept. `tell` is called as bytes
    come. UsageError when the address is none; NotFound, Refused or DeadlineExceeded as the server answers, InputError
    when it has more than `max_bytes` or answers what cannot be, HostError for all else.
    """
    _check_address(url)
    what = f"fetch {url}"
    with ExitStack() as holding:
        try:
            holding.enter_context(locked(folder / "lock", wait=False))
        except Refused as error:
            raise Refused(what, "another command is fetching", remedy="again when that is over") from error
        _bound(folder)
        one = _Download(url, what, folder, max_bytes, tell)
        one.run()
        try:
            yield one.part
        finally:
            one.forget()


def _check_address(url: str) -> None:
    why = ""
    try:
        parts = urlsplit(url)
        if not is_address(url) or not parts.hostname or (parts.port or 1) < 1:
            why = "it is no address of http or https"
        elif parts.username is not None:
            why = "it has a user's name in it, which would be shown and written down"
        elif len(url) > URL_MAX_CHARS or not url.isascii() or not url.isprintable() or " " in url:
            why = f"it has more than {URL_MAX_CHARS} characters, or others than an address may have"
    except ValueError as error:
        why = f"it is no address: {error}"
    if why:
        raise UsageError(f"fetch {url[:URL_MAX_CHARS]}", why, remedy="https://HOST/FILE.deb")


def _bound(folder: Path) -> None:
    """Make room for one more, and let go of what has lost its part."""
    parts = sorted(folder.glob("*.part"), key=lambda part: part.stat().st_mtime, reverse=True)
    for old in parts[PARTS_MAX - 1 :]:
        old.unlink(missing_ok=True)
    for note in folder.glob("*.json"):
        if not note.with_suffix(".part").exists():
            note.unlink(missing_ok=True)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # what it overrides
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise URLError("it leads from https to another address, which is not protected")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and nothing else: what urllib opens by itself are files and FTP as well."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "auroractl")]
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Download:
    """One file, as far as it has come."""

    def __init__(self, url: str, what: str, folder: Path, max_bytes: int, tell: Progress) -> None:
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        self.part = folder / f"{key}.part"
        self._note_file = folder / f"{key}.json"
        self._url, self._what, self._max_bytes, self._tell = url, what, max_bytes, tell
        self._came = False  # anything, by the connection that stands
        self._note = self._read_note()
        self._opener = _opener()

    def run(self) -> None:
        """To its end."""
        changes = 0
        for _ in range(CONNECTIONS_MAX):
            self._came = False
            try:
                self._connect(self._have())
            except _Changed:
                self.forget()
                changes += 1
                if changes > CHANGES_MAX:
                    raise HostError(self._what, "it changes while it is fetched", remedy="again later") from None
            except _Cut as cut:
                if not self._note.validator or not self._came:
                    raise self._cut_off(str(cut)) from cut
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._failure(error) from error
            else:
                return
        raise self._cut_off(f"{CONNECTIONS_MAX} times")

    def forget(self) -> None:
        """Remove what has arrived."""
        self.part.unlink(missing_ok=True)
        self._note_file.unlink(missing_ok=True)
        self._note = _Note()

    def _have(self) -> int:
        with suppress(FileNotFoundError):
            return self.part.stat().st_size
        return 0

    def _read_note(self) -> _Note:
        try:
            document = json.loads(self._note_file.read_bytes()[:NOTE_MAX_BYTES])
            note = _Note(validator=str(document["validator"]), total_bytes=document["total_bytes"])
        except (OSError, ValueError, TypeError, KeyError):
            return _Note()
        return note if isinstance(note.total_bytes, int | None) else _Note()

    def _connect(self, have_bytes: int) -> None:
        """One request, and all of its answer; _Cut or _Changed as it comes out."""
        request = urllib.request.Request(self._url, headers={"Accept-Encoding": "identity"})  # noqa: S310  # checked
        if have_bytes and self._note.validator:
            request.add_header("Range", f"bytes={have_bytes}-")
            request.add_header("If-Range", self._note.validator)
        else:
            have_bytes = 0
        try:
            with self._opener.open(request, timeout=SILENCE_MAX_SEC) as answer:
                self._take(answer, have_bytes)
        except HTTPError as error:
            with error:
                if error.code == 416:  # there is no more of it than we have, or less
                    raise _Changed from error
                raise self._refused(error) from error
        except (http.client.IncompleteRead, ConnectionError) as error:
            raise _Cut(_words(error)) from error

    def _take(self, answer: http.client.HTTPResponse, asked_from: int) -> None:
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise InputError(self._what, "its server packs it, though it was asked not to")
        start, total = self._place(answer, asked_from)
        if total is not None and total > self._max_bytes:
            raise InputError(self._what, f"it has {total} bytes, more than {self._max_bytes}")
        if start:
            note = replace(self._note, total_bytes=total)
        else:
            self.part.unlink(missing_ok=True)  # before the note is of another content
            note = _Note(validator=_validator(answer.headers), total_bytes=total)
        self._keep_note(note)
        with self.part.open("r+b" if start else "wb", buffering=0) as file:
            file.truncate(start)
            file.seek(start)
            have = self._copy(answer, file, start, total)
        if total is not None and have < total:
            raise _Cut(f"{have} of {total} bytes have arrived")

    def _place(self, answer: http.client.HTTPResponse, asked_from: int) -> tuple[int, int | None]:
        """Where in the file the answer's body begins, and how long the file is."""
        if answer.status == 206:
            match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            start, last, total = map(int, match.groups()) if match else (-1, 0, 0)
            if not asked_from or start != asked_from or last + 1 != total:
                raise InputError(self._what, "its server has sent another part than was asked for")
            same = _validator(answer.headers) in ("", self._note.validator)
            if not same or self._note.total_bytes not in (None, total):
                raise _Changed
            return start, total
        if answer.status != 200:
            raise InputError(self._what, f"its server has answered {answer.status}, which is no file")
        return 0, answer.length

    def _copy(self, answer: http.client.HTTPResponse, file: IO[bytes], have: int, total: int | None) -> int:
        since_sec, since_bytes = time.monotonic(), have
        self._tell(Arrived(have, total))
        while chunk := answer.read1(CHUNK_BYTES):
            have += len(chunk)
            self._came = True
            if have > self._max_bytes:
                self.forget()
                raise InputError(self._what, f"it has more than {self._max_bytes} bytes")
            self._write(file, chunk)
            self._tell(Arrived(have, total))
            now_sec = time.monotonic()
            if now_sec - since_sec > SLOW_SEC:
                if have - since_bytes < SLOW_BYTES:
                    raise TimeoutError
                since_sec, since_bytes = now_sec, have
        return have

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self.forget()  # others need the room
            raise HostError(self._what, os.strerror(error.errno or 0), where=str(self.part)) from error

    def _keep_note(self, note: _Note) -> None:
        if note.validator and note != self._note:
            document = {"url": self._url, "validator": note.validator, "total_bytes": note.total_bytes}
            write_atomic(self._note_file, json.dumps(document).encode(), durable=False)
        elif not note.validator:
            self._note_file.unlink(missing_ok=True)
        self._note = note

    # Words

    def _cut_off(self, why: str) -> HostError:
        if self._note.validator:
            return HostError(self._what, f"its connection was cut: {why}", remedy=_AGAIN)
        self.forget()  # nothing would tell whether it is still the same
        return HostError(self._what, f"its connection was cut: {why}", remedy="the same command again")

    def _refused(self, error: HTTPError) -> AuroraError:
        why = f"its server has answered {error.code} {error.reason}"
        if error.code in (404, 410):
            return NotFound(self._what, why)
        if error.code in (401, 403, 407, 451):
            return Refused(self._what, why)
        if error.code in (408, 425, 429) or error.code >= 500:
            return DeadlineExceeded(self._what, why, remedy="again later")
        return HostError(self._what, why)

    def _failure(self, error: Exception) -> AuroraError:
        reason = error.reason if isinstance(error, URLError) else error
        if isinstance(reason, TimeoutError):
            why = f"its server has sent nothing for {SILENCE_MAX_SEC:g} s, or next to nothing for {SLOW_SEC:g} s"
            return DeadlineExceeded(self._what, why, remedy=_AGAIN)
        if isinstance(reason, ssl.SSLCertVerificationError):
            remedy = "this machine's clock, or a certificate of whom it trusts (/etc/ssl/certs)"
            return HostError(self._what, f"its certificate is not good: {reason.verify_message}", remedy=remedy)
        if isinstance(reason, socket.gaierror):
            return HostError(self._what, f"its name is not known: {reason.strerror}", remedy="this machine's network")
        return HostError(self._what, _words(reason))


def _words(reason: object) -> str:
    if isinstance(reason, http.client.IncompleteRead):
        return "it ended in the middle"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _validator(headers: Message) -> str:
    """What If-Range can name the content by: a strong ETag, or its date where it has none."""
    etag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
    found = date if not etag or etag.startswith("W/") else etag
    return found if len(found) <= 512 and found.isascii() and found.isprintable() else ""
