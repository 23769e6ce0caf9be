"""A page in a headless Chromium, and a program in Node, talk on AuroraLink by what systemd listens on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vm.core import Core, tidied
from tests.vm.guest import USER
from tests.vm.machine import Machine

pytestmark = pytest.mark.browsers

HERE = "/var/lib/aurora-test/browser"
OWNER = "/etc/aurora/core.toml"
EXAMPLE = "/usr/share/aurora/examples/link-js"
CLIENT = Path(__file__).parents[1] / "unit/link/web_client.js"
PORT = 8000

# Serves a page, answers it on AuroraLink as root, and prints what the page shows in the end in a user's browser. The
# page's picture comes once its script is done, and not before that the page counts as loaded, and its text is taken.
BROWSES = """
import html, json, pwd, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from aurora.link.client import connect

user, host = sys.argv[1:]
script = Path(__file__).with_name("web_client.js").read_text()
page = f'''<!DOCTYPE html><meta charset="utf-8"><title>A panel</title>
<pre id="told"></pre><img src="/when-done" alt="">
<script>{script}
const told = document.getElementById("told");
talk("ws://127.0.0.1:9801/", (word) => {{ told.textContent += word + "\\\\n"; }}, () => fetch("/done"));
</script>
'''
done, heard = threading.Event(), []

class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/done":
            done.set()
        elif self.path == "/when-done":
            done.wait(240)
        body = page.encode() if self.path == "/" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

def answer(link):
    while not done.is_set():
        for message in link.messages(within_sec=1):
            heard.append([message["from"], message["topic"], len(message["data"]["big"]), message["data"]["text"]])
            link.publish("lamp/kitchen", ["on", message["data"]["text"]])

with ThreadingHTTPServer(("127.0.0.1", 8000), Pages) as server, connect() as link:
    threading.Thread(target=server.serve_forever).start()
    link.subscribe("site/#")
    answering = threading.Thread(target=answer, args=(link,))
    answering.start()
    try:
        browser = ["chromium-headless-shell", "--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox", "--dump-dom"]
        command = ["runuser", "-u", user, "--", "env", "HOME=/tmp", *browser, f"http://{host}:8000/"]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=250).stdout
    finally:
        done.set()
        answering.join()
        server.shutdown()
shown = html.unescape(told.partition('<pre id="told">')[2].partition("</pre>")[0]).splitlines()
print(json.dumps({"shown": shown, "heard": heard}))
"""

TELLS = """
import json
from aurora.link.client import connect

with connect() as link:
    link.subscribe("relay/done")
    link.publish("relay/js", 1)
    message = next(iter(link.messages(within_sec=90)))
    print(json.dumps([message["from"], message["data"]]))
"""


@pytest.fixture(scope="module")
def core(browser_vm: Machine) -> Iterator[Core]:
    """Of a machine with both; its user is one of the group that may operate."""
    with tidied(browser_vm) as core:
        core.run(f"mkdir -p {HERE}; groupadd -f --system aurora; gpasswd -a {USER} aurora >&2")
        core.run(f"cat >{HERE}/web_client.js", input=CLIENT.read_text())
        core.run(f"cat >{HERE}/browses.py", input=BROWSES)
        yield core


def browse(core: Core, *, user: str = USER, host: str = "127.0.0.1", origin: str = "127.0.0.1") -> dict[str, Any]:
    """What a user's page shows, and what came of it, where the owner lists that origin."""
    core.run(f"mkdir -p /etc/aurora; cat >{OWNER}", input=f'[link]\norigins = ["http://{origin}:{PORT}"]\n')
    found: dict[str, Any] = json.loads(core.run(f"python3 {HERE}/browses.py {user} {host}", timeout_sec=300).stdout)
    return found


@pytest.mark.deadline(600)
def test_a_page_whose_origin_the_owner_lists_is_its_user(core: Core) -> None:
    found = browse(core)
    assert found["shown"] == [f"hello user:{USER}", 'pub lamp/kitchen user:root ["on","Ä ☃ 😀"]', "closed 1000 true"]
    assert found["heard"] == [[f"user:{USER}", "site/page", 70_000, "Ä ☃ 😀"]]


@pytest.mark.deadline(600)
@pytest.mark.parametrize(
    ("user", "host"), [(USER, "localhost"), ("games", "127.0.0.1")], ids=["another origin", "a user of no group"]
)
def test_any_other_page_is_refused(core: Core, user: str, host: str) -> None:
    assert browse(core, user=user, host=host) == {"shown": ["error", "closed 1006 false"], "heard": []}


@pytest.mark.deadline(600)
def test_the_node_example_takes_part_as_a_module(core: Core) -> None:
    core.run(f"auroractl install {EXAMPLE}", timeout_sec=300)
    core.wait_for("link-js", ActiveState="active")
    said = core.run("python3 -", input=TELLS, timeout_sec=120).stdout
    assert json.loads(said) == ["link-js", 2]
    assert json.loads(core.run("auroractl link clients --json").stdout)["modules"] == {"link-js": 1}
    assert core.run("auroractl doctor link-js").returncode == 0
    core.run("auroractl remove --purge link-js")
