/* Read the plain rows of a table whose columns say what stands in them: `tables.TableReader._rows`. */
#include "sieve.h"

enum { LONGEST_ROW = 1000 };
enum { COLUMN_PHONE = 1 };

/* What a column holds: the number of its kind and one, 0 where it is nobody's business; the rule's rank; flags. */
typedef struct {
    uint32_t kind, rank, flags;
} column;

/* `tables._AWKWARD`: a quote that means something, a lone carriage return. */
static bool is_awkward(text row, uint8_t separator) {
    for (size_t i = 0; i < row.size; i++) {
        uint8_t b = row.at[i];
        if (b == '"' || (b == '\r' && i + 1 < row.size) || (b == '\'' && (i == 0 || row.at[i - 1] == separator)))
            return true;
    }
    return false;
}

static bool is_space(int b) { return b == ' ' || (b >= '\t' && b <= '\r'); }

static bool see_cell(scan *c, text buf, size_t from, size_t to, const column *of) {
    while (from < to && is_space(buf.at[from]))
        from++;
    while (to > from && is_space(buf.at[to - 1]))
        to--;
    if (from == to)
        return true;
    memo *m = &c->of->memo;
    text value = part(buf, from, to);
    uint32_t entry = memo_find(m, FIRST_COLUMN_SPACE + of->kind - 1, value);
    bool made = false;
    if (entry == NO_ENTRY)
        return false;
    if (m->entries[entry].state == NONE)
        return true;
    if (m->entries[entry].state == UNKNOWN) {
        if ((of->flags & COLUMN_PHONE) && !c->of->settling && !set_phone(c, entry, value, &made))
            return false;
        if (!made && !ask_entry(c, entry))
            return false;
    }
    return add_hit(c, from, to, entry, of->rank, RULE, NO_ENTRY);
}

/* Read whole rows from `pos` on that end before `limit`, up to one that is out of the ordinary; give how far that came,
 * SIZE_MAX where there is no memory. What is asked must be told, and all settled, afterwards. */
size_t sieve_rows(scan *c, const uint8_t *at, size_t size, size_t pos, size_t limit, uint32_t separator,
                  const uint32_t *numbers, size_t count) {
    text buf = {at, size};
    size_t hits = c->hits.size;
    if (limit > size)
        limit = size;
    while (pos < limit) {
        const uint8_t *line = memchr(at + pos, '\n', limit - pos);
        if (line == NULL)
            break;
        size_t end = (size_t)(line - at), cells = 1;
        text row = part(buf, pos, end);
        if (row.size >= LONGEST_ROW || is_awkward(row, (uint8_t)separator))
            break;
        size_t stop = row.size > 0 && at[end - 1] == '\r' ? end - 1 : end;
        for (size_t i = pos; i < stop; i++)
            cells += at[i] == separator;
        for (size_t i = 0, from = pos; cells <= count + 2 && i < cells && i < count; i++) {
            const uint8_t *next = memchr(at + from, (int)separator, stop - from);
            size_t to = next == NULL ? stop : (size_t)(next - at);
            column of;
            memcpy(&of, numbers + 3 * i, sizeof of);
            if (of.kind != 0 && !see_cell(c, buf, from, to, &of)) {
                c->hits.size = hits;
                return SIZE_MAX;
            }
            from = to + 1;
            if (next == NULL)
                break;
        }
        pos = end + 1;
    }
    return pos;
}
