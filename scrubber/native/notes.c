/* Tell of what was replaced what is asked of very many: fingerprints (`Pseudonymizer.fingerprint`), and which secrets
 * the second look may want to remember (`secondlook.is_distinctive`). */
#include "sieve.h"

#include <stdlib.h>

enum { PRINT = 6 };

/* Give the hit that a note tells of, NULL where Python found it. */
static const hit *hit_of(const scan *c, note n) {
    size_t number = n.which - HITS;
    return n.which < HITS || number >= c->hits.size / sizeof(hit) ? NULL : (const hit *)(const void *)c->hits.at + number;
}

static note note_at(const uint8_t *notes, size_t number) {
    note n;
    memcpy(&n, notes + number * sizeof n, sizeof n);
    return n;
}

/* `Sifted._value`: what a hit's pseudonym is made of. */
static bool add_value(bytes *made, text buf, const hit *h) {
    text seen = part(buf, h->start, h->end);
    made->size = 0;
    if (!bytes_reserve(made, seen.size + 1))
        return false;
    for (size_t i = 0; i < seen.size; i++)
        if (h->kind == PHONE ? is(seen.at[i], DIGIT) : h->kind != MAC || seen.at[i] != ':')
            made->at[made->size++] = h->kind == IPV4 || h->kind == RULE ? seen.at[i] : lower(seen.at[i]);
    return true;
}

bool sieve_prints(scan *c, const uint8_t *at, size_t size, const uint8_t *notes, size_t count, const uint8_t *kinds,
                  size_t kinds_size, const uint32_t *of_ranks, size_t ranks, uint8_t *prints) {
    bytes value = {0};
    bool good = kinds_size > 0 && kinds[kinds_size - 1] == 0;
    for (size_t i = 0; i < count && good; i++) {
        note n = note_at(notes, i);
        const hit *h = hit_of(c, n);
        if (h == NULL)
            continue;
        good = n.rank >= 0 && (size_t)n.rank < ranks && of_ranks[n.rank] < kinds_size &&
               add_value(&value, (text){at, size}, h);
        if (!good)
            break;
        uint8_t digest[32];
        hmac_digest(&c->of->key, (const char *)kinds + of_ranks[n.rank], (text){value.at, value.size}, digest);
        memcpy(prints + i * PRINT, digest, PRINT);
    }
    free(value.at);
    return good;
}

bool sieve_counts(const uint8_t *notes, size_t count, uint32_t *counts, size_t ranks) {
    for (size_t i = 0; i < count; i++) {
        note n = note_at(notes, i);
        if (n.rank < 0 || (size_t)n.rank >= ranks)
            return false;
        counts[n.rank]++;
    }
    return true;
}

static bool stands_between(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || strchr("[]{}<>$%/\\", c) != NULL;
}

/* Say what `is_distinctive` does but for the entropy: letters of either case, a digit, and nothing that parts words. */
static bool may_be_distinctive(text value) {
    bool digit = false, small = false, large = false;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.at[i];
        if (c == 0 || stands_between(c))
            return c == 0;
        digit = digit || is(c, DIGIT);
        large = large || is(c, UPPER);
        small = small || (is(c, LETTER) && !is(c, UPPER));
    }
    return digit && small && large;
}

bool sieve_secrets(scan *c, const uint8_t *at, size_t size, const uint8_t *notes, size_t count, const uint8_t *secret,
                   size_t ranks, size_t shortest, size_t longest) {
    text buf = {at, size};
    c->told.size = 0;
    for (size_t i = 0; i < count; i++) {
        note n = note_at(notes, i);
        if (n.rank < 0 || (size_t)n.rank >= ranks || !secret[n.rank])
            continue;
        const hit *h = hit_of(c, n);
        text value = h != NULL ? part(buf, h->start, h->end) : (text){at, 0};
        uint32_t number = (uint32_t)i;
        if (h != NULL && (value.size < shortest || value.size > longest || !may_be_distinctive(value)))
            continue;
        if (!bytes_add(&c->told, &number, sizeof number))
            return false;
    }
    return true;
}
