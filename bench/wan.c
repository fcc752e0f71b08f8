/* A long way for packets, for kernels without netem: two tun devices, one in each of two network namespaces, and
 * between them a delay, a share of packets that get lost, a rate, and a queue that ends. TCP on both sides is the
 * kernel's own. Needs root and /dev/net/tun.
 *
 *   cc -O2 -pthread -o wan wan.c
 *   ip netns add far; ip netns add near
 *   ./wan far 10.99.0.1 near 10.99.0.2 DELAY_MS LOSS_PERCENT RATE_MBIT QUEUE_MS [SECONDS]
 *
 * DELAY_MS is one way: the round trip has twice of it. Loss is of each direction. It says "ready" once both devices are
 * up, and ends after SECONDS (600). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 16, SLOT_BYTES = 1600, BATCH = 64 };

struct way {
    int from, to;
    unsigned seed;
    uint8_t *packets;
    uint64_t *due;
    uint16_t *length;
};

static double delay_ns, queue_ns, loss, ns_per_byte;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* Make the device in the namespace *space*, with an address and the other end's; return what packets are read from. */
static int open_end(const char *space, const char *address, const char *other) {
    char text[512];
    snprintf(text, sizeof text, "/var/run/netns/%s", space);
    int ns = open(text, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET)) fail(text);
    close(ns);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq wish = {0};
    wish.ifr_flags = IFF_TUN | IFF_NO_PI;
    strcpy(wish.ifr_name, "way0");
    if (tun < 0 || ioctl(tun, TUNSETIFF, &wish)) fail("/dev/net/tun");
    snprintf(text, sizeof text,
             "ip addr add %s peer %s dev way0 && ip link set way0 mtu 1500 txqueuelen 20000 up && ip link set lo up",
             address, other);
    if (system(text)) exit(1);
    return tun;
}

/* Take packets in: lose some, let the queue end, and note when each is through. Return whether there were any. */
static int take(struct way *way, uint32_t head, uint32_t *tail, uint64_t *free_at) {
    int any = 0;
    uint64_t now = now_ns();
    for (int n = 0; n < BATCH && *tail - head < SLOTS; n++) {
        uint32_t slot = *tail % SLOTS;
        ssize_t size = read(way->from, way->packets + (size_t)slot * SLOT_BYTES, SLOT_BYTES);
        if (size <= 0) break;
        any = 1;
        if (rand_r(&way->seed) < loss * RAND_MAX) continue;
        if (*free_at < now) *free_at = now;
        if (*free_at - now > queue_ns) continue;
        *free_at += (uint64_t)(size * ns_per_byte);
        way->due[slot] = *free_at + (uint64_t)delay_ns;
        way->length[slot] = (uint16_t)size;
        ++*tail;
    }
    return any;
}

static int give(struct way *way, uint32_t *head, uint32_t tail) {
    int any = 0;
    uint64_t now = now_ns();
    while (*head != tail && way->due[*head % SLOTS] <= now) {
        uint32_t slot = *head % SLOTS;
        if (write(way->to, way->packets + (size_t)slot * SLOT_BYTES, way->length[slot]) < 0 && errno == EAGAIN) break;
        ++*head;
        any = 1;
    }
    return any;
}

static void *run(void *argument) {
    struct way *way = argument;
    way->packets = malloc((size_t)SLOTS * SLOT_BYTES);
    way->due = malloc(SLOTS * sizeof *way->due);
    way->length = malloc(SLOTS * sizeof *way->length);
    if (!way->packets || !way->due || !way->length) fail("malloc");
    uint32_t head = 0, tail = 0;
    uint64_t free_at = 0;
    for (;;) {
        int any = take(way, head, &tail, &free_at);
        any |= give(way, &head, tail);
        if (any) continue;
        struct timespec pause = {0, 200000000};
        if (head != tail) {
            uint64_t now = now_ns(), due = way->due[head % SLOTS];
            uint64_t left = due > now ? due - now : 1000;
            if (left < (uint64_t)pause.tv_nsec) pause.tv_nsec = (long)left;
        }
        struct pollfd poll = {way->from, POLLIN, 0};
        ppoll(&poll, 1, &pause, NULL);
    }
    return NULL;
}

int main(int count, char **words) {
    if (count < 9) {
        fputs("usage: wan SPACE ADDRESS SPACE ADDRESS DELAY_MS LOSS_PERCENT RATE_MBIT QUEUE_MS [SECONDS]\n", stderr);
        return 2;
    }
    delay_ns = atof(words[5]) * 1e6;
    loss = atof(words[6]) / 100;
    ns_per_byte = 8e3 / atof(words[7]);
    queue_ns = atof(words[8]) * 1e6;
    alarm(count > 9 ? (unsigned)atoi(words[9]) : 600);
    int one = open_end(words[1], words[2], words[4]), other = open_end(words[3], words[4], words[2]);
    struct way there = {.from = one, .to = other, .seed = 1}, back = {.from = other, .to = one, .seed = 2};
    /* What else the machine does must not lengthen the way. Where that is refused, it does. */
    struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_RR, &first);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &there)) fail("pthread_create");
    puts("ready");
    fflush(stdout);
    run(&back);
}
