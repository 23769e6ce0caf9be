/* Growing buffers, the clock, and ends. */
#include "load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void end(int status, const char *format, va_list rest)
{
	vfprintf(stderr, format, rest);
	fputc('\n', stderr);
	exit(status);
}

void trouble(const char *format, ...)
{
	va_list rest;
	va_start(rest, format);
	end(EXIT_TROUBLE, format, rest);
}

void wrong(const char *format, ...)
{
	va_list rest;
	va_start(rest, format);
	fputs("wrong delivery: ", stderr);
	end(EXIT_WRONG, format, rest);
}

uint8_t *reserve(struct bytes *b, size_t more)
{
	if (b->length + more > b->room) {
		b->room = (b->length + more) * 2;
		b->at = realloc(b->at, b->room);
		if (b->at == NULL)
			trouble("out of memory");
	}
	return b->at + b->length;
}

void put(struct bytes *b, const void *from, size_t size)
{
	memcpy(reserve(b, size), from, size);
	b->length += size;
}

void say(struct bytes *b, const char *format, ...)
{
	char text[1024];
	va_list rest;
	va_start(rest, format);
	int size = vsnprintf(text, sizeof text, format, rest);
	va_end(rest);
	if (size < 0 || (size_t)size >= sizeof text)
		trouble("a text is too long");
	put(b, text, (size_t)size);
}

void drop(struct bytes *b, size_t size)
{
	b->length -= size;
	if (b->length)
		memmove(b->at, b->at + size, b->length);
}

uint64_t now_nsec(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
