/* Confirm what the scan of anchors saw by the rules' expressions: `rules._pattern_finder`; and read what texts tell of
 * who is who: `learner.Learner.learn`. */
#include "match.h"
#include "sieve.h"

#include <stdlib.h>

enum { ANCHORS = 1 << INDEX_BITS, LONG_VALUE = 1000, LEARNING_REACH = 4096 };
enum { RULE_TAG = 1, RULE_VARIED = 4, RULE_ASSIGNMENT = 8, RULE_LINES = 16 };
enum { SHORT_VALUE = 12 }; /* `checksums._SHORT` */
enum { NOT_ASKED = 0, FOR_PYTHON = 1, FIRST_RULE = 2 };
enum { TOLD = 32 }; /* the first space of the memo of a sieve that learns */

struct rule {
    program made;
    uint32_t rank, group, flags, number, reach;
    uint32_t kinds[GROUPS]; /* what each group tells, and one; 0 for nothing */
    char kind[64];
};

void rules_free(sieve *s) {
    for (size_t i = 0; i < s->rule_count; i++)
        program_free(&s->rules[i].made);
    free(s->rules);
    free(s->of_anchor);
    match_free(&s->matcher);
}

static bool map_anchors(sieve *s, size_t first, size_t count, uint32_t to) {
    if (s->of_anchor == NULL)
        s->of_anchor = calloc(ANCHORS, sizeof *s->of_anchor);
    if (s->of_anchor == NULL || first > ANCHORS || count > ANCHORS - first)
        return false;
    for (size_t i = first; i < first + count; i++)
        s->of_anchor[i] = to;
    return true;
}

bool sieve_leave(sieve *s, size_t first, size_t count) { return map_anchors(s, first, count, FOR_PYTHON); }

bool sieve_rule(sieve *s, size_t first, size_t count, const uint32_t *numbers, const char *kind, const uint32_t *code,
                size_t size, const uint8_t *sets, size_t set_count) {
    if (strlen(kind) >= sizeof(((struct rule *)0)->kind))
        return false;
    struct rule *grown = realloc(s->rules, (s->rule_count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    s->rules = grown;
    struct rule r = {.rank = numbers[0], .group = numbers[1], .flags = numbers[2], .reach = numbers[3]};
    r.number = (uint32_t)s->rule_count;
    memcpy(r.kinds, numbers + 4, sizeof r.kinds);
    memcpy(r.kind, kind, strlen(kind) + 1);
    program made = {code, size, sets, set_count};
    if (r.group >= GROUPS || !program_copy(&r.made, &made))
        return false;
    if (!map_anchors(s, first, count, FIRST_RULE + r.number)) {
        program_free(&r.made);
        return false;
    }
    s->rules[s->rule_count++] = r;
    return true;
}

bool sieve_assignments(sieve *s, size_t first, size_t count, uint32_t rank, const uint8_t *settings,
                       size_t settings_size, const uint8_t *masks, size_t masks_size) {
    uint32_t numbers[4 + GROUPS] = {rank, 0, RULE_ASSIGNMENT, 0}, nothing[4] = {0};
    return list_words(&s->settings, settings, settings_size) && list_words(&s->masks, masks, masks_size) &&
           sieve_rule(s, first, count, numbers, "password", nothing, 4, masks, 0);
}

/* Give what confirms the event, NULL where Python does, which is told of it then. */
static const struct rule *rule_of(scan *c, uint64_t event, bool *good) {
    const sieve *s = c->of;
    uint32_t to = s->of_anchor == NULL ? NOT_ASKED : s->of_anchor[event & (ANCHORS - 1)];
    *good = true;
    if (to == NOT_ASKED)
        *good = bytes_add(&c->unknown, &event, sizeof event);
    else if (to == FOR_PYTHON)
        *good = bytes_add(&c->events, &event, sizeof event);
    return to < FIRST_RULE || to - FIRST_RULE >= s->rule_count ? NULL : &s->rules[to - FIRST_RULE];
}

/* `Pseudonymizer.tag`. */
bool set_tag(scan *c, uint32_t entry, const char *kind, text value) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[32], made[80];
    size_t size = strlen(kind);
    hmac_digest(&c->of->key, "secret", value, digest);
    made[0] = '[';
    memcpy(made + 1, kind, size);
    made[size + 1] = ':';
    for (size_t i = 0; i < 4; i++) {
        made[size + 2 + 2 * i] = (uint8_t)digits[digest[i] >> 4];
        made[size + 3 + 2 * i] = (uint8_t)digits[digest[i] & 15];
    }
    made[size + 10] = ']';
    return memo_set(&c->of->memo, entry, KNOWN, 0, (text){made, size + 11});
}

static bool all_the_same(text value) {
    for (size_t i = 1; i < value.size; i++)
        if (value.at[i] != value.at[0])
            return false;
    return true;
}

/* Say whether a value begins as what encodes a tag does: Python looks at it (`detector._ENCODED_TAGS`). */
bool may_hold_tag(text value) {
    return value.size >= 2 && ((value.at[0] == 'W' && (value.at[1] == '2' || value.at[1] == '3')) ||
                               (value.at[0] == '5' && (value.at[1] | 0x20) == 'b'));
}

/* `checksums.varied`. */
static bool is_varied(text value) {
    size_t counts[256] = {0}, last[256] = {0}, kinds = 0;
    size_t from = value.size < SHORT_VALUE ? 0 : value.size - SHORT_VALUE;
    for (size_t i = 0; i < value.size; i++) {
        if (2 * ++counts[value.at[i]] > value.size)
            return false;
        if (i >= from)
            kinds += last[value.at[i]]++ == 0;
    }
    return kinds >= (value.size < SHORT_VALUE ? 3 : 4);
}

static bool confirm(scan *c, text buf, uint64_t event, const struct rule *r) {
    size_t start = (size_t)(event >> (INDEX_BITS + LENGTH_BITS));
    if (start > buf.size)
        return false;
    if (r->flags & RULE_ASSIGNMENT) {
        bool ask, later;
        return see_assignment(c, buf, start, r->rank, &ask, &later) &&
               (!ask || bytes_add(&c->events, &event, sizeof event)) &&
               (!later || bytes_add(&c->unknown, &event, sizeof event));
    }
    matcher *m = &c->of->matcher;
    size_t stop = buf.size - start > r->reach ? start + r->reach : buf.size;
    int result = match_at(m, &r->made, buf, start, stop);
    if (result == FAILED)
        return true;
    size_t from = m->from[r->group], to = m->to[r->group];
    if (result == MATCHED && (from == SIZE_MAX || to == SIZE_MAX || from >= to))
        return true;
    text value = result == MATCHED ? part(buf, from, to) : buf;
    if (result != MATCHED || value.size >= LONG_VALUE || may_hold_tag(value))
        return bytes_add(&c->events, &event, sizeof event);
    if (all_the_same(value))
        return true;
    uint32_t entry = memo_find(&c->of->memo, FIRST_RULE_SPACE + r->number, value);
    if (entry == NO_ENTRY)
        return false;
    if (c->of->memo.entries[entry].state == UNKNOWN) {
        bool plain = (r->flags & RULE_TAG) && memchr(value.at, '[', value.size) == NULL &&
                     memchr(value.at, '\n', value.size) == NULL;
        bool stays = plain && (r->flags & RULE_VARIED) && !is_varied(value);
        if (!(stays   ? memo_set(&c->of->memo, entry, NONE, 0, (text){value.at, 0})
              : plain ? set_tag(c, entry, r->kind, value)
                      : ask_entry(c, entry)))
            return false;
    }
    return add_hit(c, from, to, entry, r->rank, RULE, NO_ENTRY);
}

bool sieve_confirm(scan *c, const uint8_t *at, size_t size, const uint8_t *events, size_t count) {
    c->unknown.size = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t event;
        bool good;
        memcpy(&event, events + i * sizeof event, sizeof event);
        const struct rule *r = rule_of(c, event, &good);
        if (!good || (r != NULL && !confirm(c, (text){at, size}, event, r)))
            return false;
    }
    return true;
}

size_t sieve_unknown(const scan *c, const uint8_t **at) {
    *at = c->unknown.at;
    return c->unknown.size;
}

/* --- learning */

static uint64_t event_at(const uint8_t *events, size_t number) {
    uint64_t event;
    memcpy(&event, events + number * sizeof event, sizeof event);
    return event;
}

/* Sort numbers by merging runs of doubling length; `spare` has as much room. */
static void sort_numbers(uint64_t *numbers, uint64_t *spare, size_t count) {
    for (size_t width = 1; width < count; width *= 2)
        for (size_t low = 0; low + width < count; low += 2 * width) {
            size_t middle = low + width, high = count - low > 2 * width ? low + 2 * width : count;
            if (numbers[middle - 1] <= numbers[middle])
                continue;
            size_t a = low, b = middle, to = low;
            memcpy(spare + low, numbers + low, (high - low) * sizeof *numbers);
            while (a < middle && b < high)
                numbers[to++] = spare[b] < spare[a] ? spare[b++] : spare[a++];
            memcpy(numbers + to, a < middle ? spare + a : spare + b, (high - to) * sizeof *numbers);
        }
}

/* Put the events in order of place and anchor, each once and without its length: what is told first counts. */
static bool order_events(scan *c, const uint8_t *events, size_t count) {
    c->ordered.size = 0;
    if (count > LARGEST / 16 || !bytes_reserve(&c->ordered, 2 * count * sizeof(uint64_t) + 1))
        return false;
    uint64_t *ordered = (uint64_t *)(void *)c->ordered.at;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        ordered[i] = event_at(events, i) & ~((((uint64_t)1 << LENGTH_BITS) - 1) << INDEX_BITS);
    sort_numbers(ordered, ordered + count, count);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || ordered[kept - 1] != ordered[i])
            ordered[kept++] = ordered[i];
    c->ordered.size = kept * sizeof *ordered;
    return true;
}

/* Give what reads at an event that is known; NULL where Python does. */
static const struct rule *to_learn(const scan *c, uint64_t event) {
    uint32_t to = c->of->of_anchor[event & (ANCHORS - 1)];
    return to < FIRST_RULE || to - FIRST_RULE >= c->of->rule_count ? NULL : &c->of->rules[to - FIRST_RULE];
}

/* Tell what the last match's groups hold, unless it was told before. */
static bool tell(scan *c, text buf, const struct rule *r) {
    memo *known = &c->of->memo;
    const matcher *m = &c->of->matcher;
    for (uint32_t group = 1; group < GROUPS; group++) {
        size_t from = m->from[group], to = m->to[group];
        if (r->kinds[group] == 0 || from == SIZE_MAX || to == SIZE_MAX || from >= to)
            continue;
        text value = part(buf, from, to);
        uint32_t entry = memo_find(known, TOLD + r->kinds[group], value);
        if (entry == NO_ENTRY)
            return false;
        if (known->entries[entry].state == KNOWN)
            continue;
        known->entries[entry].state = KNOWN;
        uint32_t head[2] = {r->kinds[group] - 1, (uint32_t)value.size};
        if (!bytes_add(&c->told, head, sizeof head) || !bytes_add(&c->told, value.at, value.size))
            return false;
    }
    return true;
}

/* `Learner._learn_lines`: read all lines, whatever line the event is of. */
static bool learn_lines(scan *c, text buf, uint64_t event, const struct rule *r) {
    matcher *m = &c->of->matcher;
    for (size_t at = 0; at + sizeof r->number <= c->lines_read.size; at += sizeof r->number)
        if (memcmp(c->lines_read.at + at, &r->number, sizeof r->number) == 0)
            return true;
    if (!bytes_add(&c->lines_read, &r->number, sizeof r->number))
        return false;
    for (size_t at = 0; at < buf.size;) {
        const uint8_t *line = memchr(buf.at + at, '\n', buf.size - at);
        if (line == NULL)
            return true;
        size_t start = (size_t)(line - buf.at);
        int result = match_at(m, &r->made, buf, start, buf.size);
        if (result == GAVE_UP)
            return bytes_add(&c->events, &event, sizeof event);
        at = result == MATCHED && m->to[0] > start ? m->to[0] : start + 1;
        if (result == MATCHED && !tell(c, buf, r))
            return false;
    }
    return true;
}

/* `Learner._learn_at`. What was read here before is read again: that costs less than to know it again. */
static bool learn(scan *c, text buf, uint64_t event, const struct rule *r) {
    matcher *m = &c->of->matcher;
    size_t start = (size_t)(event >> (INDEX_BITS + LENGTH_BITS));
    if (start > buf.size)
        return false;
    size_t stop = buf.size - start > LEARNING_REACH ? start + LEARNING_REACH : buf.size;
    int result = match_at(m, &r->made, buf, start, stop);
    if (result == GAVE_UP)
        return bytes_add(&c->events, &event, sizeof event);
    return result == FAILED || tell(c, buf, r);
}

/* Read at the events: what is told for the first time stands in `told`, kind and size as 32 bits, then the value. Where
 * anything is unknown nothing is read, so that all is told in the order of its places; lines last, as Python has it. */
bool sieve_learn(scan *c, const uint8_t *at, size_t size, const uint8_t *events, size_t count) {
    c->unknown.size = c->events.size = c->told.size = c->lines_read.size = 0;
    bool good = order_events(c, events, count);
    count = c->ordered.size / sizeof(uint64_t);
    for (size_t i = 0; i < count && good; i++)
        rule_of(c, event_at(c->ordered.at, i), &good);
    c->events.size = 0;
    if (c->unknown.size > 0)
        return good;
    for (int lines = 0; lines < 2; lines++)
        for (size_t i = 0; i < count && good; i++) {
            uint64_t event = event_at(c->ordered.at, i);
            const struct rule *r = to_learn(c, event);
            if (r == NULL)
                good = lines != 0 || bytes_add(&c->events, &event, sizeof event);
            else if ((r->flags & RULE_LINES) != 0)
                good = lines == 0 || learn_lines(c, (text){at, size}, event, r);
            else
                good = lines != 0 || learn(c, (text){at, size}, event, r);
        }
    return good;
}

void sieve_forget(sieve *s) { memo_clear(&s->memo); }
