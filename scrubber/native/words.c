/* A case's own names as whole words: `lexicon.Lexicon.find`. */
#include "sieve.h"

#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MOST_NODES ((uint32_t)1 << 25)

static uint32_t edge_place(const sieve *s, uint32_t node, uint8_t byte) {
    uint64_t edge = ((uint64_t)node << 8 | byte) + 1;
    uint32_t at = (uint32_t)((edge * 0x9e3779b97f4a7c15u) >> 33) & s->edge_mask;
    while (s->edges[at] != 0 && s->edges[at] != edge)
        at = (at + 1) & s->edge_mask;
    return at;
}

/* The node that `byte` leads to, 0 for none: none leads to the root. */
static uint32_t step(const sieve *s, uint32_t node, uint8_t byte) {
    uint32_t at = edge_place(s, node, byte);
    return s->edges[at] != 0 ? s->children[at] : 0;
}

static void put(uint8_t set[8192], unsigned pair) { set[pair >> 3] |= (uint8_t)(1 << (pair & 7)); }

static void take_word(sieve *s, text word_text, uint32_t number) {
    uint32_t node = 0;
    for (size_t i = 0; i < word_text.size; i++) {
        uint32_t at = edge_place(s, node, word_text.at[i]);
        if (s->edges[at] == 0) {
            s->edges[at] = ((uint64_t)node << 8 | word_text.at[i]) + 1;
            s->children[at] = s->node_count++;
        }
        node = s->children[at];
    }
    s->words[number].next = s->ends[node];
    s->ends[node] = number + 1;
    s->singles[word_text.at[0]] = 1;
    if (word_text.size == 1)
        for (unsigned second = 0; second < 256; second++)
            put(s->pairs, (unsigned)word_text.at[0] << 8 | second);
    else
        put(s->pairs, (unsigned)word_text.at[0] << 8 | word_text.at[1]);
}

bool sieve_words(sieve *s, const uint8_t *texts, size_t size, const uint32_t *of_each, size_t count) {
    if (s->words != NULL || count == 0 || size >= MOST_NODES || count >= MOST_NODES)
        return false;
    uint32_t room = 16;
    while (room < 2 * (size + 1))
        room *= 2;
    s->words = calloc(count, sizeof *s->words);
    s->edges = calloc(room, sizeof *s->edges);
    s->children = calloc(room, sizeof *s->children);
    s->ends = calloc(size + 1, sizeof *s->ends);
    if (s->words == NULL || s->edges == NULL || s->children == NULL || s->ends == NULL)
        return false;
    s->edge_mask = room - 1;
    s->node_count = 1;
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        size_t to = of_each[3 * i];
        if (to <= from || to > size)
            return false;
        s->words[i].rank = of_each[3 * i + 1];
        s->words[i].flags = of_each[3 * i + 2];
        take_word(s, (text){texts + from, to - from}, (uint32_t)i);
        from = to;
    }
    s->word_count = (uint32_t)count;
    return true;
}

void words_free(sieve *s) {
    free(s->words);
    free(s->edges);
    free(s->children);
    free(s->ends);
}

/* `lexicon._labels_start`: the labels before `start`, each with its dot, from the last one backwards. */
static size_t labels_start(text buf, size_t start) {
    size_t end = start, least = start > 200 ? start - 200 : 0;
    while (end > least && byte_at(buf, end - 1) == '.') {
        size_t first = end - 1;
        while (first > least && byte_at(buf, first - 1) != '.')
            first--;
        size_t name = end - 1;
        while (name > first && is(byte_at(buf, name - 1), LABEL))
            name--;
        if (end - 1 - name > 63)
            name = end - 1 - 63;
        while (name < end - 1 && byte_at(buf, name) == '-')
            name++;
        if (name == end - 1)
            break;
        end = name;
        if (name > first)
            break;
    }
    if (end < start && byte_at(buf, end - 1) == '%' && is(byte_at(buf, end), HEXDIGIT) &&
        is(byte_at(buf, end + 1), HEXDIGIT) && is(byte_at(buf, end + 2), DIGIT | LETTER | UNDERSCORE))
        return end + 2; /* `lexicon._PERCENT`: what was encoded before the name */
    return end;
}

/* What `lexicon._LABELS_AFTER` matches at `at`: up to ten labels, each behind its dot. */
static size_t labels_end(text buf, size_t at) {
    for (int count = 0; count < 10; count++) {
        int first = byte_at(buf, at + 1);
        if (byte_at(buf, at) != '.' || !(is_alnum(first) || first == '_'))
            break;
        size_t stop = at + 2;
        while (stop < at + 64 && is(byte_at(buf, stop), LABEL))
            stop++;
        at = stop;
    }
    return at;
}

static bool is_escape_letter(int c) { return c > 0 && strchr("nrtbfv", c) != NULL; }

static bool ends_with_example(text buf, size_t end) {
    const char *word = ".example";
    for (size_t i = 0; i < 8; i++) {
        int c = byte_at(buf, end - 8 + i);
        if (c < 0 || lower((uint8_t)c) != (uint8_t)word[i])
            return false;
    }
    return true;
}

static bool ask_name(scan *c, size_t end, uint32_t number) {
    uint64_t event = (uint64_t)end << 20 | number;
    return bytes_add(&c->names, &event, sizeof event);
}

/* The entry for a text in its space, asked of Python where it is new. */
static bool look_up(scan *c, uint32_t space, text key, uint32_t *entry) {
    *entry = memo_find(&c->of->memo, space, key);
    if (*entry == NO_ENTRY)
        return false;
    return c->of->memo.entries[*entry].state != UNKNOWN || ask_entry(c, *entry);
}

/* Say whether the chain of labels in which a word stands at `start` may be a package's name (`lexicon._in_package`). */
static bool may_be_package(text buf, size_t start) {
    static const char *const beginnings[] = {"com", "org", "net", "io", "eu", "dev", "app", "java", "javax", "lib"};
    size_t begin = labels_start(buf, start), end = begin;
    while (end < start && byte_at(buf, end) != '.')
        end++;
    size_t size = end - begin;
    if (start - begin > 4 && byte_at(buf, start - 5) == '.')
        for (size_t i = 0; i < 3; i++) { /* the last label: com, org or net, which begin the list */
            const char *last = beginnings[i];
            if (lower(buf.at[start - 4]) == (uint8_t)last[0] && lower(buf.at[start - 3]) == (uint8_t)last[1] &&
                lower(buf.at[start - 2]) == (uint8_t)last[2])
                return true;
        }
    if (size == 2)
        return is(byte_at(buf, begin), LETTER) && is(byte_at(buf, begin + 1), LETTER);
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t at = 0;
        while (at < size && beginnings[i][at] != 0 && lower(buf.at[begin + at]) == (uint8_t)beginnings[i][at])
            at++;
        if (at == size && beginnings[i][at] == 0)
            return true;
    }
    return false;
}

/* Say whether the character at `at` is beyond ASCII and goes on with no word of another script (`lexicon._SIGN`). */
static bool is_sign(text buf, size_t at, size_t *size) {
    int c = byte_at(buf, at);
    *size = c == 0xc2 ? 2 : c == 0xf0 ? 4 : 3;
    for (size_t i = 1; i < *size; i++) {
        int next = byte_at(buf, at + i);
        if (next < 0x80 || next > 0xbf)
            return false;
    }
    int next = byte_at(buf, at + 1);
    return (c == 0xc2 && next != 0xaa && next != 0xad && next != 0xb5 && next != 0xba) || (c == 0xe2 && next <= 0xaf) ||
           (c >= 0xe3 && c <= 0xed) || (c == 0xef && (next == 0xbc || next == 0xbd)) || (c == 0xf0 && next == 0x9f);
}

/* Say whether what ends before `at` goes on with the word that stands there. */
static bool goes_on(text buf, size_t at) {
    int before = byte_at(buf, at - 1);
    if (before < 0x80)
        return before >= 0 && is_wordy(before);
    for (size_t back = 2, size; back <= 4 && back <= at; back++)
        if (is_sign(buf, at - back, &size) && size == back)
            return false;
    return true;
}

/* Take the name `number` that stands from `start` to `end`, where a word begins. */
static bool take_name(scan *c, text buf, size_t start, size_t end, uint32_t number) {
    const case_word *w = &c->of->words[number];
    int after = byte_at(buf, end);
    size_t size;
    if (after >= 0 && is_wordy(after) && !(after >= 0x80 && is_sign(buf, end, &size)))
        return true;
    if (after == '-' || (w->flags & WORD_ASK))
        return ask_name(c, end, number);
    uint32_t kind = w->flags & 3, space = FIRST_WORD + number, entry;
    if (kind != WORD_BELOW && byte_at(buf, start - 1) == '.' && may_be_package(buf, start))
        return ask_name(c, end, number);
    if (kind == WORD_BELOW) { /* `lexicon._whole_host` */
        if (byte_at(buf, start - 1) == '.') {
            size_t begin = labels_start(buf, start);
            if (begin < start && byte_at(buf, begin - 1) == '\\' && is_escape_letter(byte_at(buf, begin)))
                begin++;
            start = begin;
        }
        if (ends_with_example(buf, end))
            return ask_name(c, end, number);
    }
    if (!look_up(c, space, part(buf, start, end), &entry))
        return false;
    bool named = (kind == WORD_HOST || kind == WORD_REALM) && (after == '.' || byte_at(buf, start - 1) == '.');
    if (named) { /* `lexicon._full_name` */
        size_t begin = byte_at(buf, start - 1) == '.' ? labels_start(buf, start) : start, stop = labels_end(buf, end);
        size_t dots = 0;
        for (size_t i = end; i < stop; i++)
            dots += byte_at(buf, i) == '.';
        uint32_t full;
        if (kind == WORD_HOST || dots == 1) {
            if (!look_up(c, kind == WORD_HOST ? FULL_NAME : FULL_NAME_OF_REALM, part(buf, begin, stop), &full))
                return false;
            hit alone = {(uint32_t)start, (uint32_t)end, entry, w->rank, FIRST_WORD, NO_ENTRY};
            uint32_t other = (uint32_t)(c->others.size / sizeof(hit));
            return bytes_add(&c->others, &alone, sizeof alone) &&
                   add_hit(c, begin, stop, full, c->of->domain_rank, FIRST_WORD, other);
        }
    }
    return add_hit(c, start, end, entry, w->rank, FIRST_WORD, NO_ENTRY);
}

/* Take all names that begin at `start`. */
static bool take_names(scan *c, text buf, size_t start) {
    const sieve *s = c->of;
    uint32_t node = 0;
    for (size_t at = start; at < buf.size; at++) {
        node = step(s, node, lower(buf.at[at]));
        if (node == 0)
            break;
        for (uint32_t number = s->ends[node]; number != 0; number = s->words[number - 1].next)
            if (!take_name(c, buf, start, at + 1, number - 1))
                return false;
    }
    return true;
}

static bool all_hex(text buf, size_t from, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!is(byte_at(buf, from + i), HEXDIGIT))
            return false;
    return true;
}

static bool all_octal(text buf, size_t from, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (byte_at(buf, from + i) < '0' || byte_at(buf, from + i) > '7')
            return false;
    return true;
}

/* The length of the escape at `at` behind whose last letter or digit a word may begin (`lexicon._ESCAPE_BEFORE`). */
static size_t escape_length(text buf, size_t at) {
    int c = byte_at(buf, at), next = byte_at(buf, at + 1);
    if (c == '\\')
        return is_escape_letter(next)            ? 2
               : next == 'u' && all_hex(buf, at + 2, 4)        ? 6
               : next == 'x' && all_hex(buf, at + 2, 2)        ? 4
                                                               : 0;
    if (c == '%')
        return all_hex(buf, at + 1, 2) ? 3 : 0;
    return c == '#' && all_octal(buf, at + 1, 3) ? 4 : 0;
}

static bool see_word_at(scan *c, text buf, size_t i) {
    const sieve *s = c->of;
    int b = buf.at[i];
    if (b == '\\' || b == '%' || b == '#') {
        size_t length = escape_length(buf, i);
        if (length > 0 && i + length < buf.size && s->singles[lower(buf.at[i + length])] &&
            !take_names(c, buf, i + length))
            return false;
    }
    if (goes_on(buf, i))
        return true;
    unsigned pair = (unsigned)lower((uint8_t)b) << 8 | (i + 1 < buf.size ? lower(buf.at[i + 1]) : 0u);
    return !(s->pairs[pair >> 3] >> (pair & 7) & 1) || take_names(c, buf, i);
}

/* Mark where words may begin, and escapes; `before` is whether the byte before is a letter or digit. */
#ifdef __SSE2__
static inline uint64_t marked(const uint8_t *at, uint64_t before) {
    const __m128i letters = _mm_set1_epi8(25), digits = _mm_set1_epi8(9);
    uint64_t wordy = 0, plain = 0, escapes = 0;
    for (int i = 0; i < STRIDE; i += 16) {
        __m128i here = _mm_loadu_si128((const __m128i *)(const void *)(at + i));
        __m128i letter = _mm_sub_epi8(_mm_or_si128(here, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        __m128i digit = _mm_sub_epi8(here, _mm_set1_epi8('0'));
        __m128i word = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(letter, letters), letter),
                                    _mm_cmpeq_epi8(_mm_min_epu8(digit, digits), digit));
        __m128i escape = _mm_or_si128(_mm_cmpeq_epi8(here, _mm_set1_epi8('\\')),
                                      _mm_or_si128(_mm_cmpeq_epi8(here, _mm_set1_epi8('%')),
                                                   _mm_cmpeq_epi8(here, _mm_set1_epi8('#'))));
        plain |= (uint64_t)(unsigned)_mm_movemask_epi8(word) << i;
        wordy |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_or_si128(word, here)) << i; /* whatever is beyond ASCII */
        escapes |= (uint64_t)(unsigned)_mm_movemask_epi8(escape) << i;
    }
    return (wordy & ~(plain << 1 | before)) | escapes;
}
#else
static uint64_t marked(const uint8_t *at, uint64_t before) {
    uint8_t words[STRIDE], plain[STRIDE], escapes[STRIDE];
    for (int i = 0; i < STRIDE; i++) {
        uint8_t b = at[i], letter = (uint8_t)((b | 0x20) - 'a'), digit = (uint8_t)(b - '0');
        plain[i] = (uint8_t)((letter < 26) | (digit < 10));
        words[i] = (uint8_t)(plain[i] | (b >> 7));
        escapes[i] = (uint8_t)((b == '\\') | (b == '%') | (b == '#'));
    }
    return (gathered(words) & ~(gathered(plain) << 1 | before)) | gathered(escapes);
}
#endif

bool see_words(scan *c, text buf) {
    size_t at = 0;
    bool only_words = true; /* no name begins with what goes on with no word */
    for (int b = 0; b < 256; b++)
        only_words = only_words && (is_wordy(b) || !c->of->singles[b]);
    for (; only_words && at + STRIDE <= buf.size; at += STRIDE) {
        int before = byte_at(buf, at - 1);
        for (uint64_t marks = marked(buf.at + at, is_alnum(before)); marks != 0; marks &= marks - 1)
            if (!see_word_at(c, buf, at + first_marked(marks)))
                return false;
    }
    for (; at < buf.size; at++)
        if (!see_word_at(c, buf, at))
            return false;
    return true;
}
