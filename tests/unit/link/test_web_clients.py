"""A page in a headless Chromium, and a Node program, with the WebSocket that each of them has.

The hub is on a real TCP socket, and asks the owner's core.toml about the page. Who comes by that socket is not asked of
the kernel here, as nothing in the build tree is a unit: that is tests/vm/test_link_websocket.py's.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aurora.link.framing import Framing
from aurora.link.origins import origins
from aurora.link.websocket import WebSocket
from aurora.paths import Paths

from .served import DEADLINE_SEC, Served, Wire
from .talking import ROOT, module

CHROMIUM = "chromium-headless-shell"
NODE = "node"
SCRIPT = (Path(__file__).parent / "web_client.js").read_text()
# The picture comes once the script is done, and not before that the page counts as loaded, and its text is taken.
PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>A panel</title>
<pre id="told"></pre><img src="/when-done" alt="">
<script>%s
const told = document.getElementById("told");
talk("ws://127.0.0.1:%d/", (word) => { told.textContent += word + "\\n"; }, () => fetch("/done"));
</script>
"""
RUN_SEC = 60.0


class Owned(Served):
    """The hub of a machine whose owner has a core.toml, if any."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, module("panel"), ROOT)
        self.paths = Paths(root=place / "machine")
        self.paths.owner.mkdir(parents=True)

    def _websocket(self) -> Framing:
        return WebSocket(self._bounds.message_max_bytes, lambda: origins(self.paths))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Owned]:
    with Owned(tmp_path) as hub:
        yield hub


@contextmanager
def pages(text: str) -> Iterator[int]:
    """The port where the page is served."""
    done = threading.Event()

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/done":
                done.set()
            elif self.path == "/when-done":
                done.wait(DEADLINE_SEC)
            body = text.encode() if self.path == "/" else b""
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def shown(url: str) -> list[str]:
    """The lines that the page shows in the end."""
    # No sandbox, as it is root's here, and what it is shown is ours.
    command = [CHROMIUM, "--no-sandbox", "--disable-gpu", "--dump-dom", url]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=RUN_SEC).stdout
    return html.unescape(dom.partition('<pre id="told">')[2].partition("</pre>")[0]).splitlines()


def answer(reader: Wire) -> threading.Thread:
    """Once it has published, tell it something; what it publishes is looked at."""

    def answered() -> None:
        came = reader.until(lambda one: one.get("topic") == "site/page")[-1]
        right = came["data"] == {"text": "Ä ☃ 😀", "big": "x" * 70_000} and came["from"] == "panel"
        reader.say({"topic": "lamp/kitchen", "data": ["on", "Ä ☃ 😀"] if right else came})

    thread = threading.Thread(target=answered)
    thread.start()
    return thread


TOLD = ["hello panel", 'pub lamp/kitchen user:root ["on","Ä ☃ 😀"]', "closed 1000 true"]


def reader_of(hub: Owned) -> Wire:
    """A client by the unix socket that has subscribed what is published. The first who comes is the module."""
    hub._peers.reverse()
    return hub.client({"type": "sub", "topic": "site/#", "queue_bytes": 200_000})


@pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason="the build tree has a Chromium")
def test_a_page_in_a_browser_whose_origin_the_owner_lists_subscribes_and_publishes(hub: Owned) -> None:
    reader = reader_of(hub)
    thread = answer(reader)
    with pages(PAGE % (SCRIPT, hub.port)) as port:
        hub.paths.owner_core.write_text(f'[link]\norigins = ["http://127.0.0.1:{port}"]\n')
        assert shown(f"http://127.0.0.1:{port}/") == TOLD
    thread.join(DEADLINE_SEC)
    reader.close()
    hub.wait_for_clients(0)


@pytest.mark.skipif(shutil.which(CHROMIUM) is None, reason="the build tree has a Chromium")
@pytest.mark.parametrize("listed", [False, True])
def test_a_page_in_a_browser_whose_origin_is_not_listed_is_refused(hub: Owned, listed: bool) -> None:
    with pages(PAGE % (SCRIPT, hub.port)) as port:
        if listed:  # another name of the same page is another origin
            hub.paths.owner_core.write_text(f'[link]\norigins = ["http://127.0.0.1:{port}"]\n')
        assert shown(f"http://localhost:{port}/") == ["error", "closed 1006 false"]
    assert hub.ask(hub.server.router.counts)["denied"] == 1
    hub.wait_for_clients(0)


@pytest.mark.skipif(shutil.which(NODE) is None, reason="the build tree has Node")
def test_a_node_program_subscribes_and_publishes_and_needs_no_origin(hub: Owned) -> None:
    reader = reader_of(hub)
    thread = answer(reader)
    script = f'{SCRIPT}\ntalk("ws://127.0.0.1:{hub.port}/", console.log, () => {{}});\n'
    # Debian's Node has WebSocket, and wants to be asked for it.
    command = [NODE, "--experimental-websocket", "-"]
    told = subprocess.run(command, input=script, capture_output=True, text=True, check=True, timeout=RUN_SEC)
    assert told.stdout.splitlines() == TOLD
    thread.join(DEADLINE_SEC)
    reader.close()
    hub.wait_for_clients(0)
