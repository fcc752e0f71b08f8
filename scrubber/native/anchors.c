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
 * "for ", "passw" in letters of any size, a bracket or slash with a digit behind it; two words of which the first has a
 * capital and the second may be of a name; a word in small letters within quotes or brackets; "bearer " and "authorization"
 * in letters of any size. */
enum { NO_SIGN = 0, SIGN_AT, SIGN_SLASHES, SIGN_DOT, SIGN_USER, SIGN_FOR, SIGN_PASSWORD, SIGN_NUMBER,
       SIGN_NAME, SIGN_ENCLOSED, SIGN_BEARER, SIGN_AUTHORIZATION, SIGN_COUNT };

static const size_t sign_sizes[SIGN_COUNT] = {0, 1, 3, 1, 5, 4, 5, 2, 0, 0, 7, 13};

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
    const anchor **signed_by; /* those that begin with a sign, in the order of the signs */
    size_t first[SIGN_COUNT + 1];
    uint8_t next[SIGN_COUNT][32]; /* the bytes that may follow a sign, of any of its anchors */
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

/* Bytes of the longest word that a name begins with, and of a word that is enclosed. */
enum { LONGEST_NAME = 24, SHORTEST_WORD = 5, LONGEST_WORD = 38 };

static bool is_capital(int c) { return is(c, UPPER) || (c >= 0xc3 && c <= 0xc5); }
static bool is_small(int c) { return c >= 0x80 || (is(c, LETTER) && !is(c, UPPER)); }
static bool is_of_name(int c) { return c >= 0x80 || is(c, LETTER) || c == '\'' || c == '-'; }
static bool is_of_login(int c) { return c < 0x80 && (is_small(c) || is(c, DIGIT) || c == '.' || c == '_'); }

/* Say whether two words begin at `at` that may be a name, behind what such an anchor has before it: "Anna Berg, "Anna, B". */
static bool begins_name(text buf, size_t at) {
    int before = byte_at(buf, at - 1);
    if (before <= 0 || strchr(" /[\"'>=:|\t,(;\n", before) == NULL || !is_capital(byte_at(buf, at)))
        return false;
    size_t end = at + 1;
    while (end - at <= LONGEST_NAME && is_of_name(byte_at(buf, end)))
        end++;
    end += byte_at(buf, end) == ',';
    int then = byte_at(buf, end + 1);
    return byte_at(buf, end) == ' ' && (is_capital(then) || then == 'v' || then == 'd' || then == 't');
}

/* Say whether a word stands at `at` between quotes or brackets, as logins are written: 'mrossi'. */
static bool begins_enclosed(text buf, size_t at) {
    size_t end = at + 1;
    while (end - at <= LONGEST_WORD && is_of_login(byte_at(buf, end)))
        end++;
    int after = byte_at(buf, end);
    return end - at > SHORTEST_WORD && after > 0 && strchr("'\"]}>)`@\\", after) != NULL;
}

/* Say whether `word`, of small letters and blanks, stands at `at` in letters of any size. */
static bool stands_in_any_case(text buf, size_t at, text word) {
    if (buf.size - at < word.size)
        return false;
    for (size_t i = 0; i < word.size; i++)
        if (lower(buf.at[at + i]) != word.at[i])
            return false;
    return true;
}

static const text bearer = {(const uint8_t *)"bearer ", 7}, authorization = {(const uint8_t *)"authorization", 13};

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
        if (is(byte_at(buf, at + 1), DIGIT))
            return SIGN_NUMBER;
        return buf.at[at] != '/' && begins_enclosed(buf, at) ? SIGN_ENCLOSED : NO_SIGN;
    case '\'':
    case '"':
    case '{':
    case '<':
    case '`':
    case '\\':
        return begins_enclosed(buf, at) ? SIGN_ENCLOSED : NO_SIGN;
    case 'p':
    case 'P':
        return SIGN_PASSWORD;
    case 'b':
    case 'B':
        return stands_in_any_case(buf, at, bearer) ? SIGN_BEARER : NO_SIGN;
    case 'a':
    case 'A':
        return stands_in_any_case(buf, at, authorization) ? SIGN_AUTHORIZATION : NO_SIGN;
    default:
        return NO_SIGN;
    }
}

static void see_one(making *m, size_t at, uint64_t sign) {
    int next = byte_at(m->buf, at + sign_sizes[sign]);
    if (next < 0)
        next = '\n'; /* what may end with the text may go on with any byte */
    if (!(m->next[sign][next >> 3] >> (next & 7) & 1))
        return;
    for (size_t i = m->first[sign]; i < m->first[sign + 1]; i++) {
        const anchor *a = m->signed_by[i];
        if ((a->next[next >> 3] >> (next & 7) & 1) && match(m, &a->rest, m->buf, at) == MATCHED)
            see_head(m, a, at, m->matcher.to[0]);
    }
}

/* Put the anchors in the order of their signs; give the signs that there are, as bits. */
static unsigned sort_by_sign(making *m) {
    unsigned used = 0;
    size_t filled = 0;
    for (unsigned sign = NO_SIGN + 1; sign < SIGN_COUNT; sign++) {
        m->first[sign] = filled;
        for (size_t i = 0; i < m->count; i++) {
            const anchor *a = &m->anchors[i];
            if (a->sign != sign)
                continue;
            used |= 1u << sign;
            m->signed_by[filled++] = a;
            for (size_t at = 0; at < sizeof a->next; at++)
                m->next[sign][at] |= a->next[at];
        }
    }
    m->first[SIGN_COUNT] = filled;
    return used;
}

static void see_sign(making *m, size_t at) {
    uint64_t sign = sign_at(m->buf, at);
    if (sign != NO_SIGN)
        see_one(m, at, sign);
    if (is_small(byte_at(m->buf, at + 1)) && begins_name(m->buf, at)) /* a user's or a password's sign as well */
        see_one(m, at, SIGN_NAME);
}

/* Mark what may be a sign that is among those `used`, by two bytes; one more than the `STRIDE` is read. */
#ifdef __SSE2__
static inline __m128i same(__m128i these, char as) { return _mm_cmpeq_epi8(these, _mm_set1_epi8(as)); }

/* Mark small letters, and whatever is beyond ASCII. */
static inline __m128i follows_small(__m128i these) {
    __m128i letter = _mm_sub_epi8(these, _mm_set1_epi8('a'));
    letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8('z' - 'a')), letter);
    return _mm_or_si128(letter, _mm_cmplt_epi8(these, _mm_setzero_si128()));
}

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
        if (used >> SIGN_BEARER & 1)
            marks = _mm_or_si128(marks, _mm_and_si128(same(small_one, 'b'), same(small_two, 'e')));
        if (used >> SIGN_AUTHORIZATION & 1)
            marks = _mm_or_si128(marks, _mm_and_si128(same(small_one, 'a'), same(small_two, 'u')));
        if (used >> SIGN_NAME & 1) {
            __m128i capital = _mm_sub_epi8(one, _mm_set1_epi8('A'));
            __m128i beyond = _mm_sub_epi8(one, _mm_set1_epi8((char)0xc3));
            capital = _mm_cmpeq_epi8(_mm_min_epu8(capital, last), capital);
            beyond = _mm_cmpeq_epi8(_mm_min_epu8(beyond, _mm_set1_epi8(2)), beyond);
            marks = _mm_or_si128(marks, _mm_and_si128(_mm_or_si128(capital, beyond), follows_small(two)));
        }
        if (used >> SIGN_ENCLOSED & 1) {
            __m128i quote = _mm_or_si128(_mm_or_si128(same(one, '\''), same(one, '"')), same(one, '`'));
            __m128i opening = _mm_or_si128(_mm_or_si128(same(one, '['), same(one, '(')), same(one, '{'));
            opening = _mm_or_si128(opening, _mm_or_si128(same(one, '<'), same(one, '\\')));
            marks = _mm_or_si128(marks, _mm_and_si128(_mm_or_si128(quote, opening), follows_small(two)));
        }
        made |= (uint64_t)(unsigned)_mm_movemask_epi8(marks) << i;
    }
    return made;
}
#else
static inline uint64_t marked(const uint8_t *at, unsigned used) {
    uint8_t marks[STRIDE], dots = used >> SIGN_DOT & 1, users = used >> SIGN_USER & 1, fors = used >> SIGN_FOR & 1;
    uint8_t passwords = used >> SIGN_PASSWORD & 1, numbers = used >> SIGN_NUMBER & 1;
    uint8_t named = used >> SIGN_NAME & 1, enclosed = used >> SIGN_ENCLOSED & 1;
    uint8_t bearers = used >> SIGN_BEARER & 1, authorizations = used >> SIGN_AUTHORIZATION & 1;
    for (int i = 0; i < STRIDE; i++) {
        uint8_t one = at[i], two = at[i + 1], letter = (uint8_t)((two | 0x20) - 'a');
        uint8_t digit = (uint8_t)(two - '0'), capital = (uint8_t)(one - 'A'), beyond = (uint8_t)(one - 0xc3);
        uint8_t little = ((uint8_t)(two - 'a') < 26) | (two >= 0x80);
        marks[i] = (uint8_t)((one == '@') | ((one == ':') & (two == '/')) | (dots & (one == '.') & (letter < 26)) |
                             (users & ((one | 0x20) == 'u') & (two == 's')) | (fors & (one == 'f') & (two == 'o')) |
                             (passwords & ((one | 0x20) == 'p') & ((two | 0x20) == 'a')) |
                             (numbers & ((one == '[') | (one == '(') | (one == '/')) & (digit < 10)) |
                             (bearers & ((one | 0x20) == 'b') & ((two | 0x20) == 'e')) |
                             (authorizations & ((one | 0x20) == 'a') & ((two | 0x20) == 'u')) |
                             (named & ((capital < 26) | (beyond < 3)) & little) |
                             (enclosed & little &
                              ((one == '\'') | (one == '"') | (one == '`') | (one == '[') | (one == '(') | (one == '{') |
                               (one == '<') | (one == '\\'))));
    }
    return gathered(marks);
}
#endif

static void see_signs(making *m) {
    m->signed_by = calloc(m->count + 1, sizeof *m->signed_by);
    m->good = m->signed_by != NULL;
    unsigned used = m->good ? sort_by_sign(m) : 0;
    size_t at = 0;
    if (used == 0)
        return;
    for (; at + STRIDE < m->buf.size && m->good; at += STRIDE)
        for (uint64_t marks = marked(m->buf.at + at, used); marks != 0; marks &= marks - 1)
            see_sign(m, at + first_marked(marks));
    for (; at < m->buf.size && m->good; at++)
        see_sign(m, at);
}

/* Of each match three numbers are `told`: an anchor's, with `HEADED` added where it has a head, its start and its end. Give
 * the bytes of the events that were made, SIZE_MAX where Python is to make them; `anchors_done` takes them back. */
size_t anchors_events(const uint8_t *at, size_t size, const uint8_t *told, size_t count, const anchor *anchors,
                      size_t anchor_count, uint8_t **events) {
    making m = {.buf = {at, size}, .anchors = anchors, .count = anchor_count};
    text_prepare();
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
    free(m.signed_by);
    if (!m.good) {
        free(m.events.at);
        m.events = (bytes){0};
    }
    *events = m.events.at;
    return m.good ? m.events.size : SIZE_MAX;
}

void anchors_done(uint8_t *events) { free(events); }
