"""A file from a server that does all that servers do: what arrives is whole, and nothing else is taken for it."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aurora.errors import AuroraError, DeadlineExceeded, HostError, InputError, NotFound, Refused, UsageError
from aurora.host import download
from aurora.host.download import Arrived, fetched, is_address
from aurora.host.files import locked

FILE = bytes(range(256)) * 1000
OTHER = b"other" * 40_000
MAX_BYTES = 1 << 20
type Answer = bytes | Callable[[socket.socket], None]


def answer(
    body: bytes = FILE, *, etag: str = '"one"', status: str = "200 OK", length: int | None = -1, more: str = ""
) -> bytes:
    """The bytes of an answer; its length is told as -1: it is, None: not, else so."""
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"ETag: {etag}"] if etag else []
    lines += [] if length is None else [f"Content-Length: {len(body) if length == -1 else length}"]
    return ("\r\n".join([*lines, *more.splitlines()]) + "\r\n\r\n").encode() + body


def rest(start: int, *, body: bytes = FILE, etag: str = '"one"', shown: str = "") -> bytes:
    """What is answered to who has `start` bytes."""
    shown = shown or f"bytes {start}-{len(body) - 1}/{len(body)}"
    return answer(body[start:], etag=etag, status="206 Partial Content", more=f"Content-Range: {shown}")


def cut(at: int, *, etag: str = '"one"', more: str = "") -> bytes:
    """The first `at` bytes of the file, and then the connection ends."""
    return answer(FILE[:at], etag=etag, length=len(FILE), more=more)


class Server:
    """Gives each connection the next answer; keeps what was asked."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self.over = threading.Event()
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http{'s' * bool(context)}://127.0.0.1:{self.port}/hello.deb"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            line, _ = self._socket.accept()
            with line:
                if self.over.is_set():
                    return
                try:
                    plain = self._context.wrap_socket(line, server_side=True) if self._context else line
                    self._answer(plain)
                    plain.close()
                except OSError:
                    continue  # who asked has gone

    def _answer(self, line: socket.socket) -> None:
        said = b""
        while b"\r\n\r\n" not in said:
            said += line.recv(65536)
        lines = said.decode().split("\r\n")
        self.asked.append({name.lower(): value for name, _, value in (one.partition(": ") for one in lines)})
        given = self.answers.pop(0)
        if callable(given):
            given(line)
        else:
            line.sendall(given)

    def close(self) -> None:
        self.over.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file, which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem) + private)
    return file


@pytest.fixture
def tls(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    one = Server(context)
    yield one
    one.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache/downloads"


def fetch(url: str, folder: Path, told: list[Arrived] | None = None) -> bytes:
    with fetched(url, folder, max_bytes=MAX_BYTES, tell=(told if told is not None else []).append) as file:
        return file.read_bytes()


def kept(folder: Path) -> list[bytes]:
    """What is there to go on with."""
    return [part.read_bytes() for part in folder.glob("*.part")]


def failure(url: str, folder: Path, kind: type[AuroraError]) -> str:
    with pytest.raises(AuroraError) as caught:
        fetch(url, folder)
    assert type(caught.value) is kind
    (problem,) = caught.value.problems
    assert problem.what == f"fetch {url}"
    return str(problem)


def test_a_file_is_there_while_it_is_used_and_is_told_of(server: Server, folder: Path) -> None:
    server.answers = [answer()]
    told: list[Arrived] = []
    assert fetch(server.url, folder, told) == FILE
    assert (told[0], told[-1]) == (Arrived(0, len(FILE)), Arrived(len(FILE), len(FILE)))
    assert [one.name for one in folder.iterdir()] == ["lock"]
    assert (server.asked[0]["accept-encoding"], "range" in server.asked[0]) == ("identity", False)


@pytest.mark.parametrize("more", ["", "Transfer-Encoding: chunked"], ids=["by its end", "in chunks"])
def test_one_whose_length_nobody_tells(server: Server, folder: Path, more: str) -> None:
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(FILE), FILE) if more else FILE
    server.answers = [answer(body, length=None, more=more)]
    assert fetch(server.url, folder) == FILE


def test_what_was_cut_off_is_gone_on_with_from_there(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), rest(1000)[:-5000], rest(len(FILE) - 5000)]
    told: list[Arrived] = []
    assert fetch(server.url, folder, told) == FILE
    assert [one.get("range") for one in server.asked] == [None, "bytes=1000-", f"bytes={len(FILE) - 5000}-"]
    assert {one.get("if-range") for one in server.asked[1:]} == {'"one"'}
    assert [one.have_bytes for one in told] == sorted(one.have_bytes for one in told)


def test_by_the_next_command_as_well(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), b""]
    said = failure(server.url, folder, HostError)
    assert "its connection was cut" in said
    assert "goes on from there" in said
    assert kept(folder) == [FILE[:1000]]
    server.answers = [rest(1000)]
    assert fetch(server.url, folder) == FILE
    assert (server.asked[-1]["range"], server.asked[-1]["if-range"]) == ("bytes=1000-", '"one"')


def test_in_chunks_as_well(server: Server, folder: Path) -> None:
    whole = b"%x\r\n%b" % (len(FILE), FILE[:3000])
    server.answers = [answer(whole, length=None, more="Transfer-Encoding: chunked"), rest(3000)]
    assert fetch(server.url, folder) == FILE


def test_content_that_was_changed_meanwhile_comes_whole(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), answer(OTHER, etag='"two"')]
    assert fetch(server.url, folder) == OTHER
    server.answers = [cut(1000), b""]
    failure(server.url, folder, HostError)
    server.answers = [answer(OTHER, etag='"two"')[:-10], rest(len(OTHER) - 10, body=OTHER, etag='"two"')]
    assert fetch(server.url, folder) == OTHER, "and that is gone on with by its own name"
    assert server.asked[-1]["if-range"] == '"two"'


@pytest.mark.parametrize(
    "lie",
    [
        rest(1000, etag='"two"'),
        rest(1000, body=FILE + b"more"),
        answer(b"", etag="", status="416 Range Not Satisfiable"),
    ],
    ids=["another name", "another length", "there is no more of it"],
)
def test_what_cannot_be_gone_on_with_is_begun_anew(server: Server, folder: Path, lie: bytes) -> None:
    server.answers = [cut(1000), lie, answer(OTHER, etag='"two"')]
    assert fetch(server.url, folder) == OTHER
    assert "range" not in server.asked[-1]


def test_but_not_for_ever(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), *[rest(1000, etag='"two"'), cut(1000)] * 3]
    assert "it changes while it is fetched" in failure(server.url, folder, HostError)


@pytest.mark.parametrize(
    "shown",
    ["bytes 999-255999/256000", "bytes 1000-2000/256000", "bytes 1000-/256000", "bytes 1000-255999/*", "nonsense"],
)
def test_another_part_than_was_asked_for_is_refused(server: Server, folder: Path, shown: str) -> None:
    server.answers = [cut(1000), rest(1000, shown=shown)]
    assert "another part" in failure(server.url, folder, InputError)


def test_a_part_that_nobody_asked_for_is_refused(server: Server, folder: Path) -> None:
    server.answers = [rest(0)]
    assert "another part" in failure(server.url, folder, InputError)


def test_where_nothing_names_the_content_it_is_not_gone_on_with(server: Server, folder: Path) -> None:
    server.answers = [cut(1000, etag="")]
    said = failure(server.url, folder, HostError)
    assert "goes on from there" not in said
    assert kept(folder) == []


def test_a_weak_name_is_none_and_a_date_is_one(server: Server, folder: Path) -> None:
    date = "Tue, 03 Mar 2026 10:00:00 GMT"
    server.answers = [cut(1000, etag='W/"one"', more=f"Last-Modified: {date}"), rest(1000, etag="")]
    assert fetch(server.url, folder) == FILE
    assert server.asked[-1]["if-range"] == date


def test_a_file_that_is_cut_again_and_again_is_given_up(server: Server, folder: Path) -> None:
    server.answers = [cut(1), *[rest(have)[: -(len(FILE) - have - 1)] for have in range(1, 30)]]
    assert f"{download.CONNECTIONS_MAX} times" in failure(server.url, folder, HostError)
    assert len(server.asked) == download.CONNECTIONS_MAX
    assert kept(folder) == [FILE[: download.CONNECTIONS_MAX]]


def test_a_body_without_end_is_refused_at_the_bound(server: Server, folder: Path) -> None:
    sent: list[int] = []

    def endless(line: socket.socket) -> None:
        line.sendall(answer(b"", length=None))
        while not server.over.is_set():
            sent.append(line.send(bytes(65536)))

    server.answers = [endless]
    assert f"more than {MAX_BYTES} bytes" in failure(server.url, folder, InputError)
    assert kept(folder) == []


def test_one_that_says_to_be_too_long_is_not_begun(server: Server, folder: Path) -> None:
    server.answers = [answer(FILE, length=MAX_BYTES + 1)]
    assert f"it has {MAX_BYTES + 1} bytes" in failure(server.url, folder, InputError)
    assert kept(folder) == []


def test_what_comes_after_the_end_is_not_taken(server: Server, folder: Path) -> None:
    server.answers = [answer(FILE + b"more", length=len(FILE))]
    assert fetch(server.url, folder) == FILE


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", NotFound),
        ("410 Gone", NotFound),
        ("403 Forbidden", Refused),
        ("503 Service Unavailable", DeadlineExceeded),
        ("429 Too Many Requests", DeadlineExceeded),
        ("400 Bad Request", HostError),
    ],
)
def test_what_its_server_says_instead_is_told(
    server: Server, folder: Path, status: str, kind: type[AuroraError]
) -> None:
    server.answers = [answer(b"<html>", status=status)]
    assert f"its server has answered {status}" in failure(server.url, folder, kind)


def test_an_answer_that_is_no_file_is_refused(server: Server, folder: Path) -> None:
    server.answers = [answer(b"", status="204 No Content", length=None)]
    assert "204" in failure(server.url, folder, InputError)


def test_a_failure_in_between_loses_nothing(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), answer(b"", status="503 Service Unavailable")]
    failure(server.url, folder, DeadlineExceeded)
    assert kept(folder) == [FILE[:1000]]


def test_what_was_packed_on_the_way_is_refused(server: Server, folder: Path) -> None:
    server.answers = [answer(more="Content-Encoding: gzip")]
    assert "packs it" in failure(server.url, folder, InputError)


@pytest.mark.parametrize(
    "nonsense", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_what_is_no_answer_is_told(server: Server, folder: Path, nonsense: bytes) -> None:
    server.answers = [nonsense]
    failure(server.url, folder, HostError)


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["silence", "a byte now and then"])
def test_a_server_that_does_not_get_on_is_left(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    monkeypatch.setattr(download, "SILENCE_MAX_SEC", 0.3)
    monkeypatch.setattr(download, "SLOW_SEC", 0.2)
    gone = threading.Event()

    def stall(line: socket.socket) -> None:
        line.sendall(cut(1000))
        while drip and not gone.wait(0.01):
            line.sendall(drip)
        gone.wait(20)

    server.answers = [stall]
    said = failure(server.url, folder, DeadlineExceeded)
    gone.set()
    assert "goes on from there" in said
    assert kept(folder)[0].startswith(FILE[:1000])


def test_a_server_that_is_not_there_is_told(folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    assert "refused" in failure(f"http://127.0.0.1:{port}/x.deb", folder, HostError)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "its name is not known" in failure("http://nowhere.invalid/x.deb", folder, HostError)


def test_a_certificate_that_nobody_vouches_for_is_refused(tls: Server, folder: Path) -> None:
    tls.answers = [answer()]
    assert "its certificate is not good" in failure(tls.url, folder, HostError)
    assert tls.asked == []


def test_one_that_is_trusted_is_not(
    tls: Server, folder: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls.answers = [answer()]
    assert fetch(tls.url, folder) == FILE


def test_it_goes_where_its_server_sends_it_but_never_out_of_protection(
    server: Server, tls: Server, folder: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server.answers = [answer(b"", status="302 Found", more=f"Location: {tls.url}")]
    tls.answers = [answer()]
    assert fetch(server.url, folder) == FILE
    tls.answers = [answer(b"", status="302 Found", more=f"Location: {server.url}")]
    assert "not protected" in failure(tls.url, folder, HostError)
    assert len(server.asked) == 1


def test_nor_to_files_nor_round_and_round(server: Server, folder: Path) -> None:
    server.answers = [answer(b"", status="302 Found", more="Location: file:///etc/shadow")]
    failure(server.url, folder, HostError)
    server.answers = [answer(b"", status="302 Found", more=f"Location: {server.url}")] * 20
    failure(server.url, folder, HostError)
    assert len(server.asked) < 20


@pytest.mark.parametrize(
    "url",
    ["http://", "https:///x.deb", "http://a b/x.deb", "http://me:word@host/x.deb", "http://host:x/y", "http://[::1/x",
     "http://host/\x1b[2J", "http://h/" + "x" * 3000, "http://höst/x.deb"],
)  # fmt: skip
def test_what_is_no_address_is_refused_unasked(folder: Path, url: str) -> None:
    with pytest.raises(UsageError):
        fetch(url, folder)
    assert not folder.exists()


def test_addresses_are_told_from_files() -> None:
    assert is_address("https://host/x.deb")
    assert is_address("HTTP://host/x.deb")
    assert not any(map(is_address, ("./x.deb", "http", "http/x.deb", "ftp://host/x.deb", "a/http://x.deb")))


def test_two_commands_do_not_write_one_file(server: Server, folder: Path) -> None:
    folder.mkdir(parents=True)
    with locked(folder / "lock"):
        assert "another command is fetching" in failure(server.url, folder, Refused)


def test_few_parts_are_kept(server: Server, folder: Path) -> None:
    for number in range(6):
        server.answers = [cut(1000 + number), b""]
        failure(f"{server.url}?{number}", folder, HostError)
    assert {len(one) for one in kept(folder)} == {1002, 1003, 1004, 1005}
    server.answers = [answer()]
    fetch(server.url, folder)
    assert len(list(folder.glob("*.json"))) == len(kept(folder)) <= download.PARTS_MAX


def test_on_a_full_disk_what_has_arrived_makes_room(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [cut(1000), rest(1000)]
    given = download._Download._write

    def full(self: download._Download, file: object, chunk: bytes) -> None:
        if self.part.stat().st_size < 1000:
            return given(self, file, chunk)  # type: ignore[arg-type]  # what it is given
        with Path("/dev/full").open("wb", buffering=0) as full_disk:
            return given(self, full_disk, chunk)

    monkeypatch.setattr(download._Download, "_write", full)
    assert "No space left" in failure(server.url, folder, HostError)
    assert kept(folder) == []


def test_a_note_that_is_damaged_is_none(server: Server, folder: Path) -> None:
    server.answers = [cut(1000), b""]
    failure(server.url, folder, HostError)
    (note,) = folder.glob("*.json")
    for damage in (b"", b"[]", b'{"validator": "\\"one\\"", "total_bytes": "x"}'):
        note.write_bytes(damage)
        server.answers = [cut(1000), b""]
        failure(server.url, folder, HostError)
        assert "range" not in server.asked[-2]
