/* What was worked out for a text, by the space that it belongs to. Entries have numbers and stay where they are.
 *
 * What is unknown is asked of Python, for all of a block at once.
 */
#ifndef MFT_MEMO_H
#define MFT_MEMO_H

#include "text.h"

enum { UNKNOWN = 0, KNOWN = 1, NONE = 2 };

typedef struct {
    uint64_t hash;
    uint32_t space;
    uint32_t key, key_size; /* in `store` */
    uint32_t new, new_size; /* what stands for it, where it is KNOWN */
    uint32_t extra;
    uint32_t state;
} memo_entry;

typedef struct {
    uint64_t seed;
    memo_entry *entries;
    uint32_t count, room;
    uint32_t *table; /* numbers of entries and one, 0 where there is none */
    uint32_t mask;
    bytes store;
} memo;

#define NO_ENTRY UINT32_MAX

/* Give the number of the entry for `key`, made where there is none; `NO_ENTRY` where there is no memory. */
uint32_t memo_find(memo *m, uint32_t space, text key);
bool memo_set(memo *m, uint32_t entry, uint32_t state, uint32_t extra, text new);
void memo_clear(memo *m);
void memo_free(memo *m);

static inline text memo_key(const memo *m, uint32_t entry) {
    return (text){m->store.at + m->entries[entry].key, m->entries[entry].key_size};
}
static inline text memo_new(const memo *m, uint32_t entry) {
    return (text){m->store.at + m->entries[entry].new, m->entries[entry].new_size};
}

#endif
