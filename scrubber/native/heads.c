/* Make events of what the scan of anchors told: `anchors.HyperscanScanner.scan`. Where only what follows an anchor's head
 * was looked for, the head is matched backwards from there, by a program that `programs.make_program` made backwards. */
#include "sieve.h"

#include <stdlib.h>

enum { HEADED = 1 << INDEX_BITS, LONGEST_HEAD = 64 };

/* The head of the anchor `index`. */
typedef struct {
    uint64_t index, code_size, set_count;
    const uint32_t *code;
    const uint8_t *sets;
} head;

static bool put_event(bytes *made, uint64_t start, uint64_t end, uint64_t index) {
    uint64_t size = (end - start) & ((1u << LENGTH_BITS) - 1);
    uint64_t event = (start << LENGTH_BITS | size) << INDEX_BITS | index;
    return bytes_add(made, &event, sizeof event);
}

/* Put the event of an anchor whose rest stands from `at` to `end`, if its head stands before; false where it gave up. */
static bool see_head(matcher *m, const head *h, text buf, uint64_t at, uint64_t end, bytes *made) {
    uint8_t before[LONGEST_HEAD];
    size_t size = at < LONGEST_HEAD ? (size_t)at : LONGEST_HEAD;
    for (size_t i = 0; i < size; i++)
        before[i] = buf.at[at - 1 - i];
    program p = {h->code, (size_t)h->code_size, h->sets, (size_t)h->set_count};
    int result = match_at(m, &p, (text){before, size}, 0, size);
    if (result == MATCHED)
        return put_event(made, at - m->to[0], end, h->index);
    return result == FAILED;
}

/* Of each match three numbers are `told`: an anchor's, with `HEADED` added where it has a head, its start and its end. Give
 * the bytes of the events that were made, SIZE_MAX where Python is to make them; `anchors_done` takes them back. */
size_t anchors_events(const uint8_t *at, size_t size, const uint8_t *told, size_t count, const head *heads,
                      size_t head_count, uint8_t **events) {
    text buf = {at, size};
    bytes made = {0};
    matcher m = {{0}, {0}, {0}};
    bool good = count <= LARGEST / 32 && bytes_reserve(&made, count * sizeof(uint64_t));
    for (size_t i = 0; i < count && good; i++) {
        uint64_t match[3];
        memcpy(match, told + i * sizeof match, sizeof match);
        good = match[1] <= match[2] && match[2] <= size;
        if (good && match[0] < HEADED) {
            good = put_event(&made, match[1], match[2], match[0]);
            continue;
        }
        size_t h = 0;
        while (h < head_count && heads[h].index + HEADED != match[0])
            h++;
        good = good && h < head_count && see_head(&m, &heads[h], buf, match[1], match[2], &made);
    }
    match_free(&m);
    if (!good) {
        free(made.at);
        made = (bytes){0};
    }
    *events = made.at;
    return good ? made.size : SIZE_MAX;
}

void anchors_done(uint8_t *events) { free(events); }
