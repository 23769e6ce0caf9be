/* load PROTOCOL (unix PATH | tcp PORT | websocket PORT) CASE…: loads a broker, checks every delivery, prints JSON.
 *
 *     stream PID PUBLISHERS READERS SIZE BATCH WINDOW WARM_MSEC MSEC
 *         each publisher has a topic and READERS connections that read it; BATCH messages a write; at most WINDOW of a
 *         publisher's messages are under way. PID is the broker's.
 *     pingpong PID SIZE COUNT
 *         from one publisher to a reader, whose own publisher answers: COUNT times there and back.
 *     idle COUNT
 *         connections that want nothing; they end with standard input.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STUCK_SEC = 10, AFTER_MSEC = 50, WRITES_AT_ONCE = 64, PATIENCE = 10, PUBLISHED_MAX = 1024 };

struct publisher {
	struct connection wire;
	char topic[16];
	struct bytes batch; /* the messages of one write, with frames */
	size_t digits_at[PUBLISHED_MAX], mask_at[PUBLISHED_MAX];
	uint64_t published;
};

struct reader {
	struct connection wire;
	uint64_t got;
};

static struct publisher *publishers;
static struct reader *readers; /* publisher P has those from P * readers_each on */
static int publishers_count, readers_each, batch;
static size_t payload_size;
static uint64_t deliveries;

void delivered(struct connection *c, const uint8_t *topic, size_t topic_size, const uint8_t *payload, size_t size)
{
	if (c->topic == NULL)
		wrong("connection %d got a message that it has not subscribed", c->number);
	struct reader *r = (struct reader *)c;
	if (strlen(c->topic) != topic_size || memcmp(c->topic, topic, topic_size) != 0)
		wrong("reader %d got a message of topic %.*s", c->number, (int)topic_size, (const char *)topic);
	payload_check(payload, size, payload_size, c->number / readers_each, r->got, c->number);
	r->got++;
	deliveries++;
}

static void prepare(struct publisher *p, int number)
{
	uint8_t payload[PAYLOAD_MAX];
	struct bytes plain = {0};
	const struct protocol *protocol = place.protocol;
	payload_make(payload, payload_size, number);
	for (int at = 0; at < batch; at++) {
		p->mask_at[at] = protocol->publish(&plain, p->topic, payload, payload_size) + payload_digits_at();
		p->digits_at[at] = p->mask_at[at];
		if (place.websocket && protocol->frame_a_message) {
			size_t size = plain.length - 1; /* without the line's end */
			ws_frame(&p->batch, protocol->opcode, plain.at, size);
			p->digits_at[at] += p->batch.length - size;
			plain.length = 0;
		}
	}
	if (place.websocket && !protocol->frame_a_message) {
		ws_frame(&p->batch, protocol->opcode, plain.at, plain.length);
		for (int at = 0; at < batch; at++)
			p->digits_at[at] += p->batch.length - plain.length;
	} else if (!place.websocket) {
		put(&p->batch, plain.at, plain.length);
	}
	free(plain.at);
}

static void publish(struct publisher *p)
{
	const uint8_t *mask = place.websocket ? mask_key : NULL;
	for (int at = 0; at < batch; at++)
		payload_number(p->batch.at + p->digits_at[at], p->published++, mask, p->mask_at[at]);
	put(&p->wire.out, p->batch.at, p->batch.length);
	wire_flush(&p->wire);
}

static void open_all(int count, int each, size_t size, int batched)
{
	publishers_count = count, readers_each = each, payload_size = size, batch = batched;
	if (count < 1 || count > PUBLISHERS_MAX || each < 1 || size < PAYLOAD_MIN || size > PAYLOAD_MAX || batched < 1 ||
	    batched > PUBLISHED_MAX)
		trouble("a number is out of its range");
	publishers = calloc((size_t)count, sizeof *publishers);
	readers = calloc((size_t)(count * each), sizeof *readers);
	for (int at = 0; at < count; at++) {
		struct publisher *p = &publishers[at];
		snprintf(p->topic, sizeof p->topic, "bench/%d", at);
		for (int reader = at * each; reader < (at + 1) * each; reader++)
			wire_open(&readers[reader].wire, reader, p->topic);
		wire_open(&p->wire, -1 - at, NULL);
		prepare(p, at);
	}
	for (int at = 0; at < count * each; at++)
		wire_wait_until_ready(&readers[at].wire, 1);
	for (int at = 0; at < count; at++)
		wire_wait_until_ready(&publishers[at].wire, 1);
}

static uint64_t read_by_all(int publisher)
{
	uint64_t least = UINT64_MAX;
	for (int at = publisher * readers_each; at < (publisher + 1) * readers_each; at++)
		least = readers[at].got < least ? readers[at].got : least;
	return least;
}

/* What was published has to come, and nothing else after it. */
static void drain(void)
{
	uint64_t seen = deliveries, since = now_nsec();
	for (int at = 0; at < publishers_count; at++)
		while (publishers[at].wire.out.length || read_by_all(at) < publishers[at].published) {
			wire_poll(100);
			if (deliveries != seen)
				seen = deliveries, since = now_nsec();
			else if (now_nsec() - since > STUCK_SEC * 1000000000ull)
				wrong("of %llu messages of publisher %d a reader got %llu, and no more",
				      (unsigned long long)publishers[at].published, at, (unsigned long long)read_by_all(at));
		}
	for (uint64_t until = now_nsec() + AFTER_MSEC * 1000000ull; now_nsec() < until;)
		wire_poll(AFTER_MSEC);
	for (int at = 0; at < publishers_count * readers_each; at++)
		if (readers[at].got != publishers[at / readers_each].published)
			wrong("reader %d got %llu messages of %llu", at, (unsigned long long)readers[at].got,
			      (unsigned long long)publishers[at / readers_each].published);
}

struct moment {
	uint64_t at, broker, own, deliveries;
};

static uint64_t cpu_nsec(clockid_t clock)
{
	struct timespec used;
	if (clock_gettime(clock, &used) != 0)
		trouble("the broker is gone");
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

static struct moment moment(pid_t broker)
{
	clockid_t clock;
	if (clock_getcpuclockid(broker, &clock) != 0)
		trouble("there is no process %d", broker);
	return (struct moment){now_nsec(), cpu_nsec(clock), cpu_nsec(CLOCK_PROCESS_CPUTIME_ID), deliveries};
}

static void report(struct moment from, struct moment to)
{
	printf("{\"deliveries\":%llu,\"nsec\":%llu,\"broker_cpu_nsec\":%llu,\"own_cpu_nsec\":%llu",
	       (unsigned long long)(to.deliveries - from.deliveries), (unsigned long long)(to.at - from.at),
	       (unsigned long long)(to.broker - from.broker), (unsigned long long)(to.own - from.own));
}

/* On a machine that is busy with other things it takes longer until the broker has worked for long enough. */
static bool is_enough(struct moment from, struct moment to, uint64_t msec)
{
	return to.broker - from.broker >= msec * 1000000u / 2 || to.at - from.at >= PATIENCE * msec * 1000000u;
}

static void stream(pid_t broker, uint64_t window, uint64_t warm_msec, uint64_t msec)
{
	uint64_t next = now_nsec() + warm_msec * 1000000u;
	struct moment from = {0}, to = {0};
	if (window < (uint64_t)batch)
		trouble("a write has more messages than may be under way");
	while (!to.at) {
		if (now_nsec() >= next) {
			next += msec * 1000000u;
			if (!from.at)
				from = moment(broker);
			else if (is_enough(from, moment(broker), msec))
				to = moment(broker);
		}
		bool more = false;
		for (int at = 0; at < publishers_count; at++) {
			struct publisher *p = &publishers[at];
			uint64_t room = read_by_all(at) + window - p->published;
			for (int writes = 0; writes < WRITES_AT_ONCE && !p->wire.full && room >= (uint64_t)batch; writes++) {
				publish(p);
				room -= (uint64_t)batch;
			}
			more |= !p->wire.full && room >= (uint64_t)batch;
		}
		wire_poll(more ? 0 : 100);
	}
	drain();
	report(from, to);
	puts("}");
}

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
	return (one > other) - (one < other);
}

static void pingpong(pid_t broker, size_t count)
{
	uint64_t *took = calloc(count, sizeof *took), last = now_nsec();
	size_t warm = count / 10;
	struct moment from = {0};
	for (size_t round = 0; round < count + warm; round++) {
		if (round == warm)
			from = moment(broker);
		uint64_t began = now_nsec();
		for (int at = 0; at < 2; at++) {
			publish(&publishers[at]);
			while (readers[at].got < publishers[at].published) {
				wire_poll(100);
				if (now_nsec() - last > STUCK_SEC * 1000000000ull)
					wrong("message %zu did not come", round);
			}
		}
		last = now_nsec();
		if (round >= warm)
			took[round - warm] = last - began;
	}
	struct moment to = moment(broker);
	drain();
	qsort(took, count, sizeof *took, compare);
	report(from, to);
	printf(",\"p50_nsec\":%llu,\"p99_nsec\":%llu}\n", (unsigned long long)took[count / 2],
	       (unsigned long long)took[count * 99 / 100]);
}

static void idle(int count)
{
	struct connection *all = calloc((size_t)count, sizeof *all);
	for (int at = 0; at < count; at++) {
		wire_open(&all[at], at, NULL);
		wire_wait_until_ready(&all[at], 1);
	}
	printf("{\"connections\":%d}\n", count);
	fflush(stdout);
	char end;
	while (read(STDIN_FILENO, &end, 1) > 0)
		;
}

static long number(char *const *argv, int argc, int at)
{
	char *end = NULL;
	long found = at < argc ? strtol(argv[at], &end, 10) : -1;
	if (end == NULL || *end || found < 0)
		trouble("argument %d is no number", at);
	return found;
}

int main(int argc, char **argv)
{
	if (argc < 6)
		trouble("see the head of main.c for what to say");
	place.protocol = protocol_of(argv[1]);
	place.websocket = strcmp(argv[2], "websocket") == 0;
	place.unix_path = strcmp(argv[2], "unix") == 0 ? argv[3] : NULL;
	place.port = place.unix_path == NULL ? (int)number(argv, argc, 3) : 0;
	if (strcmp(argv[4], "idle") == 0) {
		idle((int)number(argv, argc, 5));
		return 0;
	}
	pid_t broker = (pid_t)number(argv, argc, 5);
	if (strcmp(argv[4], "pingpong") == 0) {
		open_all(2, 1, (size_t)number(argv, argc, 6), 1);
		pingpong(broker, (size_t)number(argv, argc, 7));
	} else {
		open_all((int)number(argv, argc, 6), (int)number(argv, argc, 7), (size_t)number(argv, argc, 8),
		         (int)number(argv, argc, 9));
		stream(broker, (uint64_t)number(argv, argc, 10), (uint64_t)number(argv, argc, 11),
		       (uint64_t)number(argv, argc, 12));
	}
	return 0;
}
