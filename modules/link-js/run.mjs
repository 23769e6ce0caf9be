// The relay as a module, in Node: what is said goes to the journal, and systemd is told when it is up.

import { spawnSync } from "node:child_process";
import { relay } from "./relay.mjs";

const { HEAR = "relay/js", TELL = "relay/done", LINK_URL = "ws://127.0.0.1:9801", NOTIFY_SOCKET } = process.env;

const link = relay({
  url: LINK_URL,
  hear: HEAR,
  tell: TELL,
  said: (text) => console.error(text),
  // Node has no datagram sockets of unix, so systemd-notify(1) has to say it.
  subscribed: () => NOTIFY_SOCKET && spawnSync("systemd-notify", ["--ready", `--status=listens to ${HEAR}`]),
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => link.stop());
