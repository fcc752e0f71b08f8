#include "match.h"

#include <stdlib.h>

/* One instruction is an operation, three numbers, and one or two sets, one added, of bytes by which it can go on: those
 * of SPLIT's two ways, and of what follows REPEAT and LAZY; 0 where any will do, or none. */
enum {
    OP_SET,       /* a: set */
    OP_REPEAT,    /* a: set, b: least, c: most; as many as there are */
    OP_LAZY,      /* a: set, b: least, c: most; as few as will do */
    OP_SPLIT,     /* a: first, b: else */
    OP_JUMP,      /* a */
    OP_SAVE,      /* a: 2 * group, and one for its end */
    OP_BEGIN,     /* of the text */
    OP_LINE,      /* a line's beginning */
    OP_END,       /* of the text */
    OP_DOLLAR,    /* of the text, or before its last line break */
    OP_LINE_END,  /* a line's end */
    OP_BOUNDARY,  /* a: whether there is to be one */
    OP_LOOK,      /* a: where to go on, b: whether it is to match, c: how far back it begins */
    OP_LOOK_DONE,
    OP_SAME,      /* a: group */
    OP_MATCH,
    OP_PICK,      /* a: a table of where the list is of the ways that can go on, for each byte and for the end of the text */
    OP_STRING,    /* a: where it is, as the number of the first set that it fills, b: its length, c: whether in either case */
    OP_PEEK,      /* a: set, b: whether the byte is to be in it, c: how far back that is */
    WIDTH = 6
};

enum { TRY, UNSAVE, FEWER, MORE, LOOKED, PICKED };

typedef struct {
    uint32_t kind, pc;
    uint32_t low, high; /* TRY: where; FEWER and MORE: the bounds; LOOKED: where it was; UNSAVE: which, and what;
                         * PICKED: where, `pc` is of the list */
} frame;

#define STEPS 100000
#define STACK ((size_t)4 << 20)
#define UNSET UINT32_MAX

static inline bool push(matcher *m, uint32_t kind, size_t pc, size_t low, size_t high) {
    frame f = {kind, (uint32_t)pc, (uint32_t)low, (uint32_t)high};
    if (m->frames.room - m->frames.size < sizeof f && (m->frames.size >= STACK || !bytes_reserve(&m->frames, sizeof f)))
        return false;
    memcpy(m->frames.at + m->frames.size, &f, sizeof f);
    m->frames.size += sizeof f;
    return true;
}

static inline bool in(const program *p, uint32_t set, int c) {
    return c >= 0 && set < p->set_count && (p->sets[32 * (size_t)set + ((unsigned)c >> 3)] >> (c & 7) & 1) != 0;
}

/* Say whether what goes on by the bytes of `hint` can do so with `c`. */
static inline bool may_go_on(const program *p, uint32_t hint, int c) { return hint == 0 || in(p, hint - 1, c); }

/* The end of as many bytes of a set as there are from `at` to `most`. */
static inline size_t run_end(const program *p, uint32_t set, text buf, size_t at, size_t most) {
    if (set >= p->set_count)
        return at;
    const uint8_t *bits = p->sets + 32 * (size_t)set;
    while (at < most && (bits[buf.at[at] >> 3] >> (buf.at[at] & 7) & 1) != 0)
        at++;
    return at;
}

/* Say whether a string, which is in small letters where either case will do, stands at `pos`. */
static inline bool stands_at(const program *p, uint32_t set, uint32_t size, bool caseless, text buf, size_t pos) {
    if (pos > buf.size || size > buf.size - pos || set >= p->set_count || size > 32 * (p->set_count - set))
        return false;
    const uint8_t *string = p->sets + 32 * (size_t)set, *at = buf.at + pos;
    for (uint32_t i = 0; i < size; i++)
        if ((caseless ? lower(at[i]) : at[i]) != string[i])
            return false;
    return true;
}

static inline bool is_word(int c) { return is_alnum(c) || c == '_'; }

static size_t *slot(matcher *m, uint32_t number) {
    return number & 1 ? &m->to[number >> 1 & (GROUPS - 1)] : &m->from[number >> 1 & (GROUPS - 1)];
}

/* Go on with the way that stands at `at` in a list of them, and later with those behind; false where there is none. */
static bool pick(matcher *m, const program *p, size_t at, size_t pos, size_t *pc, bool *full) {
    if (at + 1 >= p->size || p->code[at] == UNSET)
        return false;
    *pc = p->code[at];
    if (p->code[at + 1] != UNSET)
        *full = !push(m, PICKED, at + 1, pos, 0);
    return true;
}

/* Take out of the frames from `at` on all but what was saved. */
static void keep_saved(matcher *m, size_t at) {
    size_t end = m->frames.size, kept = at;
    for (size_t i = at; i < end; i += sizeof(frame)) {
        frame f;
        memcpy(&f, m->frames.at + i, sizeof f);
        if (f.kind == UNSAVE) {
            memcpy(m->frames.at + kept, &f, sizeof f);
            kept += sizeof f;
        }
    }
    m->frames.size = kept;
}

int match_at(matcher *m, const program *p, text whole, size_t start, size_t stop) {
    text buf = part(whole, 0, stop);
    size_t pos = start, pc = 0;
    bool full = false;
    m->frames.size = 0;
    for (uint32_t i = 0; i < (m->ready ? m->dirty : GROUPS); i++)
        m->from[i] = m->to[i] = SIZE_MAX;
    m->ready = true;
    m->dirty = 1;
    for (int steps = 0; steps < STEPS; steps++) {
        bool good = true;
        if (pc + WIDTH > p->size)
            return GAVE_UP;
        const uint32_t *now = p->code + pc;
        uint32_t a = now[1], b = now[2], c = now[3];
        size_t next = pc + WIDTH;
        switch (now[0]) {
        case OP_SET:
            good = in(p, a, byte_at(buf, pos));
            pos++;
            break;
        case OP_STRING:
            good = stands_at(p, a, b, c != 0, buf, pos);
            pos += b;
            break;
        case OP_PEEK:
            good = (pos >= c && in(p, a, byte_at(buf, pos - c))) == (b != 0);
            break;
        case OP_REPEAT: {
            size_t least = pos + b, most = c == UNSET || c > buf.size - pos ? buf.size : pos + c;
            size_t end = run_end(p, a, buf, pos, most);
            while (end > least && !may_go_on(p, now[4], byte_at(buf, end)))
                end--;
            good = end >= least;
            if (good && end > least && !push(m, FEWER, pc, least, end))
                return GAVE_UP;
            pos = end;
            break;
        }
        case OP_LAZY: {
            size_t least = pos + b, most = c == UNSET || c > buf.size - pos ? buf.size : pos + c;
            size_t end = run_end(p, a, buf, pos, least < most ? least : most);
            good = end >= least;
            if (good && end < most && !push(m, MORE, pc, end, most))
                return GAVE_UP;
            pos = end;
            break;
        }
        case OP_SPLIT:
            next = a;
            if (!may_go_on(p, now[4], byte_at(buf, pos)))
                next = b;
            else if (may_go_on(p, now[5], byte_at(buf, pos)) && !push(m, TRY, b, pos, 0))
                return GAVE_UP;
            break;
        case OP_JUMP:
            next = a;
            break;
        case OP_PICK: {
            int byte = byte_at(buf, pos);
            size_t entry = (size_t)a + (byte < 0 ? 256 : (size_t)byte);
            if (entry >= p->size)
                return GAVE_UP;
            good = pick(m, p, p->code[entry], pos, &next, &full);
            break;
        }
        case OP_SAVE: {
            size_t *at = slot(m, a);
            if (m->frames.size > 0 && !push(m, UNSAVE, a, *at == SIZE_MAX ? UNSET : *at, 0))
                return GAVE_UP;
            *at = pos;
            if ((a >> 1 & (GROUPS - 1)) >= m->dirty)
                m->dirty = (a >> 1 & (GROUPS - 1)) + 1;
            break;
        }
        case OP_BEGIN:
            good = pos == 0;
            break;
        case OP_LINE:
            good = pos == 0 || byte_at(buf, pos - 1) == '\n';
            break;
        case OP_END:
            good = pos == buf.size;
            break;
        case OP_DOLLAR:
            good = pos == buf.size || (pos + 1 == buf.size && byte_at(buf, pos) == '\n');
            break;
        case OP_LINE_END:
            good = pos == buf.size || byte_at(buf, pos) == '\n';
            break;
        case OP_BOUNDARY:
            good = (is_word(byte_at(buf, pos - 1)) != is_word(byte_at(buf, pos))) == (a != 0);
            break;
        case OP_LOOK:
            good = pos >= c;
            if (!good) { /* there is not so much before: it does not match */
                good = b == 0;
                next = a;
                break;
            }
            if (!push(m, LOOKED, pc, pos, 0))
                return GAVE_UP;
            pos -= c;
            break;
        case OP_LOOK_DONE: {
            frame f;
            size_t at = m->frames.size;
            for (;;) { /* what it tried within is forgotten; what it saved stays if it was to match */
                if (at < sizeof f)
                    return GAVE_UP;
                at -= sizeof f;
                memcpy(&f, m->frames.at + at, sizeof f);
                if (f.kind == LOOKED)
                    break;
            }
            keep_saved(m, at);
            good = p->code[f.pc + 2] != 0; /* what was not to match fails, and its frame is gone */
            pos = f.low;
            next = p->code[f.pc + 1];
            break;
        }
        case OP_SAME: {
            size_t from = *slot(m, 2 * a), to = *slot(m, 2 * a + 1);
            good = from != SIZE_MAX && to != SIZE_MAX && from <= to && to - from <= buf.size - pos &&
                   memcmp(buf.at + from, buf.at + pos, to - from) == 0;
            pos += good ? to - from : 0;
            break;
        }
        case OP_MATCH:
            m->from[0] = start;
            m->to[0] = pos;
            return MATCHED;
        default:
            return GAVE_UP;
        }
        if (full)
            return GAVE_UP;
        if (good) {
            pc = next;
            continue;
        }
        for (bool back = true; back;) {
            frame f;
            if (m->frames.size < sizeof f)
                return FAILED;
            m->frames.size -= sizeof f;
            memcpy(&f, m->frames.at + m->frames.size, sizeof f);
            switch (f.kind) {
            case TRY:
                pc = f.pc;
                pos = f.low;
                back = false;
                break;
            case PICKED:
                pos = f.low;
                if (!pick(m, p, f.pc, pos, &pc, &full) || full)
                    return GAVE_UP;
                back = false;
                break;
            case UNSAVE:
                *slot(m, f.pc) = f.low == UNSET ? SIZE_MAX : f.low;
                break;
            case FEWER:
                if (f.pc + WIDTH > p->size)
                    return GAVE_UP;
                pos = f.high - 1;
                while (pos > f.low && !may_go_on(p, p->code[f.pc + 4], byte_at(buf, pos)))
                    pos--;
                pc = f.pc + WIDTH;
                if (pos > f.low && !push(m, FEWER, f.pc, f.low, pos))
                    return GAVE_UP;
                back = false;
                break;
            case MORE:
                if (f.pc + WIDTH <= p->size && in(p, p->code[f.pc + 1], byte_at(buf, f.low))) {
                    pos = (size_t)f.low + 1;
                    pc = f.pc + WIDTH;
                    if (pos < f.high && !push(m, MORE, f.pc, pos, f.high))
                        return GAVE_UP;
                    back = false;
                }
                break;
            case LOOKED:
                if (p->code[f.pc + 2] == 0) { /* it was not to match */
                    pos = f.low;
                    pc = p->code[f.pc + 1];
                    back = false;
                }
                break;
            default:
                return GAVE_UP;
            }
        }
    }
    return GAVE_UP;
}

void match_free(matcher *m) {
    free(m->frames.at);
    m->frames = (bytes){0};
}

bool program_copy(program *to, const program *from) {
    if (from->size == 0 || from->size > LARGEST / 8 || from->set_count > LARGEST / 64)
        return false;
    uint32_t *code = malloc(from->size * sizeof *code);
    uint8_t *sets = malloc(32 * from->set_count + 1);
    if (code == NULL || sets == NULL) {
        free(code);
        free(sets);
        return false;
    }
    memcpy(code, from->code, from->size * sizeof *code);
    memcpy(sets, from->sets, 32 * from->set_count);
    *to = (program){code, from->size, sets, from->set_count};
    return true;
}

void program_free(program *p) {
    free((void *)(uintptr_t)p->code);
    free((void *)(uintptr_t)p->sets);
    *p = (program){0};
}

/* For tests: match a program of `size` numbers with `sets`; the groups' spans go to `spans`, -1 for none. */
int sieve_try(const uint32_t *code, size_t size, const uint8_t *sets, size_t set_count, const uint8_t *buf,
              size_t buf_size, size_t start, size_t stop, int64_t *spans) {
    text_prepare();
    matcher m = {0};
    program p = {code, size, sets, set_count};
    int result = match_at(&m, &p, (text){buf, buf_size}, start, stop);
    for (int i = 0; i < GROUPS; i++) {
        bool whole = m.from[i] != SIZE_MAX && m.to[i] != SIZE_MAX;
        spans[2 * i] = whole ? (int64_t)m.from[i] : -1;
        spans[2 * i + 1] = whole ? (int64_t)m.to[i] : -1;
    }
    match_free(&m);
    return result;
}
