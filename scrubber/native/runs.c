/* Find long runs of base64 or hexadecimal digits: `encoded.RunFinder`, and of `encoded.find_run` what it refuses at once. */
#include "sieve.h"

enum { SHORTEST_RUN = 40, SAMPLED = 40 };

static bool in_run(int c) { return is_alnum(c) || c == '+' || c == '/' || c == '_' || c == '-'; }

static int base64_value(int c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' || c == '-' ? 62 : 63;
}

static int hex_value(int c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

/* Say whether bytes beyond ASCII may be UTF-8, but for one that is cut at the end: Python knows it more exactly. */
static bool may_be_utf8(const uint8_t *at, size_t size) {
    for (size_t i = 0; i < size;) {
        size_t length = at[i] < 0x80 ? 1 : at[i] < 0xe0 ? 2 : at[i] < 0xf0 ? 3 : 4;
        bool good = at[i] < 0x80 || (at[i] >= 0xc2 && at[i] <= 0xf4);
        for (size_t j = 1; j < length && i + j < size; j++)
            good = good && (at[i + j] & 0xc0) == 0x80;
        if (!good)
            return i + 3 >= size;
        i += length;
    }
    return true;
}

/* Say whether `encoded.is_text` can say yes to what begins so, and is all of it if it is `whole`. */
static bool may_be_text(const uint8_t *at, size_t size, bool whole) {
    if (size < 2 || at[1] == 0) /* it may be UTF-16 */
        return true;
    size_t strange = 0;
    for (size_t i = 0; i < size; i++) {
        if (at[i] == 127 || (at[i] < 32 && at[i] != '\t' && at[i] != '\n' && at[i] != '\r'))
            return false;
        strange += at[i] >= 128;
    }
    return !strange || ((!whole || strange * 2 <= size) && may_be_utf8(at, size));
}

/* Say whether the run may begin as text: `encoded._begins_as_text` of what `encoded._RUN` takes of it. */
static bool may_begin_as_text(text run) {
    uint8_t made[SAMPLED];
    size_t size = 0, safe = 0; /* either alphabet, which is Python's to choose */
    while (size < run.size && (is_alnum(run.at[size]) || run.at[size] == '+' || run.at[size] == '/'))
        size++;
    while (safe < run.size && (is_alnum(run.at[safe]) || run.at[safe] == '_' || run.at[safe] == '-'))
        safe++;
    if (size < SHORTEST_RUN && safe < SHORTEST_RUN)
        return false;
    if (run.at[0] == 'H' && run.at[1] == '4' && run.at[2] == 's' && run.at[3] == 'I') /* packed by gzip */
        return true;
    for (size_t i = 0; i < 10; i++) {
        uint32_t four = 0;
        for (size_t j = 0; j < 4; j++)
            four = four << 6 | (uint32_t)base64_value(run.at[4 * i + j]);
        made[3 * i] = (uint8_t)(four >> 16);
        made[3 * i + 1] = (uint8_t)(four >> 8);
        made[3 * i + 2] = (uint8_t)four;
    }
    if (may_be_text(made, 30, true))
        return true;
    size_t digits = 0;
    while (digits < size && digits < 2 * SAMPLED && is(run.at[digits], HEXDIGIT))
        digits++;
    digits -= digits % 2;
    if (digits < SHORTEST_RUN)
        return false;
    for (size_t i = 0; i < SHORTEST_RUN / 2; i++)
        made[i] = (uint8_t)(hex_value(run.at[2 * i]) << 4 | hex_value(run.at[2 * i + 1]));
    return may_be_text(made, SHORTEST_RUN / 2, false);
}

/* Give the beginnings of runs, as 64 bits each, that may begin as text. */
bool sieve_runs(scan *c, const uint8_t *at, size_t size) {
    text buf = {at, size};
    c->told.size = 0;
    size_t i = 0;
    while (i + SHORTEST_RUN <= size) {
        size_t last = i + SHORTEST_RUN; /* from behind: what is in no run shows soon */
        while (last > i && in_run(buf.at[last - 1]))
            last--;
        if (last > i) {
            i = last;
            continue;
        }
        size_t end = i + SHORTEST_RUN;
        while (in_run(byte_at(buf, end)))
            end++;
        uint64_t start = i;
        if (may_begin_as_text(part(buf, i, end)) && !bytes_add(&c->told, &start, sizeof start))
            return false;
        i = end;
    }
    return true;
}

size_t sieve_told(const scan *c, const uint8_t **at) {
    *at = c->told.at;
    return c->told.size;
}
