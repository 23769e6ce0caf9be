"""AuroraLink: the local hub through which modules, the owner's tools and devices talk.

Its pure part knows no socket, no clock and no file; the rest brings it together with them.

    bounds      everything that can grow, and where it stops        PURE
    refusal     the errors and their codes                          PURE
    vocabulary  the table of messages and members                   PURE
    schema      the same as a JSON Schema                           PURE
    strict      JSON, without what two readers take differently     PURE
    envelope    one line <-> one message                            PURE
    topics      topics, patterns, who is subscribed to what         PURE
    peer        who is at the other end                             PURE
    rules       who may do what                                     PURE
    queue       what waits to be read, and what happens when full   PURE
    timers      what is due when                                    PURE
    traffic     who talks, and how much                             PURE
    session     what is known of a connection; what all parts share PURE
    retained    values kept for later subscribers                   PURE
    publishing  from a publisher to the queues of subscribers       PURE
    requests    requests and their answers                          PURE
    approvals   messages that wait for a human                      PURE
    operator    what operators ask of the hub itself                PURE
    durable     messages that are on disk before they are answered  PURE
    kept        what the ledger gives                               PURE
    ledger      what is on disk: one SQLite database
    writer      the thread that the ledger belongs to
    older       the broadcast group of older clients                PURE
    system      what the hub tells about itself                     PURE
    acts        what each type of message does                      PURE
    handover    what one hub leaves to the next, and its bytes      PURE
    takeover    the hub's state, written down and taken up          PURE
    router      the hub: connections, lines and time in, lines out  PURE
    framing     bytes <-> messages: lines                           PURE
    frames      lines -> frames of WebSocket                        PURE
    websocket   bytes <-> messages: WebSocket                       PURE
    sockdiag    what the kernel says of a TCP socket                PURE
    identity    who has connected, by the kernel
    loopback    the same over TCP
    origins     the web pages that the owner lets in
    fdstore     systemd's store, where the next hub finds all that
    gates       where an approval is needed
    rulebook    what a module may do, from its applied plan
    runs        which modules run, as systemd has it
    loop        the event loop
    share       how much of a turn one peer may take                PURE
    width       what the kernel takes for one connection
    house       what connections need of the server
    intake      what a connection has sent, on its way
    connection  one connection: what is read, what is written
    ways        how one comes to the hub, and is turned away
    server      who comes and goes, what is written when
    phrases     what a client says, and what a caller is told       PURE
    backoff     when a client tries again, and what it says then    PURE
    client      a small blocking client: one connection
    lasting     the same, for as long as its program runs
    aio         the same for asyncio
    witness     what a module misses while it is down
    edge        what a device says that is an older client          PURE
    edge_main   aurora-edge
    main        aurora-link.service

The protocol, version 1
-----------------------
One JSON object, of at most 256 KiB, is one message: a line on the unix socket, a text message on WebSocket. What two
readers could take differently is refused: a key twice in one object, half of a UTF-16 pair, a number beyond a double.
`type` may be left out where there is a `topic`: pub.

A client sends, and gets:

    {"type":"hello","version":1}                     {"type":"hello","version":1,"id":"weather","ts":1732500000000}
    {"type":"sub","topic":"site/+/temp","id":"1"}    {"type":"ack","id":"1"}
    {"topic":"site/a/temp","data":21.5}              nothing; with an id an ack
    {"type":"unsub","topic":"site/+/temp"}           nothing; with an id an ack
    {"type":"req","topic":"lamp","id":"2","data":1}  {"type":"rep","id":"2","from":"lamp","ts":…,"data":…}
    {"type":"rep","id":"r7","data":…}                nothing: the answer to a req that was delivered with that id
    {"type":"ping","id":"3"}                         {"type":"pong","id":"3","ts":…}

and subscribers get `{"type":"pub","topic":"site/a/temp","from":"weather","ts":…,"data":21.5}`. `from` and `ts` are the
hub's; a client that sends them is refused. `data` is carried byte for byte. What is refused is answered by
`{"type":"error","code":…,"text":…}` with the id and topic of what was refused; the text is for people.

hello     Not needed, but a connection on which no message came for ten seconds is ended. `will` is published when the
          connection ends, however that happens; a later hello without one takes it back. Without `version` it is an
          older client's, until it subscribes: what it sends without a topic goes to all other such clients, if it may
          publish and subscribe $broadcast.
sub       By pattern. What is kept for matching topics comes first, with `"retained":true`. A message that several of a
          connection's patterns match comes once, by the oldest of them. With `group`, one of those who subscribed with
          the same pattern and group gets each message. With `serve` it takes requests of these topics instead.
bound     Of a sub: what happens when `queue_messages` or `queue_bytes` wait to be read (1024 and 256 KiB when nothing
          is said). drop-oldest, when nothing is said: those that wait longest make room. latest: only the newest
          message of each topic waits at all. block: the publisher waits, five seconds at most, then the message is
          dropped; with `serve`, where nothing is said, the request is refused (busy). disconnect: the connection is
          ended. What all connections of one module or user wait for has a bound too, 8 MiB.
pub       An ack says that the hub has taken it and put it where there was room. With `retain` it is kept for later
          subscribers, in place of an older one; null removes that. Data as the last member is read fastest.
req       Goes to one of those who serve the topic, in turn, passing over full queues. It ends with one rep or error:
          of the server, by `deadline_ms`, because somebody is gone (no-server), or at once when nobody serves or all
          queues are full (busy). `{"type":"error","id":…,"code":"cancelled"}` from whoever asked cancels it; the
          server is told of that and of the deadline by an error with the request's id, possibly before the request.
order     One publisher's messages of one topic reach a subscriber in order. Answers (ack, rep, error, pong) are not
          ordered with what is published.
full      A publisher that waits for a queue with `"bound":"block"` is read from again once there is room, or time
          is over. What still waits for a queue when its subscription ends is dropped; what the queue holds is read.
share     Of each turn of the hub all connections of one module or user have ten milliseconds together. What they have
          sent beyond waits, and they are read from again, in turn, once the others had their share: who sends much that
          takes long, or is refused, waits for that alone. The 64th line that is no message ends its connection.
speed     Where each message waits for the one before, the hub looks for the next one for a tenth of a millisecond
          before it sleeps, once such a look was worth it. The kernel keeps 32 KiB for a client that does not read, and
          128 KiB for up to 32 of those that read what is more than that.
durable   What a module publishes under topics that `durable` in its manifest names is on disk before it is delivered
          and before its ack. To read it, a sub has a `cursor`, a name of the client's own: then come the durable
          messages that match, the oldest first, each with an `id` that stays and with its `cursor`.
          `{"type":"ack","id":"d7","cursor":"mail"}` says that it and all before it need not come again. What was not
          acknowledged comes again with the next sub of that cursor: once at least, and in order. At most
          `queue_messages` (256 when nothing is said) are sent ahead of acks. A new cursor begins with the oldest
          message, or with `"start":"newest"` behind the newest. It is its module's or user's, has one pattern, and is
          read by one connection, the latest to subscribe it. An unsub with the cursor forgets it. `$sys/durable`
          answers operators what is kept for whom.
approval  What a module sends to a topic that needs an approval is answered by an ack with `approval`, and waits, five
          minutes at most. It passes when an operator approves it: then come its ack or rep. Otherwise an error: denied,
          or unanswered. It is needed where the machine's owner says so (`approve` under [link] in core.toml), and where
          `approve` in a manifest does: for all that send to what its module serves or subscribes to, also while that
          does not run, and for itself in what it only sends. While one of these files cannot be read, or they name more
          than 1,024 patterns, all needs one. Changes count when a module connects, and for others within ten seconds;
          what was kept before stays. An operator asks `$sys/approvals`: with data null what waits and what was
          answered, `{"approve":"a3","grant_ms":60000}` to let it pass, and others of its sender and topic for that
          long, `{"deny":"a3"}` not to. What an operator sends needs none.
$sys      `$sys/subscriptions` answers operators who reads what, and what waits for them; `$sys/clients` who has sent
          and read how much, all connections of a module or user together. `$sys/hub` has counts and rates,
          `$sys/modules/NAME/connections` how many a module has; both kept, told once a second at most.
          `$sys/modules/NAME/state` is `{"state":"up","run":…}` for each module that systemd has up, of all of them,
          kept, with another run after each start; `{"state":"down"}` is told once it is not. The hub looks every ten
          seconds. Topics that begin with $ are published by the hub alone; wildcards in the first level miss them.
end       A client that closes its end for writing is given what there is for it, and ended. So is one on the unix
          socket whose process has ended, half a second later, whoever else holds the socket.
restart   A hub that is restarted (`systemctl restart aurora-link`, an upgrade) leaves all to the next one: connections,
          to the byte, and subscriptions, what waits to be read, requests with their deadlines, wills, approvals, grants
          and retained values. Clients notice nothing but a pause. At most 32 MiB of messages go on: connections for
          which no room is left end, of those first for whom most waits. So does one whose run is over meanwhile. What
          a hub of another version left, or what is damaged, is dropped: connections end, and the journal says so.
          They do as well when the hub is stopped or killed. Clients connect anew then, and find what is on disk.
code      Of an error. No message: not-json, not-utf8, nul, line-break, too-large, too-deep, duplicate-key,
          lone-surrogate, huge-number, unknown-type, unknown-member, missing-member, bad-member, bad-topic. Not allowed:
          denied, unanswered (nobody approved it). At a bound: too-many, busy, slow (it does not read, or a subscriber
          does not), full (as much is kept of its durable messages as may be). Of the disk: disk (it cannot be written).
          Of requests: no-server, deadline, cancelled, failed (by whoever serves it). Else: no-such, in-use, silent,
          ended (this run of the module is over).
"""
