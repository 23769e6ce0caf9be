/* AuroraLink, MQTT 3.1.1 (QoS 0), NATS, and RESP pub/sub, as far as a load of publishes needs them. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define BEGINS(at, length, text) ((length) >= sizeof(text) - 1 && memcmp(at, text, sizeof(text) - 1) == 0)

/* The next line; NULL when its end is not there. `size` is without the end, `*at` moves behind it. */
static const uint8_t *line(const uint8_t **at, const uint8_t *end, size_t *size, bool crlf)
{
	const uint8_t *begin = *at, *found = memchr(begin, '\n', (size_t)(end - begin));
	if (found == NULL)
		return NULL;
	*size = (size_t)(found - begin) - (crlf && found > begin && found[-1] == '\r');
	*at = found + 1;
	return begin;
}

static _Noreturn void unexpected(struct connection *c, const uint8_t *said, size_t size)
{
	trouble("connection %d was told: %.*s", c->number, (int)(size < 400 ? size : 400), (const char *)said);
}

/* --- AuroraLink ------------------------------------------------------------------------------------------ */

static void aurora_greet(struct bytes *out, const char *topic)
{
	say(out, "{\"type\":\"hello\",\"version\":1}\n");
	if (topic != NULL)
		say(out, "{\"type\":\"sub\",\"topic\":\"%s\",\"bound\":\"block\",\"queue_messages\":16384,"
		         "\"queue_bytes\":1048576}\n", topic);
	say(out, "{\"type\":\"ping\",\"id\":\"up\"}\n");
}

static size_t aurora_publish(struct bytes *out, const char *topic, const uint8_t *payload, size_t size)
{
	say(out, "{\"topic\":\"%s\",\"data\":", topic);
	size_t at = out->length;
	put(out, payload, size);
	put(out, "}\n", 2);
	return at;
}

static size_t aurora_take(struct connection *c, const uint8_t *from, size_t length)
{
	static const char begin[] = "{\"type\":\"pub\",\"topic\":\"", sender[] = "\",\"from\":\"", data[] = ",\"data\":";
	const uint8_t *at = from, *end = from + length, *said;
	size_t size;
	while ((said = line(&at, end, &size, false)) != NULL) {
		if (BEGINS(said, size, begin)) {
			const uint8_t *topic = said + sizeof begin - 1, *last = said + size - 1;
			const uint8_t *behind = memchr(topic, '"', (size_t)(last - topic));
			if (behind == NULL || !BEGINS(behind, (size_t)(last - behind), sender))
				unexpected(c, said, size);
			const uint8_t *found = memmem(behind, (size_t)(last - behind), data, sizeof data - 1);
			if (found == NULL || *last != '}')
				unexpected(c, said, size);
			found += sizeof data - 1;
			delivered(c, topic, (size_t)(behind - topic), found, (size_t)(last - found));
		} else if (BEGINS(said, size, "{\"type\":\"pong\"")) {
			c->ready = true;
		} else if (!BEGINS(said, size, "{\"type\":\"hello\"") && size) {
			unexpected(c, said, size);
		}
	}
	return (size_t)(at - from);
}

/* --- MQTT 3.1.1 ------------------------------------------------------------------------------------------ */

static void mqtt_head(struct bytes *out, uint8_t kind, size_t size)
{
	put(out, &kind, 1);
	do {
		uint8_t digit = size % 128;
		size /= 128;
		digit |= size ? 128 : 0;
		put(out, &digit, 1);
	} while (size);
}

static void mqtt_text(struct bytes *out, const char *text)
{
	size_t size = strlen(text);
	put(out, (uint8_t[]){(uint8_t)(size >> 8), (uint8_t)size}, 2);
	put(out, text, size);
}

static void mqtt_greet(struct bytes *out, const char *topic)
{
	mqtt_head(out, 0x10, 12); /* clean session, no keep-alive, a name of the broker's choice */
	put(out, "\0\4MQTT\4\2\0\0\0\0", 12);
	if (topic == NULL) {
		put(out, "\xC0\0", 2); /* PINGREQ */
		return;
	}
	mqtt_head(out, 0x82, 2 + 2 + strlen(topic) + 1);
	put(out, "\0\1", 2);
	mqtt_text(out, topic);
	put(out, "\0", 1);
}

static size_t mqtt_publish(struct bytes *out, const char *topic, const uint8_t *payload, size_t size)
{
	mqtt_head(out, 0x30, 2 + strlen(topic) + size);
	mqtt_text(out, topic);
	size_t at = out->length;
	put(out, payload, size);
	return at;
}

static size_t mqtt_take(struct connection *c, const uint8_t *from, size_t length)
{
	size_t at = 0;
	for (;;) {
		size_t place = at + 1, size = 0;
		for (int shift = 0;; shift += 7) {
			if (place >= length)
				return at;
			size |= (size_t)(from[place] & 127) << shift;
			if (!(from[place++] & 128))
				break;
		}
		if (length - place < size)
			return at;
		uint8_t kind = from[at];
		const uint8_t *body = from + place;
		if (kind == 0x30) {
			size_t topic = size < 2 ? size : (size_t)body[0] << 8 | body[1];
			if (topic + 2 > size)
				trouble("connection %d was sent a broken PUBLISH", c->number);
			delivered(c, body + 2, topic, body + 2 + topic, size - 2 - topic);
		} else if ((kind == 0x90 && size == 3 && body[2] == 0) || kind == 0xD0) {
			c->ready = true;
		} else if (kind != 0x20 || size != 2 || body[1] != 0) {
			trouble("connection %d was sent an MQTT packet of type 0x%x", c->number, kind);
		}
		at = place + size;
	}
}

/* --- NATS ------------------------------------------------------------------------------------------------ */

static void nats_greet(struct bytes *out, const char *topic)
{
	say(out, "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1}\r\n");
	if (topic != NULL)
		say(out, "SUB %s 1\r\n", topic);
	say(out, "PING\r\n");
}

static size_t nats_publish(struct bytes *out, const char *topic, const uint8_t *payload, size_t size)
{
	say(out, "PUB %s %zu\r\n", topic, size);
	size_t at = out->length;
	put(out, payload, size);
	put(out, "\r\n", 2);
	return at;
}

static size_t nats_take(struct connection *c, const uint8_t *from, size_t length)
{
	const uint8_t *at = from, *end = from + length, *used = from, *said;
	size_t size;
	while ((said = line(&at, end, &size, true)) != NULL) {
		if (BEGINS(said, size, "MSG ")) {
			const uint8_t *topic = said + 4, *behind = memchr(topic, ' ', size - 4);
			const uint8_t *number = memrchr(said, ' ', size);
			if (behind == NULL || number <= behind)
				unexpected(c, said, size);
			size_t payload = (size_t)strtoul((const char *)number + 1, NULL, 10);
			if ((size_t)(end - at) < payload + 2)
				break;
			delivered(c, topic, (size_t)(behind - topic), at, payload);
			at += payload + 2;
		} else if (BEGINS(said, size, "PONG")) {
			c->ready = true;
		} else if (BEGINS(said, size, "PING")) {
			say(&c->reply, "PONG\r\n");
		} else if (!BEGINS(said, size, "INFO ")) {
			unexpected(c, said, size);
		}
		used = at;
	}
	return (size_t)(used - from);
}

/* --- RESP ------------------------------------------------------------------------------------------------ */

static void resp_greet(struct bytes *out, const char *topic)
{
	if (topic != NULL)
		say(out, "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%s\r\n", strlen(topic), topic);
	else /* the others answer no publish either */
		say(out, "*1\r\n$4\r\nPING\r\n*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n");
}

static size_t resp_publish(struct bytes *out, const char *topic, const uint8_t *payload, size_t size)
{
	say(out, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(topic), topic, size);
	size_t at = out->length;
	put(out, payload, size);
	put(out, "\r\n", 2);
	return at;
}

/* A bulk string; NULL when it is not all there. */
static const uint8_t *bulk(const uint8_t **at, const uint8_t *end, size_t *size)
{
	size_t length;
	const uint8_t *said = line(at, end, &length, true);
	if (said == NULL || *said != '$')
		return NULL;
	*size = (size_t)strtoul((const char *)said + 1, NULL, 10);
	const uint8_t *found = *at;
	if ((size_t)(end - found) < *size + 2)
		return NULL;
	*at = found + *size + 2;
	return found;
}

static size_t resp_take(struct connection *c, const uint8_t *from, size_t length)
{
	const uint8_t *at = from, *end = from + length, *used = from, *said, *kind, *topic, *payload;
	size_t size, kind_size, topic_size, payload_size;
	while ((said = line(&at, end, &size, true)) != NULL) {
		if (BEGINS(said, size, "*3")) {
			if ((kind = bulk(&at, end, &kind_size)) == NULL || (topic = bulk(&at, end, &topic_size)) == NULL)
				break;
			if (BEGINS(kind, kind_size, "message")) {
				if ((payload = bulk(&at, end, &payload_size)) == NULL)
					break;
				delivered(c, topic, topic_size, payload, payload_size);
			} else {
				if (line(&at, end, &size, true) == NULL)
					break;
				c->ready = true;
			}
		} else if (BEGINS(said, size, "+PONG")) {
			c->ready = true;
		} else {
			unexpected(c, said, size);
		}
		used = at;
	}
	return (size_t)(used - from);
}

const struct protocol protocols[] = {
	{"aurora", NULL, true, 0x1, aurora_greet, aurora_publish, aurora_take},
	{"mqtt", "mqtt", false, 0x2, mqtt_greet, mqtt_publish, mqtt_take},
	{"nats", NULL, false, 0x2, nats_greet, nats_publish, nats_take},
	{"resp", NULL, false, 0x2, resp_greet, resp_publish, resp_take},
	{0},
};

const struct protocol *protocol_of(const char *name)
{
	for (const struct protocol *p = protocols; p->name != NULL; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	trouble("there is no protocol %s", name);
}
