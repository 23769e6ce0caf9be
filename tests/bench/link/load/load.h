/* The load generator: what its files share. See ../__init__.py for what is measured. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PAYLOAD_MIN = 24,
	PAYLOAD_MAX = 64 * 1024,
	PUBLISHERS_MAX = 16,
	IN_BYTES = 256 * 1024,
	MASK_BYTES = 4,
	EXIT_TROUBLE = 1, /* it could not be measured */
	EXIT_WRONG = 3,   /* a delivery was missing, twice there, out of order, or not what was published */
};

extern const uint8_t mask_key[MASK_BYTES];

struct bytes {
	uint8_t *at;
	size_t length, room;
};

struct connection {
	int fd;
	int number;
	const char *topic; /* what it subscribes; NULL for nothing */
	bool ready;  /* all that was asked of the broker first is confirmed */
	bool shaken; /* the handshake of WebSocket is done, where there is one */
	struct bytes raw;   /* read, and no whole message yet; with WebSocket no whole frame */
	struct bytes plain; /* with WebSocket: what was in the frames */
	struct bytes reply; /* what the protocol answers by itself, without frames */
	struct bytes out;   /* to be written, from `written` on */
	size_t written;
	bool full; /* the kernel takes no more now */
};

/* How one broker is spoken to. Nothing here reads or writes a socket. */
struct protocol {
	const char *name;
	const char *subprotocol; /* of WebSocket; NULL for none */
	bool frame_a_message; /* over WebSocket; otherwise a frame is what is written at once */
	uint8_t opcode;
	/* The first bytes of a connection that subscribes `topic`, or NULL; they end in something that is confirmed. */
	void (*greet)(struct bytes *out, const char *topic);
	/* One publish; returns where in it the payload begins. */
	size_t (*publish)(struct bytes *out, const char *topic, const uint8_t *payload, size_t size);
	/* Take whole messages; returns how many bytes were used. */
	size_t (*take)(struct connection *c, const uint8_t *at, size_t length);
};

extern const struct protocol protocols[];
const struct protocol *protocol_of(const char *name);

/* Called by `take`. */
void delivered(struct connection *c, const uint8_t *topic, size_t topic_size, const uint8_t *payload, size_t size);

/* bytes.c */
_Noreturn void trouble(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint8_t *reserve(struct bytes *b, size_t more);
void put(struct bytes *b, const void *from, size_t size);
void say(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void drop(struct bytes *b, size_t size);
uint64_t now_nsec(void);

/* websocket.c */
void ws_ask(struct bytes *out, const char *subprotocol);
void ws_frame(struct bytes *out, uint8_t opcode, const uint8_t *payload, size_t size);
void ws_take(const struct protocol *p, struct connection *c); /* from c->raw to c->plain */

/* check.c: which message of which publisher it is, in the payload itself */
void payload_make(uint8_t *payload, size_t size, int publisher);
void payload_number(uint8_t *digits, uint64_t number, const uint8_t *mask, size_t at);
size_t payload_digits_at(void);
void payload_check(const uint8_t *payload, size_t size, size_t wanted_size, int publisher, uint64_t expected,
                   int reader);

/* wire.c */
struct place {
	const struct protocol *protocol;
	const char *unix_path; /* or NULL, and then */
	int port;              /* on 127.0.0.1 */
	bool websocket;
};
extern struct place place; /* of the broker */
void wire_open(struct connection *c, int number, const char *topic);
void wire_wait_until_ready(struct connection *all, int count);
void wire_flush(struct connection *c);
void wire_poll(int timeout_msec); /* read what there is, write what can be written */
