/* Make events of what the scan of anchors told: `anchors.HyperscanScanner`. Of an anchor with a head only what follows the
 * head was looked for; the head is matched backwards from there, by a program that `programs.make_program` made backwards.
 * Anchors whose rest begins with a sign are found here altogether: signs are few, and quickly seen. */
#include "sieve.h"

#include <stdlib.h>

enum { HEADED = 1 << INDEX_BITS, LONGEST_HEAD = 64 };

typedef struct {
    uint64_t size, set_count; /* nothing where there is no program */
    const uint32_t *code;
    const uint8_t *sets;
} packed;

/* An anchor, and the first byte of its rest where it is found here: '@', or the colon of "://". */
typedef struct {
    uint64_t index, sign;
    packed rest, head;
} anchor;

typedef struct {
    text buf;
    const anchor *anchors;
    size_t count;
    matcher matcher;
    bytes events;
    bool good; /* false where Python is to make the events */
} making;

static int match(making *m, const packed *by, text buf, size_t at) {
    program p = {by->code, (size_t)by->size, by->sets, (size_t)by->set_count};
    int result = match_at(&m->matcher, &p, buf, at, buf.size);
    m->good = m->good && result != GAVE_UP;
    return result;
}

static void put_event(making *m, uint64_t start, uint64_t end, uint64_t index) {
    uint64_t size = (end - start) & ((1u << LENGTH_BITS) - 1);
    uint64_t event = (start << LENGTH_BITS | size) << INDEX_BITS | index;
    m->good = m->good && bytes_add(&m->events, &event, sizeof event);
}

/* Put the event of an anchor whose rest stands from `at` to `end`, if its head stands before. */
static void see_head(making *m, const anchor *a, size_t at, size_t end) {
    if (a->head.size == 0) {
        put_event(m, at, end, a->index);
        return;
    }
    uint8_t before[LONGEST_HEAD + 1]; /* one more, for what a word's boundary looks at */
    size_t size = at < sizeof before ? at : sizeof before;
    for (size_t i = 0; i < size; i++)
        before[i] = m->buf.at[at - 1 - i];
    if (match(m, &a->head, (text){before, size}, 0) == MATCHED)
        put_event(m, at - m->matcher.to[0], end, a->index);
}

static void see_sign(making *m, size_t at) {
    uint8_t sign = m->buf.at[at];
    if (sign == ':' && (byte_at(m->buf, at + 1) != '/' || byte_at(m->buf, at + 2) != '/'))
        return;
    for (size_t i = 0; i < m->count; i++) {
        const anchor *a = &m->anchors[i];
        if (a->sign == sign && match(m, &a->rest, m->buf, at) == MATCHED)
            see_head(m, a, at, m->matcher.to[0]);
    }
}

/* Mark the signs. */
static uint64_t marked(const uint8_t *at) {
    uint8_t marks[STRIDE];
    for (int i = 0; i < STRIDE; i++)
        marks[i] = at[i] == '@';
    for (int i = 0; i < STRIDE; i++)
        marks[i] |= (uint8_t)((at[i] == ':') & (at[i + 1] == '/'));
    return gathered(marks);
}

static void see_signs(making *m) {
    bool any = false;
    for (size_t i = 0; i < m->count; i++)
        any = any || m->anchors[i].sign != 0;
    size_t at = 0;
    if (!any)
        return;
    for (; at + STRIDE < m->buf.size && m->good; at += STRIDE)
        for (uint64_t marks = marked(m->buf.at + at); marks != 0; marks &= marks - 1)
            see_sign(m, at + first_marked(marks));
    for (; at < m->buf.size && m->good; at++)
        if (m->buf.at[at] == '@' || m->buf.at[at] == ':')
            see_sign(m, at);
}

/* Of each match three numbers are `told`: an anchor's, with `HEADED` added where it has a head, its start and its end. Give
 * the bytes of the events that were made, SIZE_MAX where Python is to make them; `anchors_done` takes them back. */
size_t anchors_events(const uint8_t *at, size_t size, const uint8_t *told, size_t count, const anchor *anchors,
                      size_t anchor_count, uint8_t **events) {
    making m = {.buf = {at, size}, .anchors = anchors, .count = anchor_count};
    m.good = size < LARGEST && count <= LARGEST / 32 && bytes_reserve(&m.events, count * sizeof(uint64_t) + 1);
    for (size_t i = 0; i < count && m.good; i++) {
        uint64_t match[3];
        memcpy(match, told + i * sizeof match, sizeof match);
        if (match[1] > match[2] || match[2] > size) {
            m.good = false;
        } else if (match[0] < HEADED) {
            put_event(&m, match[1], match[2], match[0]);
        } else {
            size_t a = 0;
            while (a < anchor_count && anchors[a].index + HEADED != match[0])
                a++;
            m.good = a < anchor_count;
            if (m.good)
                see_head(&m, &anchors[a], (size_t)match[1], (size_t)match[2]);
        }
    }
    if (m.good)
        see_signs(&m);
    match_free(&m.matcher);
    if (!m.good) {
        free(m.events.at);
        m.events = (bytes){0};
    }
    *events = m.events.at;
    return m.good ? m.events.size : SIZE_MAX;
}

void anchors_done(uint8_t *events) { free(events); }
