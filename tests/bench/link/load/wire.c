/* Connections to the broker, and the only place that waits. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { EVENTS = 256, READY_MAX_SEC = 60 };

struct place place;
static int events = -1;

static int connected(void)
{
	if (place.unix_path != NULL) {
		struct sockaddr_un to = {.sun_family = AF_UNIX};
		strncpy(to.sun_path, place.unix_path, sizeof to.sun_path - 1);
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
	}
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)place.port)};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

static void watch(struct connection *c, int how)
{
	struct epoll_event event = {.events = EPOLLIN | (c->full ? EPOLLOUT : 0u), .data.ptr = c};
	if (epoll_ctl(events, how, c->fd, &event) != 0)
		trouble("epoll: %s", strerror(errno));
}

/* With frames where there are some; a line a frame where a frame is a message. */
static void send_plain(struct connection *c, struct bytes *plain)
{
	const struct protocol *p = place.protocol;
	size_t at = 0;
	while (at < plain->length) {
		size_t size = plain->length - at, end = 0;
		if (place.websocket && p->frame_a_message) {
			size = (size_t)((uint8_t *)memchr(plain->at + at, '\n', size) - plain->at) - at;
			end = 1;
		}
		if (place.websocket)
			ws_frame(&c->out, p->opcode, plain->at + at, size);
		else
			put(&c->out, plain->at + at, size);
		at += size + end;
	}
	drop(plain, plain->length);
}

static void greet(struct connection *c)
{
	place.protocol->greet(&c->reply, c->topic);
	send_plain(c, &c->reply);
}

void wire_open(struct connection *c, int number, const char *topic)
{
	if (events < 0)
		events = epoll_create1(EPOLL_CLOEXEC);
	*c = (struct connection){.number = number, .topic = topic, .fd = connected()};
	if (c->fd < 0)
		trouble("connection %d: cannot connect: %s", number, strerror(errno));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	if (place.websocket)
		ws_ask(&c->out, place.protocol->subprotocol);
	else
		greet(c);
	watch(c, EPOLL_CTL_ADD);
	wire_flush(c);
}

void wire_flush(struct connection *c)
{
	bool was_full = c->full;
	c->full = false;
	while (c->written < c->out.length) {
		ssize_t size = write(c->fd, c->out.at + c->written, c->out.length - c->written);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno != EAGAIN)
			trouble("connection %d: cannot write: %s", c->number, strerror(errno));
		if (size < 0) {
			c->full = true;
			break;
		}
		c->written += (size_t)size;
	}
	if (!c->full)
		c->out.length = c->written = 0;
	if (c->full != was_full)
		watch(c, EPOLL_CTL_MOD);
}

static void take(struct connection *c, struct bytes *from)
{
	drop(from, place.protocol->take(c, from->at, from->length));
}

static void receive(struct connection *c)
{
	static uint8_t in[IN_BYTES];
	ssize_t size = read(c->fd, in, sizeof in);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0)
		trouble("connection %d: the broker has ended it%s%s", c->number, size ? ": " : "", size ? strerror(errno) : "");
	if (place.websocket) {
		bool shaken = c->shaken;
		put(&c->raw, in, (size_t)size);
		ws_take(place.protocol, c);
		if (!shaken && c->shaken)
			greet(c);
		take(c, &c->plain);
	} else if (c->raw.length) {
		put(&c->raw, in, (size_t)size);
		take(c, &c->raw);
	} else {
		size_t used = place.protocol->take(c, in, (size_t)size);
		put(&c->raw, in + used, (size_t)size - used);
	}
	if (c->reply.length)
		send_plain(c, &c->reply);
	if (c->out.length && !c->full)
		wire_flush(c);
}

void wire_poll(int timeout_msec)
{
	static struct epoll_event seen[EVENTS];
	int count = epoll_wait(events, seen, EVENTS, timeout_msec);
	for (int at = 0; at < count; at++) {
		struct connection *c = seen[at].data.ptr;
		if (seen[at].events & EPOLLOUT)
			wire_flush(c);
		if (seen[at].events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			receive(c);
	}
}

void wire_wait_until_ready(struct connection *all, int count)
{
	uint64_t until = now_nsec() + READY_MAX_SEC * 1000000000ull;
	for (int at = 0; at < count; at++)
		while (!all[at].ready) {
			if (now_nsec() > until)
				trouble("connection %d: the broker does not confirm what was asked first", at);
			wire_poll(100);
		}
}
