// Takes part in AuroraLink by WebSocket: reads numbers from one topic, and tells each, one larger, to another.
//
// The same file works in Node (run.mjs) and in a browser (page.html): both have WebSocket built in. A message is one
// JSON object. When the hub goes, it connects again, after a delay that grows.

const DELAY_FIRST_MSEC = 500;
const DELAY_MAX_MSEC = 30_000;

/** Relay from `hear` to `tell` until `stop` of what is returned is called; `said` is told what happens, in words. */
export function relay({ url, hear, tell, said, subscribed = () => {} }) {
  let socket;
  let timer;
  let delayMsec = DELAY_FIRST_MSEC;
  let stopped = false;

  const say = (message) => socket.send(JSON.stringify(message));

  const take = (message) => {
    switch (message.type) {
      case "ack": // it is answered by the id that it was given
        delayMsec = DELAY_FIRST_MSEC;
        subscribed();
        break;
      case "error":
        said(`refused: ${message.text}`);
        break;
      case "pub":
        if (Number.isSafeInteger(message.data)) {
          say({ topic: tell, data: message.data + 1 });
          said(`heard ${message.data}`);
        } else {
          said(`no number: ${JSON.stringify(message.data)}`);
        }
    }
  };

  const connect = () => {
    socket = new WebSocket(url);
    socket.onopen = () => {
      say({ type: "hello", version: 1 });
      say({ type: "sub", topic: hear, id: "subscribed" });
    };
    socket.onmessage = (event) => take(JSON.parse(event.data));
    // It comes after an error, too; who is turned away is not told why by a browser, but by the hub's journal.
    socket.onclose = () => {
      if (!stopped) {
        said(`AuroraLink is away; again in ${delayMsec / 1000} s`);
        timer = setTimeout(connect, delayMsec);
        delayMsec = Math.min(delayMsec * 2, DELAY_MAX_MSEC);
      }
    };
  };

  connect();
  return {
    /** Tell a number that nobody has said before; false while the hub is away. */
    tell(number) {
      const open = socket.readyState === WebSocket.OPEN;
      if (open) say({ topic: tell, data: number });
      return open;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}
