/* Write a block anew, its hits and what Python found beside them replaced: `text.TextScrubber._write`. */
#include "sieve.h"

/* What Python found, in order: `start`, `end`, `rank`, how long that is which stands for it, and whether it is noted. */
typedef struct {
    uint32_t start, end;
    int32_t rank;
    uint32_t new_size, noted;
} found;

static bool hit_comes_first(const hit *h, const found *f) {
    if (h->start != f->start)
        return h->start < f->start;
    if ((int32_t)h->rank != f->rank)
        return (int32_t)h->rank < f->rank;
    return h->end > f->end;
}

static bool put(scan *c, text new, size_t replaced, bool same_length) {
    if (!same_length)
        return bytes_add(&c->written, new.at, new.size);
    if (!bytes_reserve(&c->written, replaced))
        return false;
    memset(c->written.at + c->written.size, 'x', replaced);
    c->written.size += replaced;
    return true;
}

size_t sieve_write(scan *c, const uint8_t *at, size_t size, size_t pos, size_t limit, const uint8_t *rows, size_t count,
                   const uint8_t *news, size_t news_size, uint32_t same_length) {
    text buf = {at, size};
    const hit *hits = (const hit *)(const void *)c->hits.at;
    size_t hit_count = c->hits.size / sizeof(hit), h = 0, f = 0, new_at = 0;
    c->written.size = c->notes.size = 0;
    if (limit > size || pos > size || !bytes_reserve(&c->written, size - pos + 4096))
        return SIZE_MAX;
    while (h < hit_count || f < count) {
        found other = {0};
        if (f < count)
            memcpy(&other, rows + f * sizeof other, sizeof other);
        bool of_hits = f >= count || (h < hit_count && hit_comes_first(&hits[h], &other));
        uint32_t which = of_hits ? HITS | (uint32_t)h : (uint32_t)f, noted = 1;
        size_t start, end;
        int32_t rank;
        text new;
        if (of_hits) {
            start = hits[h].start;
            end = hits[h].end;
            rank = (int32_t)hits[h].rank;
            new = memo_new(&c->of->memo, hits[h].entry);
            h++;
        } else {
            if (other.new_size > news_size - new_at)
                return SIZE_MAX;
            start = other.start;
            end = other.end;
            rank = other.rank;
            noted = other.noted;
            new = (text){news + new_at, other.new_size};
            new_at += other.new_size;
            f++;
        }
        if (start < pos)
            continue;
        if (start >= limit)
            break;
        if (end < start || end > size)
            return SIZE_MAX;
        text between = part(buf, pos, start);
        if (!bytes_add(&c->written, between.at, between.size))
            return SIZE_MAX;
        note n = {rank, (uint32_t)c->written.size, 0, which};
        if (!put(c, new, end - start, same_length != 0))
            return SIZE_MAX;
        n.size = (uint32_t)c->written.size - n.offset;
        if (noted && !bytes_add(&c->notes, &n, sizeof n))
            return SIZE_MAX;
        pos = end;
    }
    return pos;
}

/* Write all up to `to` as it is. */
bool sieve_write_rest(scan *c, const uint8_t *buf, size_t size, size_t from, size_t to) {
    text rest = part((text){buf, size}, from, to);
    return bytes_add(&c->written, rest.at, rest.size);
}

size_t sieve_written(const scan *c, const uint8_t **at) {
    *at = c->written.at;
    return c->written.size;
}

size_t sieve_notes(const scan *c, const uint8_t **at) {
    *at = c->notes.at;
    return c->notes.size;
}

/* Give what stands for each hit, behind its size as 32 bits. */
size_t sieve_news(scan *c, const uint8_t **at) {
    size_t count = c->hits.size / sizeof(hit);
    const hit *hits = (const hit *)(const void *)c->hits.at;
    c->told.size = 0;
    for (size_t i = 0; i < count; i++) {
        text new = memo_new(&c->of->memo, hits[i].entry);
        uint32_t size = (uint32_t)new.size;
        if (!bytes_add(&c->told, &size, sizeof size) || !bytes_add(&c->told, new.at, new.size))
            return SIZE_MAX;
    }
    *at = c->told.at;
    return c->told.size;
}
