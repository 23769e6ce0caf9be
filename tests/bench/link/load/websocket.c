/* A client's end of RFC 6455, as far as a broker is trusted to keep to it. */
#include "load.h"

#include <string.h>

const uint8_t mask_key[MASK_BYTES] = {0x37, 0xfa, 0x21, 0x3d};

enum { CONTINUED = 0x0, TEXT = 0x1, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xA, LAST = 0x80, MASKED = 0x80 };

void ws_ask(struct bytes *out, const char *subprotocol)
{
	say(out,
	    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n");
	if (subprotocol != NULL)
		say(out, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
	say(out, "\r\n");
}

static void begin(struct bytes *out, uint8_t opcode, size_t size)
{
	uint8_t head[14] = {LAST | opcode};
	size_t length = 2;
	if (size < 126) {
		head[1] = (uint8_t)size;
	} else {
		int places = size < 1 << 16 ? 2 : 8;
		head[1] = places == 2 ? 126 : 127;
		for (int place = 0; place < places; place++)
			head[length++] = (uint8_t)((uint64_t)size >> 8 * (places - 1 - place));
	}
	head[1] |= MASKED;
	memcpy(head + length, mask_key, MASK_BYTES);
	put(out, head, length + MASK_BYTES);
}

void ws_frame(struct bytes *out, uint8_t opcode, const uint8_t *payload, size_t size)
{
	begin(out, opcode, size);
	uint8_t *to = reserve(out, size);
	for (size_t at = 0; at < size; at++)
		to[at] = payload[at] ^ mask_key[at % MASK_BYTES];
	out->length += size;
}

static size_t shake_hands(struct connection *c)
{
	uint8_t *end = memmem(c->raw.at, c->raw.length, "\r\n\r\n", 4);
	if (end == NULL)
		return 0;
	if (c->raw.length < 12 || memcmp(c->raw.at, "HTTP/1.1 101", 12) != 0)
		trouble("connection %d: no WebSocket: %.*s", c->number, (int)(end - c->raw.at), (char *)c->raw.at);
	c->shaken = true;
	return (size_t)(end - c->raw.at) + 4;
}

void ws_take(const struct protocol *p, struct connection *c)
{
	size_t at = c->shaken ? 0 : shake_hands(c);
	while (c->shaken && c->raw.length - at >= 2) {
		const uint8_t *frame = c->raw.at + at;
		size_t there = c->raw.length - at, start = 2;
		uint64_t size = frame[1];
		if (size >= 126) {
			int places = size == 126 ? 2 : 8;
			if (there < start + (size_t)places)
				break;
			for (size = 0; places; places--)
				size = size << 8 | frame[start++];
		}
		if (there - start < size)
			break;
		uint8_t opcode = frame[0] & 0x0F;
		if (opcode == CLOSE)
			trouble("connection %d: the hub says goodbye", c->number);
		else if (opcode == PING)
			ws_frame(&c->out, PONG, frame + start, size);
		else if (opcode == TEXT || opcode == BINARY || opcode == CONTINUED)
			put(&c->plain, frame + start, size);
		if (p->frame_a_message && opcode <= BINARY && frame[0] & LAST)
			put(&c->plain, "\n", 1);
		at += start + size;
	}
	drop(&c->raw, at);
}
