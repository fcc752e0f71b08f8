/* Match expressions of the rules as `re` does, from programs that `programs.py` makes of them.
 *
 * It goes back over what it tried by a stack of its own, and gives up, for Python to say, past a number of steps.
 */
#ifndef MFT_MATCH_H
#define MFT_MATCH_H

#include "text.h"

enum { GROUPS = 32 };
enum { MATCHED = 1, FAILED = 0, GAVE_UP = -1 };

typedef struct {
    const uint32_t *code;
    size_t size;
    const uint8_t *sets; /* of 32 bytes each */
    size_t set_count;
} program;

typedef struct {
    bytes frames;
    size_t from[GROUPS], to[GROUPS]; /* SIZE_MAX where a group matched nothing */
    bool ready;     /* whether that holds of all but the first `dirty` */
    uint32_t dirty;
} matcher;

/* Match at `start`, as if the text ended at `stop`. */
int match_at(matcher *m, const program *p, text buf, size_t start, size_t stop);

void match_free(matcher *m);

/* Copy a program, to be given back; false where there is no memory, or it is empty or too large. */
bool program_copy(program *to, const program *from);
void program_free(program *p);

int sieve_try(const uint32_t *code, size_t size, const uint8_t *sets, size_t set_count, const uint8_t *buf,
              size_t buf_size, size_t start, size_t stop, int64_t *spans);

#endif
