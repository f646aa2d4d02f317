/* A load generator: many keep-alive connections, one thread, no mercy.
 *
 *   load PORT CONNECTIONS SECONDS RATE TEMPLATE VALUES
 *
 * TEMPLATE is a file with one HTTP/1.1 request. Each request sent is the template with its `@@` replaced
 * by a random line of VALUES, whose lines all have the same length.
 *
 * RATE 0: every connection sends its next request when it has the answer to the last (closed loop).
 * RATE r: requests are due at random moments, r a second on average (open loop, Poisson); latency counts
 * from the moment a request was due, so that a server that stalls cannot hide it by slowing the client.
 *
 * Prints one JSON object; times are milliseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BINS = 1000000, BIN_MICROSECONDS = 10, BUFFER = 65536 };

struct connection {
    int fd;
    double due;
    size_t have;
    char buffer[BUFFER];
};

static char *values, *request, *before, *after;
static size_t lines, width, before_length, after_length;
static uint64_t state;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static char *slurp(const char *path, size_t *length) {
    struct stat status;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) < 0) die(path);
    char *content = malloc(status.st_size + 1);
    for (*length = 0; *length < (size_t)status.st_size;) {
        ssize_t got = read(fd, content + *length, status.st_size - *length);
        if (got <= 0) die(path);
        *length += got;
    }
    content[*length] = 0;
    close(fd);
    return content;
}

static void send_one(struct connection *c, double due) {
    memcpy(request + before_length, values + (next_random() % lines) * width, width - 1);
    size_t length = before_length + width - 1 + after_length;
    c->due = due;
    c->have = 0;
    if (write(c->fd, request, length) != (ssize_t)length) die("write");
}

/* Whether the buffer holds a whole response. */
static int complete(struct connection *c) {
    c->buffer[c->have] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->buffer, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return c->have >= (size_t)(end + 4 - c->buffer) + body;
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    int port = atoi(arguments[1]), connections = atoi(arguments[2]);
    double seconds = atof(arguments[3]), rate = atof(arguments[4]);
    size_t length;
    before = slurp(arguments[5], &length);
    after = strstr(before, "@@");
    if (!after) return 2;
    before_length = after - before;
    after += 2;
    after_length = length - before_length - 2;
    values = slurp(arguments[6], &length);
    width = strchr(values, '\n') - values + 1;
    lines = length / width;
    request = malloc(before_length + width + after_length);
    memcpy(request, before, before_length);
    memcpy(request + before_length + width - 1, after, after_length);
    struct timespec seed;
    clock_gettime(CLOCK_REALTIME, &seed);
    state = 88172645463325252ull ^ ((uint64_t)seed.tv_nsec << 20) ^ (uint64_t)getpid();
    for (int i = 0; i < 20; i++) next_random();

    int poll = epoll_create1(0), timer = -1, idle_count = 0;
    int *idle = malloc(connections * sizeof *idle);
    struct connection *all = calloc(connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int one = 1;
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].fd, (void *)&address, sizeof address)) die("connect");
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    if (rate > 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
        timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
        epoll_ctl(poll, EPOLL_CTL_ADD, timer, &event);
    }

    static uint32_t histogram[BINS + 1];
    long done = 0, good = 0, statuses[6] = {0};
    double start = now(), end = start + seconds, next = start;
    for (int i = 0; i < connections; i++) {
        if (rate > 0) idle[idle_count++] = i;
        else send_one(&all[i], now());
    }
    struct epoll_event events[256];
    for (double t = start; t < end; t = now()) {
        if (rate > 0) {
            for (; next <= t && idle_count > 0; t = now()) {
                send_one(&all[idle[--idle_count]], next);
                next -= log(((next_random() >> 11) + 1) / 9007199254740993.0) / rate;
            }
            double wait = next - t;
            if (wait > 0) {
                struct itimerspec at = {.it_value = {(time_t)wait, (long)(fmod(wait, 1) * 1e9) + 1}};
                timerfd_settime(timer, 0, &at, NULL);
            }
        }
        int ready = epoll_wait(poll, events, 256, 50);
        double arrived = now();
        for (int e = 0; e < ready; e++) {
            uint32_t i = events[e].data.u32;
            if (i == UINT32_MAX) {
                uint64_t expirations;
                if (read(timer, &expirations, sizeof expirations) < 0 && errno != EAGAIN) die("timer");
                continue;
            }
            struct connection *c = &all[i];
            ssize_t got = read(c->fd, c->buffer + c->have, BUFFER - 1 - c->have);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) die("the server closed a connection");
            c->have += got;
            if (!complete(c)) continue;
            int status = atoi(c->buffer + 9);
            statuses[status / 100 % 6]++;
            good += status < 300;
            done++;
            double bin = (arrived - c->due) * 1e6 / BIN_MICROSECONDS;
            histogram[bin < 0 ? 0 : bin > BINS ? BINS : (long)bin]++;
            if (rate > 0) idle[idle_count++] = i;
            else send_one(c, arrived);
        }
    }
    double elapsed = now() - start, quantiles[] = {.5, .9, .99, .999}, found[4] = {0};
    long seen = 0;
    for (int bin = 0, q = 0; bin <= BINS && q < 4; bin++) {
        seen += histogram[bin];
        while (q < 4 && done && seen >= quantiles[q] * done) found[q++] = (bin + 1) * BIN_MICROSECONDS / 1e3;
    }
    printf("{\"rate\": %.1f, \"done\": %ld, \"good\": %ld, \"bad\": %ld, "
           "\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p999\": %.3f}\n",
           done / elapsed, done, good, done - good, found[0], found[1], found[2], found[3]);
    return 0;
}
