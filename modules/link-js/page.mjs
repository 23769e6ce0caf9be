// The relay in a web page: what is said is shown, the last lines of it.

import { relay } from "./relay.mjs";

const LINES_MAX = 50;
const element = (id) => document.getElementById(id);

const link = relay({
  url: "ws://127.0.0.1:9801",
  hear: element("hear").textContent,
  tell: element("tell").textContent,
  said(text) {
    const line = document.createElement("li");
    line.textContent = text; // never as HTML: others have written it
    element("said").append(line);
    while (element("said").children.length > LINES_MAX) element("said").firstChild.remove();
  },
});
element("start").addEventListener("submit", (event) => {
  event.preventDefault();
  link.tell(Number(element("number").value));
});
