"""The web page runs in Node here, with as much of a document as it uses: what a browser adds is not looked at."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from time import monotonic
from typing import Any

HERE = Path(__file__).resolve().parent
DEADLINE_SEC = 30.0

# What page.mjs uses of a browser; `elements` are those of page.html, by id. Lines on stdin are numbers to tell.
BROWSER = """
import { createInterface } from "node:readline";

class Element {
  children = [];
  listeners = {};
  constructor({ text = "", value = "" } = {}) { this.textContent = text; this.value = value; }
  get firstChild() { return this.children[0]; }
  append(child) { this.children.push(child); child.parent = this; console.log(child.textContent); }
  remove() { this.parent.children.splice(this.parent.children.indexOf(this), 1); }
  addEventListener(name, listener) { this.listeners[name] = listener; }
}
const elements = Object.fromEntries(Object.entries(ELEMENTS).map(([id, one]) => [id, new Element(one)]));
globalThis.document = { getElementById: (id) => elements[id], createElement: () => new Element() };
await import("./page.mjs");
for await (const line of createInterface({ input: process.stdin })) {
  elements.number.value = line;
  elements.start.listeners.submit({ preventDefault() {} });
}
"""


class Page(HTMLParser):
    """The elements of a page that have an id, with their text and value, and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: dict[str, dict[str, str]] = {}
        self.scripts: list[dict[str, str | None]] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._open = found.get("id") or ""
        if self._open:
            self.elements[self._open] = {"text": "", "value": found.get("value") or ""}
        if tag == "script":
            self.scripts.append(found)

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.elements[self._open]["text"] += data.strip()


def test_the_page_reads_tells_and_shows_what_happens(hub: Any, tmp_path: Path) -> None:
    page = Page((HERE / "page.html").read_text())
    assert [one["src"] for one in page.scripts] == ["page.mjs"]
    with hub.up() as served, hub.client() as root:
        for name in ("page.mjs", "relay.mjs"):
            text = (HERE / name).read_text()
            (tmp_path / name).write_text(text.replace("ws://127.0.0.1:9801", f"ws://127.0.0.1:{served.port}"))
        (tmp_path / "browser.mjs").write_text(BROWSER.replace("ELEMENTS", json.dumps(page.elements)))
        root.subscribe("relay/done")
        with subprocess.Popen(
            ["node", "--experimental-websocket", "browser.mjs"],
            cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as browser:  # fmt: skip
            assert browser.stdin is not None
            assert browser.stdout is not None
            try:
                served.wait_for_clients(2)
                found: list[Any] = []
                until = monotonic() + DEADLINE_SEC
                while not found:  # until it has subscribed
                    assert monotonic() < until
                    root.publish("relay/page", 6)
                    found = list(root.messages(within_sec=0.2))
                assert found[0]["data"] == 7
                assert browser.stdout.readline() == "heard 6\n"
                browser.stdin.write("41\n")
                browser.stdin.flush()
                assert 41 in (message["data"] for message in root.messages(within_sec=DEADLINE_SEC))
            finally:
                browser.kill()


def test_what_its_manifest_does_not_allow_is_said(start: Callable[..., Any], hub: Any) -> None:
    with hub.up() as served:
        program = start(HERE, LINK_URL=f"ws://127.0.0.1:{served.port}", HEAR="site/other")
        assert "cannot subscribe 'site/other', because the manifest of link-js" in program.log_line("refused")


def test_without_a_hub_it_tries_again_and_a_stop_ends_it(start: Callable[..., Any], hub: Any) -> None:
    with hub.up() as served:
        port = served.port
    program = start(HERE, LINK_URL=f"ws://127.0.0.1:{port}")
    assert program.log_line("away") == "AuroraLink is away; again in 0.5 s"
    assert program.log_line("away") == "AuroraLink is away; again in 1 s"
    assert program.stop() == 0


def test_node_is_where_the_manifest_says() -> None:
    assert shutil.which("node") == "/usr/bin/node"
