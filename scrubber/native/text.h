/* Texts as they are passed around: a pointer never goes without its length, and no byte is read but through `byte_at`.
 *
 * What this library does is said in Python too, and Python's word counts: each function here names the one that it
 * follows. Where it cannot decide exactly as that one would, it asks (see `sieve.h`).
 */
#ifndef MFT_TEXT_H
#define MFT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    size_t size;
} text;

/* The byte at `i`, -1 before the beginning (where `i` has wrapped around) and behind the end. */
static inline int byte_at(text t, size_t i) { return i < t.size ? t.at[i] : -1; }

/* The part from `from` to `to`, as a slice of Python's bytes: what lies outside is left out. */
static inline text part(text t, size_t from, size_t to) {
    if (to > t.size)
        to = t.size;
    if (from > to)
        from = to;
    return (text){t.at + from, to - from};
}

static inline bool begins_with(text t, const char *word) {
    size_t size = strlen(word);
    return t.size >= size && memcmp(t.at, word, size) == 0;
}

/* What a byte can be. */
enum {
    DIGIT = 1,      /* 0-9 */
    LETTER = 2,     /* A-Z, a-z */
    HEXDIGIT = 4,   /* 0-9, A-F, a-f */
    UNDERSCORE = 8, /* _ */
    LOCAL = 16,     /* of an address of mail before its sign: letters, digits, ._%+- */
    DOMAIN = 32,    /* of a domain: letters, digits, .-_ */
    LABEL = 64,     /* of a host's label: letters, digits, _- */
    UPPER = 128     /* A-Z */
};
extern uint8_t byte_classes[256];

static inline bool is(int c, int classes) { return c >= 0 && (byte_classes[c] & classes) != 0; }
static inline bool is_alnum(int c) { return is(c, DIGIT | LETTER); }
/* What a whole word goes on with (`lexicon._WORD`): letters, digits, whatever is beyond ASCII. */
static inline bool is_wordy(int c) { return c >= 0x80 || is_alnum(c); }
static inline uint8_t lower(uint8_t c) { return (byte_classes[c] & UPPER) ? (uint8_t)(c | 0x20) : c; }

/* Sixty-four bytes are looked at together, in loops that a compiler makes wide; what they mark is then gone through. */
enum { STRIDE = 64 };

static inline unsigned first_marked(uint64_t marks) {
#if defined(__GNUC__) || defined(__clang__)
    unsigned bit = (unsigned)__builtin_ctzll(marks);
#else
    unsigned bit = 0;
    while (!(marks >> bit & 1))
        bit++;
#endif
    return bit;
}

/* One bit for each of 64 marks of 0 or 1: eight times eight bytes, each gathered by a multiplication. */
static inline uint64_t gathered(const uint8_t marks[STRIDE]) {
    uint64_t made = 0;
    for (int i = 0; i < STRIDE / 8; i++) {
        uint64_t eight;
        memcpy(&eight, marks + 8 * i, 8);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        eight = __builtin_bswap64(eight);
#endif
        made |= (eight * 0x0102040810204080u >> 56) << (8 * i);
    }
    return made;
}

/* Bytes that grow. `size` and `room` never overflow: `LARGEST` is far below what a size_t holds. */
typedef struct {
    uint8_t *at;
    size_t size, room;
} bytes;

#define LARGEST ((size_t)1 << 31)

/* Make room for `more` bytes; false where there is no memory, or it would be too much. */
bool bytes_reserve(bytes *b, size_t more);
bool bytes_add(bytes *b, const void *at, size_t size);

void text_prepare(void);

#endif
