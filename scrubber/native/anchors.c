/* Make events of what the scan of anchors told: `anchors.HyperscanScanner`. Of an anchor with a head only what follows the
 * head was looked for; the head is matched backwards from there, by a program that `programs.make_program` made backwards.
 * Anchors whose rest begins with a sign are found here altogether: signs are few, and quickly seen. */
#include "sieve.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { HEADED = 1 << INDEX_BITS, LONGEST_HEAD = 160 };

typedef struct {
    uint64_t size, set_count; /* nothing where there is no program */
    const uint32_t *code;
    const uint8_t *sets;
} packed;

/* By what the rest of an anchor begins that is found here: "@", "://", a dot with a letter behind it, "user " and "User ",
 * "for ", "passw" in letters of any size, and a bracket or slash with a digit behind it. */
enum { NO_SIGN = 0, SIGN_AT, SIGN_SLASHES, SIGN_DOT, SIGN_USER, SIGN_FOR, SIGN_PASSWORD, SIGN_NUMBER };

static const size_t sign_sizes[] = {0, 1, 3, 1, 5, 4, 5, 2};

/* An anchor, its sign, how many bytes its head may look at, and the bytes that may follow the sign. */
typedef struct {
    uint64_t index, sign, reach;
    packed rest, head;
    uint8_t next[32];
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
    uint8_t before[LONGEST_HEAD + 2];
    size_t size = a->reach < sizeof before ? (size_t)a->reach : sizeof before;
    if (size > at + 1)
        size = at + 1;
    for (size_t i = 0; i < size; i++)
        before[i] = m->buf.at[at - i];
    if (match(m, &a->head, (text){before, size}, 1) == MATCHED)
        put_event(m, at + 1 - m->matcher.to[0], end, a->index);
}

static uint64_t sign_at(text buf, size_t at) {
    switch (buf.at[at]) {
    case '@':
        return SIGN_AT;
    case ':':
        return begins_with(part(buf, at, at + 3), "://") ? SIGN_SLASHES : NO_SIGN;
    case '.':
        return is(byte_at(buf, at + 1), LETTER) ? SIGN_DOT : NO_SIGN;
    case 'u':
    case 'U':
        return begins_with(part(buf, at + 1, at + 5), "ser ") ? SIGN_USER : NO_SIGN;
    case 'f':
        return begins_with(part(buf, at, at + 4), "for ") ? SIGN_FOR : NO_SIGN;
    case '[':
    case '(':
    case '/':
        return is(byte_at(buf, at + 1), DIGIT) ? SIGN_NUMBER : NO_SIGN;
    default:
        return SIGN_PASSWORD;
    }
}

static void see_sign(making *m, size_t at) {
    uint64_t sign = sign_at(m->buf, at);
    if (sign == NO_SIGN)
        return;
    int next = byte_at(m->buf, at + sign_sizes[sign]);
    if (next < 0)
        next = '\n'; /* what may end with the text may go on with any byte */
    for (size_t i = 0; i < m->count; i++) {
        const anchor *a = &m->anchors[i];
        if (a->sign == sign && (a->next[next >> 3] >> (next & 7) & 1) && match(m, &a->rest, m->buf, at) == MATCHED)
            see_head(m, a, at, m->matcher.to[0]);
    }
}

/* Mark what may be a sign that is among those `used`, by two bytes; one more than the `STRIDE` is read. */
#ifdef __SSE2__
static inline __m128i same(__m128i these, char as) { return _mm_cmpeq_epi8(these, _mm_set1_epi8(as)); }

static inline uint64_t marked(const uint8_t *at, unsigned used) {
    const __m128i small = _mm_set1_epi8(0x20), last = _mm_set1_epi8('z' - 'a');
    uint64_t made = 0;
    for (int i = 0; i < STRIDE; i += 16) {
        __m128i one = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i two = _mm_loadu_si128((const __m128i *)(const void *)(at + i + 1));
        __m128i small_one = _mm_or_si128(one, small), small_two = _mm_or_si128(two, small);
        __m128i marks = _mm_or_si128(same(one, '@'), _mm_and_si128(same(one, ':'), same(two, '/')));
        if (used >> SIGN_DOT & 1) {
            __m128i letter = _mm_sub_epi8(small_two, _mm_set1_epi8('a'));
            letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, last), letter);
            marks = _mm_or_si128(marks, _mm_and_si128(same(one, '.'), letter));
        }
        if (used >> SIGN_USER & 1)
            marks = _mm_or_si128(marks, _mm_and_si128(same(small_one, 'u'), same(two, 's')));
        if (used >> SIGN_FOR & 1)
            marks = _mm_or_si128(marks, _mm_and_si128(same(one, 'f'), same(two, 'o')));
        if (used >> SIGN_PASSWORD & 1)
            marks = _mm_or_si128(marks, _mm_and_si128(same(small_one, 'p'), same(small_two, 'a')));
        if (used >> SIGN_NUMBER & 1) {
            __m128i digit = _mm_sub_epi8(two, _mm_set1_epi8('0'));
            digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
            __m128i opening = _mm_or_si128(same(one, '/'), _mm_or_si128(same(one, '['), same(one, '(')));
            marks = _mm_or_si128(marks, _mm_and_si128(opening, digit));
        }
        made |= (uint64_t)(unsigned)_mm_movemask_epi8(marks) << i;
    }
    return made;
}
#else
static inline uint64_t marked(const uint8_t *at, unsigned used) {
    uint8_t marks[STRIDE], dots = used >> SIGN_DOT & 1, users = used >> SIGN_USER & 1, fors = used >> SIGN_FOR & 1;
    uint8_t passwords = used >> SIGN_PASSWORD & 1, numbers = used >> SIGN_NUMBER & 1;
    for (int i = 0; i < STRIDE; i++) {
        uint8_t one = at[i], two = at[i + 1], letter = (uint8_t)((two | 0x20) - 'a');
        uint8_t digit = (uint8_t)(two - '0');
        marks[i] = (uint8_t)((one == '@') | ((one == ':') & (two == '/')) | (dots & (one == '.') & (letter < 26)) |
                             (users & ((one | 0x20) == 'u') & (two == 's')) | (fors & (one == 'f') & (two == 'o')) |
                             (passwords & ((one | 0x20) == 'p') & ((two | 0x20) == 'a')) |
                             (numbers & ((one == '[') | (one == '(') | (one == '/')) & (digit < 10)));
    }
    return gathered(marks);
}
#endif

static void see_signs(making *m) {
    unsigned used = 0;
    for (size_t i = 0; i < m->count; i++)
        used |= 1u << m->anchors[i].sign;
    size_t at = 0;
    if ((used & ~(1u << NO_SIGN)) == 0)
        return;
    for (; at + STRIDE < m->buf.size && m->good; at += STRIDE)
        for (uint64_t marks = marked(m->buf.at + at, used); marks != 0; marks &= marks - 1)
            see_sign(m, at + first_marked(marks));
    for (; at < m->buf.size && m->good; at++)
        if (m->buf.at[at] != 0 && strchr("@:.uUfpP[(/", m->buf.at[at]) != NULL)
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
