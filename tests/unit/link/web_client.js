// What a web page or a Node program does with AuroraLink: subscribes, publishes, reads an answer, and ends in order.
// `url`, and `show` for each word of what becomes of it, are given; `done` is called at the end.
function talk(url, show, done) {
  const web = new WebSocket(url);
  const say = (message) => web.send(JSON.stringify(message));
  web.onopen = () => say({ type: "hello", version: 1 });
  web.onerror = () => show("error");
  web.onclose = (end) => {
    show(`closed ${end.code} ${end.wasClean}`);
    done();
  };
  web.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type === "hello") {
      show(`hello ${message.id}`);
      say({ type: "sub", topic: "lamp/#", id: "sub" });
    } else if (message.type === "ack") {
      say({ topic: "site/page", data: { text: "Ä ☃ 😀", big: "x".repeat(70000) } });
    } else {
      show(`${message.type} ${message.topic} ${message.from} ${JSON.stringify(message.data)}`);
      web.close(1000, "that is all");
    }
  };
}
