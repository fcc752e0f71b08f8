#include "memo.h"

#include <stdlib.h>

#define MIX 0x9e3779b97f4a7c15u

/* Whoever sends texts does not know the seed, and so not which of them share a place. */
static uint64_t hashed(uint64_t seed, uint32_t space, text key) {
    uint64_t h = (seed ^ space) * MIX;
    size_t at = 0;
    for (; at + 8 <= key.size; at += 8) {
        uint64_t word;
        memcpy(&word, key.at + at, 8);
        h = (h ^ word) * MIX;
        h ^= h >> 32;
    }
    uint64_t rest = key.size;
    for (; at < key.size; at++)
        rest = rest << 8 | key.at[at];
    h = (h ^ rest ^ seed >> 7) * MIX;
    return h ^ h >> 29;
}

static bool grow(memo *m) {
    uint32_t room = m->table == NULL ? 4096 : (m->mask + 1) * 2;
    if (room > (uint32_t)1 << 26)
        return false;
    uint32_t *table = calloc(room, sizeof *table);
    if (table == NULL)
        return false;
    for (uint32_t i = 0; i < m->count; i++) {
        uint32_t at = (uint32_t)m->entries[i].hash & (room - 1);
        while (table[at] != 0)
            at = (at + 1) & (room - 1);
        table[at] = i + 1;
    }
    free(m->table);
    m->table = table;
    m->mask = room - 1;
    return true;
}

uint32_t memo_find(memo *m, uint32_t space, text key) {
    if ((m->table == NULL || m->count >= m->mask / 2) && !grow(m))
        return NO_ENTRY;
    uint64_t hash = hashed(m->seed, space, key);
    uint32_t at = (uint32_t)hash & m->mask;
    for (; m->table[at] != 0; at = (at + 1) & m->mask) {
        const memo_entry *e = &m->entries[m->table[at] - 1];
        if (e->hash == hash && e->space == space && e->key_size == key.size &&
            memcmp(m->store.at + e->key, key.at, key.size) == 0)
            return m->table[at] - 1;
    }
    if (m->count == m->room) {
        uint32_t room = m->room ? m->room * 2 : 1024;
        memo_entry *entries = realloc(m->entries, room * sizeof *entries);
        if (entries == NULL)
            return NO_ENTRY;
        m->entries = entries;
        m->room = room;
    }
    memo_entry e = {.hash = hash, .space = space, .key = (uint32_t)m->store.size, .key_size = (uint32_t)key.size};
    if (!bytes_add(&m->store, key.at, key.size))
        return NO_ENTRY;
    m->entries[m->count] = e;
    m->table[at] = ++m->count;
    return m->count - 1;
}

bool memo_set(memo *m, uint32_t entry, uint32_t state, uint32_t extra, text new) {
    memo_entry *e = &m->entries[entry];
    e->new = (uint32_t)m->store.size;
    e->new_size = (uint32_t)new.size;
    if (!bytes_add(&m->store, new.at, new.size))
        return false;
    e->extra = extra;
    e->state = state;
    return true;
}

void memo_clear(memo *m) {
    if (m->table != NULL)
        memset(m->table, 0, ((size_t)m->mask + 1) * sizeof *m->table);
    m->count = 0;
    m->store.size = 0;
}

void memo_free(memo *m) {
    free(m->entries);
    free(m->table);
    free(m->store.at);
    memset(m, 0, sizeof *m);
}
