/* Takes part in AuroraLink with libc alone: reads numbers from the topic HEAR, tells each, one larger, to TELL.
 *
 *     cc -O2 -Wall -o relay relay.c
 *
 * The hub is a unix socket, and a message is a line of JSON. When the hub goes, it connects again, after a delay that
 * grows. Errors go to stderr, with a priority in front that the journal takes (sd-daemon(3)).
 */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A socket's address; a name that begins with @ has no file. 0 when the path is too long. */
static socklen_t address(struct sockaddr_un *to, const char *path) {
    size_t length = strlen(path);
    memset(to, 0, sizeof *to);
    to->sun_family = AF_UNIX;
    if (length >= sizeof to->sun_path)
        return 0;
    memcpy(to->sun_path, path, length);
    if (path[0] == '@')
        to->sun_path[0] = '\0';
    return offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@');
}

/* What sd_notify(3) does. */
static void notify(const char *text) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to;
    socklen_t length = path ? address(&to, path) : 0;
    int out = length ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (out < 0)
        return;
    if (sendto(out, text, strlen(text), 0, (struct sockaddr *)&to, length) < 0)
        perror("<4>cannot tell systemd");
    close(out);
}

static int connected(const char *path) {
    struct sockaddr_un to;
    socklen_t length = address(&to, path);
    int link = length ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    if (link >= 0 && connect(link, (struct sockaddr *)&to, length) == 0)
        return link;
    if (link >= 0)
        close(link);
    return -1;
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static int is(const char *line, const char *begin) {
    return strncmp(line, begin, strlen(begin)) == 0;
}

/* One line that the hub has sent. */
static void take(const char *line, FILE *out, const char *tell) {
    if (is(line, "{\"type\":\"ack\"")) {
        notify("READY=1\nSTATUS=listens");
    } else if (is(line, "{\"type\":\"error\"")) {
        fprintf(stderr, "<4>refused: %s", line);
    } else if (is(line, "{\"type\":\"pub\"")) {
        /* Inside the members before it no quote stands bare, so this is where the data begins. */
        const char *data = strstr(line, "\"data\":");
        char *end = NULL;
        long number = data ? strtol(data + 7, &end, 10) : 0;
        if (end == NULL || end == data + 7 || *end != '}' || number < 0 || number > 1000000000) {
            fprintf(stderr, "<4>no number: %s", line);
            return;
        }
        fprintf(out, "{\"topic\":\"%s\",\"data\":%ld}\n", tell, number + 1);
        fflush(out);
        fprintf(stderr, "<6>heard %ld\n", number);
    }
}

/* From hello to the end of the connection. */
static void talk(int link, const char *hear, const char *tell) {
    FILE *in = fdopen(link, "r"), *out = fdopen(dup(link), "w");
    char *line = NULL;
    size_t size = 0; /* getline makes room: a message has at most 256 KiB */
    if (in == NULL || out == NULL) {
        perror("<3>cannot talk");
        exit(1);
    }
    fprintf(out, "{\"type\":\"hello\",\"version\":1}\n");
    fprintf(out, "{\"type\":\"sub\",\"topic\":\"%s\",\"id\":\"subscribed\"}\n", hear);
    fflush(out);
    while (getline(&line, &size, in) > 0)
        take(line, out, tell);
    free(line);
    fclose(in);
    fclose(out);
}

int main(void) {
    const char *place = setting("AURORA_LINK", "unix:/run/aurora/link.sock");
    const char *hear = setting("HEAR", "relay/c"), *tell = setting("TELL", "relay/python");
    unsigned delay_sec = 1;
    if (strncmp(place, "unix:", 5) == 0)
        place += 5;
    signal(SIGPIPE, SIG_IGN); /* a hub that has gone is seen when it is read from */
    for (;;) {
        time_t began = time(NULL);
        int link = connected(place);
        if (link >= 0)
            talk(link, hear, tell);
        if (time(NULL) - began >= 10)
            delay_sec = 1;
        fprintf(stderr, "<4>AuroraLink is away; again in %u s\n", delay_sec);
        sleep(delay_sec);
        delay_sec = delay_sec < 16 ? delay_sec * 2 : 30;
    }
}
