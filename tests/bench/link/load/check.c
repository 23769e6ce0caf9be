/* Every payload says which publisher's which message it is. It is a JSON string for all protocols alike:
 *
 *     "07-0000000123-xxxxxxxx…"
 */
#include "load.h"

#include <string.h>

enum { DIGITS = 10, DIGITS_AT = 4 };

static uint8_t filler[PAYLOAD_MAX];

size_t payload_digits_at(void)
{
	return DIGITS_AT;
}

void payload_make(uint8_t *payload, size_t size, int publisher)
{
	if (!filler[0])
		memset(filler, 'x', sizeof filler);
	memcpy(payload, filler, size);
	payload[0] = payload[size - 1] = '"';
	payload[1] = (uint8_t)('0' + publisher / 10);
	payload[2] = (uint8_t)('0' + publisher % 10);
	payload[3] = payload[DIGITS_AT + DIGITS] = '-';
	payload_number(payload + DIGITS_AT, 0, NULL, 0);
}

/* `mask` is that of a WebSocket frame in whose payload the digits are at `at`; NULL for none. */
void payload_number(uint8_t *digits, uint64_t number, const uint8_t *mask, size_t at)
{
	for (int place = DIGITS - 1; place >= 0; place--, number /= 10) {
		digits[place] = (uint8_t)('0' + number % 10);
		if (mask != NULL)
			digits[place] ^= mask[(at + (size_t)place) % MASK_BYTES];
	}
}

void payload_check(const uint8_t *payload, size_t size, size_t wanted_size, int publisher, uint64_t expected,
                   int reader)
{
	if (size != wanted_size)
		wrong("reader %d got a payload of %zu bytes in place of %zu", reader, size, wanted_size);
	uint64_t number = 0;
	for (int place = 0; place < DIGITS; place++) {
		uint8_t digit = (uint8_t)(payload[DIGITS_AT + place] - '0');
		if (digit > 9)
			wrong("reader %d got a payload without a number", reader);
		number = number * 10 + digit;
	}
	int sender = (payload[1] - '0') * 10 + payload[2] - '0';
	if (sender != publisher)
		wrong("reader %d got a message of publisher %d on the topic of %d", reader, sender, publisher);
	if (number != expected)
		wrong("reader %d got message %llu of publisher %d in place of %llu", reader, (unsigned long long)number,
		      publisher, (unsigned long long)expected);
	size_t behind = DIGITS_AT + DIGITS + 1;
	if (payload[0] != '"' || payload[size - 1] != '"' || payload[3] != '-' || payload[behind - 1] != '-' ||
	    memcmp(payload + behind, filler, size - behind - 1) != 0)
		wrong("reader %d got message %llu of publisher %d with other bytes than were published", reader,
		      (unsigned long long)number, publisher);
}
