#include "sieve.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define REMEMBERED 65536
#define STORED ((size_t)16 << 20)
#define TOO_MUCH ((size_t)64 << 20)
#define ASKED UINT32_MAX

sieve *sieve_new(const uint8_t inner[64], const uint8_t outer[64], const uint32_t *ranks, const uint32_t *anchors,
                 uint32_t domain_rank, uint32_t settling, const uint8_t *tails, const uint8_t *versions,
                 size_t versions_size) {
    text_prepare();
    sieve *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    hmac_prepare(&s->key, inner, outer);
    uint8_t seed[32];
    hmac_digest(&s->key, "memo", (text){inner, 0}, seed);
    memcpy(&s->memo.seed, seed, sizeof s->memo.seed);
    memcpy(s->ranks, ranks, sizeof s->ranks);
    memcpy(s->anchors, anchors, sizeof s->anchors);
    memcpy(s->tails, tails, sizeof s->tails);
    if (!bytes_add(&s->versions, versions, versions_size)) {
        free(s);
        return NULL;
    }
    s->domain_rank = domain_rank;
    s->settling = settling != 0;
    return s;
}

void sieve_free(sieve *s) {
    if (s == NULL)
        return;
    if (s->outstanding > 0) { /* whoever collects garbage may take it before what it gave: the last scan frees it */
        s->closed = true;
        return;
    }
    words_free(s);
    rules_free(s);
    for (int which = 0; which < PROGRAMS; which++)
        program_free(&s->programs[which]);
    memo_free(&s->memo);
    free(s->versions.at);
    free(s->masks.words.at);
    free(s->settings.words.at);
    memset(&s->key, 0, sizeof s->key);
    free(s);
}

bool sieve_program(sieve *s, uint32_t which, const uint32_t *code, size_t size, const uint8_t *sets, size_t set_count) {
    program made = {code, size, sets, set_count};
    return which < PROGRAMS && s->programs[which].code == NULL && program_copy(&s->programs[which], &made);
}

bool ask_entry(scan *c, uint32_t entry) {
    memo_entry *e = &c->of->memo.entries[entry];
    if (e->extra == ASKED)
        return true;
    e->extra = ASKED;
    return bytes_add(&c->asked, &entry, sizeof entry);
}

bool ask_finder(scan *c, int look, size_t start, size_t size) {
    uint64_t event = ((uint64_t)start << LENGTH_BITS | size) << INDEX_BITS | c->of->anchors[look];
    return bytes_add(&c->events, &event, sizeof event);
}

/* Past `TOO_MUCH` a block is made of nothing but long names: Python takes it, and remembers less. */
bool add_hit(scan *c, size_t start, size_t end, uint32_t entry, uint32_t rank, uint32_t kind, uint32_t other) {
    hit h = {(uint32_t)start, (uint32_t)end, entry, rank, kind, other};
    return c->of->memo.store.size < TOO_MUCH && bytes_add(&c->hits, &h, sizeof h);
}

static bool see_at(scan *c, text buf, size_t i) {
    const uint32_t *ranks = c->of->ranks;
    switch (buf.at[i]) {
    case '.':
        if (ranks[LOOK_IPV4] != NO_RANK && is(byte_at(buf, i + 1), DIGIT) && is(byte_at(buf, i - 1), DIGIT))
            return see_ipv4(c, buf, i);
        break;
    case ':':
        if (byte_at(buf, i + 1) == ':') {
            if (is(byte_at(buf, i - 1), HEXDIGIT) && ranks[LOOK_IPV6] != NO_RANK)
                return ask_finder(c, LOOK_IPV6, i - 1, 3);
        } else if (byte_at(buf, i + 3) == ':' && byte_at(buf, i + 6) == ':' && ranks[LOOK_MAC] != NO_RANK)
            return see_mac(c, buf, i);
        break;
    case '@':
        if (ranks[LOOK_MAIL] != NO_RANK && is_alnum(byte_at(buf, i + 1)))
            return see_mail(c, buf, i);
        break;
    case '+':
        if (ranks[LOOK_PHONE] != NO_RANK && is(byte_at(buf, i + 1), DIGIT))
            return see_phone(c, buf, i);
        break;
    case '%':
        if (ranks[LOOK_MAIL_ENCODED] != NO_RANK && byte_at(buf, i + 1) == '4' && byte_at(buf, i + 2) == '0' &&
            is_alnum(byte_at(buf, i + 3)))
            return ask_finder(c, LOOK_MAIL_ENCODED, i, 4);
        break;
    default:
        break;
    }
    return true;
}

enum { BEFORE = 1, BEHIND = 6 }; /* bytes that are looked at on either side of a mark */

/* Mark what `see_at` looks at, and need not be passed over for the bytes around it. */
#ifdef __SSE2__
static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }
static inline __m128i same(__m128i these, char as) { return _mm_cmpeq_epi8(these, _mm_set1_epi8(as)); }

static inline __m128i digits(__m128i these) {
    these = _mm_sub_epi8(these, _mm_set1_epi8('0'));
    return _mm_cmpeq_epi8(_mm_min_epu8(these, _mm_set1_epi8(9)), these);
}

static inline uint64_t marked(const uint8_t *at) {
    uint64_t made = 0;
    for (int i = 0; i < STRIDE; i += 16) {
        __m128i here = load(at + i), next = load(at + i + 1), digit = digits(next);
        __m128i chain = _mm_or_si128(same(next, ':'), _mm_and_si128(same(load(at + i + 3), ':'), same(load(at + i + 6), ':')));
        __m128i marks = _mm_and_si128(_mm_and_si128(same(here, '.'), digit), digits(load(at + i - 1)));
        marks = _mm_or_si128(marks, _mm_and_si128(same(here, ':'), chain));
        marks = _mm_or_si128(marks, _mm_or_si128(same(here, '@'), _mm_and_si128(same(here, '%'), same(next, '4'))));
        marks = _mm_or_si128(marks, _mm_and_si128(same(here, '+'), digit));
        made |= (uint64_t)(unsigned)_mm_movemask_epi8(marks) << i;
    }
    return made;
}
#else
static inline uint64_t marked(const uint8_t *at) {
    uint8_t marks[STRIDE]; /* one byte after the other: of all four at once compilers make a table, and go byte by byte */
    for (int i = 0; i < STRIDE; i++)
        marks[i] = at[i] == '.';
    for (int i = 0; i < STRIDE; i++)
        marks[i] |= at[i] == ':';
    for (int i = 0; i < STRIDE; i++)
        marks[i] |= at[i] == '@';
    for (int i = 0; i < STRIDE; i++)
        marks[i] |= at[i] == '%';
    for (int i = 0; i < STRIDE; i++)
        marks[i] |= at[i] == '+';
    return gathered(marks);
}
#endif

static bool see(scan *c, text buf) {
    bool any = false;
    for (int look = 0; look < LOOKS; look++)
        any = any || c->of->ranks[look] != NO_RANK;
    if (!any)
        return true;
    size_t at = 0;
    for (; at < BEFORE && at < buf.size; at++)
        if (!see_at(c, buf, at))
            return false;
    for (; at + STRIDE + BEHIND <= buf.size; at += STRIDE)
        for (uint64_t marks = marked(buf.at + at); marks != 0; marks &= marks - 1)
            if (!see_at(c, buf, at + first_marked(marks)))
                return false;
    for (; at < buf.size; at++)
        if (!see_at(c, buf, at))
            return false;
    return true;
}

scan *sieve_scan(sieve *s, const uint8_t *buf, size_t size) {
    if (size >= LARGEST)
        return NULL;
    if (s->outstanding == 0 && (s->memo.count > REMEMBERED || s->memo.store.size > STORED))
        memo_clear(&s->memo);
    scan *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->of = s;
    s->outstanding++;
    text t = {buf, size};
    if (!see(c, t) || (s->word_count > 0 && !see_words(c, t))) {
        sieve_done(c);
        return NULL;
    }
    return c;
}

size_t sieve_asked(scan *c, const uint8_t **told) {
    size_t count = c->asked.size / sizeof(uint32_t);
    c->told.size = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t entry;
        memcpy(&entry, c->asked.at + i * sizeof entry, sizeof entry);
        const memo_entry *e = &c->of->memo.entries[entry];
        uint32_t head[2] = {e->space, e->key_size};
        if (!bytes_add(&c->told, head, sizeof head) || !bytes_add(&c->told, c->of->memo.store.at + e->key, e->key_size))
            return SIZE_MAX;
    }
    *told = c->told.at;
    return c->told.size;
}

bool sieve_tell(scan *c, const uint8_t *at, size_t size) {
    size_t count = c->asked.size / sizeof(uint32_t), done = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t entry, head[3];
        memcpy(&entry, c->asked.at + i * sizeof entry, sizeof entry);
        if (size - done < sizeof head)
            return false;
        memcpy(head, at + done, sizeof head);
        done += sizeof head;
        if (size - done < head[2])
            return false;
        if (!memo_set(&c->of->memo, entry, head[0], head[1], (text){at + done, head[2]}))
            return false;
        done += head[2];
    }
    c->asked.size = 0;
    return true;
}

/* In order of start, rank, and end from behind: `candidate.Candidate`. */
static bool comes_first(const hit *a, const hit *b) {
    if (a->start != b->start)
        return a->start < b->start;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->end >= b->end;
}

/* Sort by merging runs of doubling length: what comes in order already costs next to nothing. */
static bool sort_hits(hit *hits, size_t count) {
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++)
        sorted = comes_first(&hits[i - 1], &hits[i]);
    if (sorted)
        return true;
    hit *spare = malloc(count * sizeof *spare);
    if (spare == NULL)
        return false;
    hit *from = hits, *to = spare;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t middle = low + width < count ? low + width : count;
            size_t high = middle + width < count ? middle + width : count;
            size_t a = low, b = middle;
            for (size_t i = low; i < high; i++)
                to[i] = a < middle && (b >= high || comes_first(&from[a], &from[b])) ? from[a++] : from[b++];
        }
        hit *swap = from;
        from = to;
        to = swap;
    }
    if (from != hits)
        memcpy(hits, from, count * sizeof *hits);
    free(spare);
    return true;
}

/* Keep one of what several anchors have found. */
static void drop_doubles(scan *c) {
    hit *hits = (hit *)(void *)c->hits.at;
    size_t count = c->hits.size / sizeof(hit), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || hits[i].start != hits[kept - 1].start || hits[i].end != hits[kept - 1].end ||
            hits[i].rank != hits[kept - 1].rank)
            hits[kept++] = hits[i];
    c->hits.size = kept * sizeof(hit);
}

bool sieve_settle(scan *c, const uint8_t *buf, size_t size) {
    memo *m = &c->of->memo;
    hit *hits = (hit *)(void *)c->hits.at;
    const hit *others = (const hit *)(const void *)c->others.at;
    size_t count = c->hits.size / sizeof(hit), kept = 0;
    for (size_t i = 0; i < count; i++) {
        hit h = hits[i];
        if (h.kind == IPV4 && m->entries[h.entry].state == UNKNOWN && !settle_ipv4(c, h.entry))
            return false;
        if (m->entries[h.entry].state == NONE && h.other != NO_ENTRY)
            h = others[h.other];
        if (m->entries[h.entry].state == UNKNOWN)
            return false; /* it was asked and not told */
        if (m->entries[h.entry].state == KNOWN)
            hits[kept++] = h;
    }
    c->hits.size = kept * sizeof(hit);
    if (!settle_mails(c, (text){buf, size}))
        return false;
    c->mails.size = 0;
    if (!sort_hits((hit *)(void *)c->hits.at, c->hits.size / sizeof(hit)))
        return false;
    drop_doubles(c);
    return true;
}

size_t sieve_events(const scan *c, const uint8_t **at) {
    *at = c->events.at;
    return c->events.size;
}

size_t sieve_names(const scan *c, const uint8_t **at) {
    *at = c->names.at;
    return c->names.size;
}

size_t sieve_hits(const scan *c, const uint8_t **at) {
    *at = c->hits.at;
    return c->hits.size;
}

void sieve_done(scan *c) {
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->asked.size / sizeof(uint32_t); i++) { /* what was not told is asked again */
        uint32_t entry;
        memcpy(&entry, c->asked.at + i * sizeof entry, sizeof entry);
        c->of->memo.entries[entry].extra = 0;
    }
    c->of->outstanding--;
    if (c->of->closed && c->of->outstanding == 0)
        sieve_free(c->of);
    free(c->hits.at);
    free(c->others.at);
    free(c->mails.at);
    free(c->asked.at);
    free(c->events.at);
    free(c->names.at);
    free(c->told.at);
    free(c->unknown.at);
    free(c->written.at);
    free(c->notes.at);
    free(c->lines_read.at);
    free(c->ordered.at);
    free(c);
}
