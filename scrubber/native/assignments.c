/* The plainest of `key=value`, `key="value"` and `"key": "value"`: what `finders.find_assignment` finds of values of
 * letters and digits alone. Every other is for Python to read. */
#include "sieve.h"

enum { KEY_BACK = 64, KEY_LENGTH = 64, LINE_BACK = 256, VALUE_LENGTH = 512 };
enum { STRENGTH_NONE = 0, STRENGTH_WEAK = 1, STRENGTH_MEDIUM = 3, STRENGTH_STRONG = 4 }; /* `gate.Strength` */
enum { YES, NO, ASK };

static bool among(int c, const char *these) { return c > 0 && strchr(these, c) != NULL; }
static bool in_key(int c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; }

/* `assignment._Key.at_line_start`. */
static int at_line_start(text buf, size_t start) {
    size_t least = start > LINE_BACK ? start - LINE_BACK : 0, line = start;
    while (line > least && buf.at[line - 1] != '\n')
        line--;
    if (line == start)
        return YES;
    if (among(buf.at[start - 1], "&,:.([{<=@$%~^!`)]}\\"))
        return NO;
    while (line < start && among(buf.at[line], " \t"))
        line++;
    if (line == start)
        return ASK;
    return among(buf.at[line], "#;/<>*|+esEA-?\"'") ? ASK : NO;
}

bool list_words(word_list *w, const uint8_t *at, size_t size) {
    w->words.size = 0;
    memset(w->from, 0, sizeof w->from);
    memset(w->to, 0, sizeof w->to);
    for (size_t word = 0; word + 1 < size && at[word] < size - word; word += 1u + at[word]) {
        uint8_t first = at[word + 1];
        if (w->to[first] == 0)
            w->from[first] = (uint32_t)word;
        w->to[first] = (uint32_t)word + 1 + at[word];
    }
    return bytes_add(&w->words, at, size);
}

/* Say whether a value is one of the words, or begins with one. */
static bool is_listed(const word_list *w, text value, bool whole) {
    uint8_t first = value.size > 0 ? lower(value.at[0]) : 0;
    for (size_t at = w->from[first], stop = w->to[first]; at < stop && at < w->words.size;) {
        size_t size = w->words.at[at++], i = 0;
        if (size > w->words.size - at)
            break;
        if (whole ? size == value.size : size <= value.size) {
            while (i < size && lower(value.at[i]) == w->words.at[at + i])
                i++;
            if (i == size)
                return true;
        }
        at += size;
    }
    return false;
}

/* `gate._is_refused`, of a value of letters and digits. */
static bool is_refused(const sieve *s, text value) {
    bool same = true, masked = true;
    for (size_t i = 0; i < value.size; i++) {
        same = same && value.at[i] == value.at[0];
        masked = masked && (value.at[i] | 0x20) == 'x';
    }
    return same || masked || is_listed(&s->settings, value, true) || is_listed(&s->masks, value, false);
}

static bool ends_with(text value, const char *word) {
    size_t size = strlen(word);
    return value.size >= size && memcmp(value.at + value.size - size, word, size) == 0;
}

/* Say whether a value may be a type's name (`assignment._is_type`). */
static bool may_be_type(text value) {
    size_t size = value.size - (value.size > 0 && value.at[value.size - 1] == 's');
    text one = {value.at, size};
    return is(byte_at(value, 0), UPPER) && (ends_with(one, "Credential") || ends_with(one, "Token") || ends_with(one, "Key"));
}

/* `gate.is_secret`, outside of running text. */
static int is_secret(const sieve *s, text value, uint32_t strength, bool quoted) {
    if (is_refused(s, value))
        return NO;
    if (value.size < 4)
        return ASK;
    if (strength == STRENGTH_STRONG)
        return YES;
    size_t digits = 0, letters = 0, leading = 0, others = 0;
    for (size_t i = 0; i < value.size; i++) {
        digits += is(value.at[i], DIGIT);
        letters += is(value.at[i], LETTER);
        others += !is(value.at[i], HEXDIGIT);
    }
    while (leading < value.size && is(value.at[leading], DIGIT))
        leading++;
    bool number = leading > 0 && value.size - leading <= 2;
    for (size_t i = leading; i < value.size; i++)
        number = number && is(value.at[i], LETTER) && !is(value.at[i], UPPER);
    if (strength == STRENGTH_MEDIUM)
        return !number || value.size >= (quoted ? 4u : 6u) ? YES : NO;
    if (strength != STRENGTH_WEAK)
        return ASK;
    if (value.size < 8 || number)
        return NO;
    return others > 0 ? ASK : value.size >= 16 && digits > 0 && letters > 0 ? YES : NO;
}

/* Write a key's name with one number for all that are long, as `gate.strength` does. */
static text plain_name(text name, uint8_t made[KEY_BACK + KEY_LENGTH]) {
    size_t size = 0, digits = 0;
    for (size_t i = 0; i < name.size; i++) {
        digits = is(name.at[i], DIGIT) ? digits + 1 : 0;
        if (digits == 3) /* here it shows that it is long */
            memset(made + size - 2, '0', 2);
        if (digits <= 3)
            made[size++] = digits == 3 ? '0' : name.at[i];
    }
    return (text){made, size};
}

/* Find the value behind a key that ends at `end`; where it does not stand plainly Python says. */
static int find_value(text buf, size_t start, size_t end, size_t *from, size_t *to, bool *quoted) {
    int next = byte_at(buf, end), mark = 0;
    size_t at = end + 1;
    if (next == '=') {
        mark = byte_at(buf, at);
    } else if (next == '"' && byte_at(buf, end + 1) == ':' && byte_at(buf, start - 1) == '"') {
        size_t before = start - 1;
        while (before > 0 && start - before < 16 && among(byte_at(buf, before - 1), " \t"))
            before--;
        if (!among(byte_at(buf, before - 1), "{,"))
            return ASK; /* another's name may stand before */
        at = end + 2;
        while (at < end + 12 && among(byte_at(buf, at), " \t"))
            at++;
        mark = byte_at(buf, at);
        if (mark != '"')
            return ASK;
    } else
        return ASK;
    *quoted = mark == '"' || mark == '\'';
    if (*quoted)
        at++;
    *from = at;
    while (at - *from <= VALUE_LENGTH && is_alnum(byte_at(buf, at)))
        at++;
    *to = at;
    if (at - *from < 4 || at - *from > VALUE_LENGTH)
        return ASK;
    int after = byte_at(buf, at);
    if (*quoted) /* a quote may be doubled */
        return after == mark && byte_at(buf, at + 1) != '\'' ? YES : ASK;
    return among(after, " \t\n\r\v\f\"'`<>") ? YES : ASK;
}

/* Say whether what stands behind an old value may say what it became (`dialects.AND_THEN`). */
static bool may_be_changed(text buf, size_t end) {
    size_t at = end + (among(byte_at(buf, end), "\"'`") ? 1 : 0), blank = at;
    while (at < blank + 41 && among(byte_at(buf, at), " \t"))
        at++;
    int here = byte_at(buf, at), next = byte_at(buf, at + 1);
    return ((here == '-' || here == '=') && next == '>') || here == 0xe2 || (here == ',' && next == ' ') ||
           (at > blank && here == 't' && next == 'o');
}

/* Say whether a value may be the key's own name (`assignment._is_itself`). */
static bool may_be_its_key(text key, text value) {
    size_t size = key.size;
    while (size > 0 && key.at[size - 1] == '_')
        size--;
    return value.size <= size && memcmp(key.at + size - value.size, value.at, value.size) == 0;
}

/* Look at the key of which a word was seen; `*ask` where Python must, `*later` once it has said what the name is worth. */
bool see_assignment(scan *c, text buf, size_t seen, uint32_t rank, bool *ask, bool *later) {
    memo *m = &c->of->memo;
    size_t start = seen, end = seen, from = 0, to = 0;
    bool quoted = false;
    *ask = true;
    *later = false;
    int running = byte_at(buf, seen - 1) == ' ' ? match_at(&c->of->matcher, &c->of->programs[RUNNING_TEXT], buf, seen, buf.size)
                                                : FAILED;
    if (running != FAILED) {
        *ask = running == GAVE_UP;
        return true;
    }
    while (end - seen <= KEY_LENGTH && in_key(byte_at(buf, end)))
        end++;
    if (end == seen || end - seen > KEY_LENGTH)
        return true;
    while (start > 0 && seen - start < KEY_BACK && (in_key(buf.at[start - 1]) || buf.at[start - 1] >= 0x80))
        start--;
    if (find_value(buf, start, end, &from, &to, &quoted) != YES)
        return true;
    uint8_t plain[KEY_BACK + KEY_LENGTH];
    uint32_t name = memo_find(m, KEY_NAME, plain_name(part(buf, start, end), plain));
    if (name == NO_ENTRY)
        return false;
    if (m->entries[name].state == UNKNOWN) {
        *ask = false;
        *later = true;
        return ask_entry(c, name);
    }
    uint32_t strength = m->entries[name].extra;
    if (strength == STRENGTH_NONE) {
        *ask = false;
        return true;
    }
    text value = part(buf, from, to);
    if (!quoted && may_be_its_key(part(buf, start, end), value))
        return true;
    if (!quoted) {
        int at_start = at_line_start(buf, start);
        int after = byte_at(buf, to);
        if (at_start == ASK || (at_start == YES && after != '\n' && after != '\r'))
            return true;
        bool digits = true;
        for (size_t i = from; i < to; i++)
            digits = digits && is(buf.at[i], DIGIT);
        quoted = at_start == YES && strength == STRENGTH_STRONG && !digits;
    }
    int secret = is_secret(c->of, value, strength, quoted);
    if (secret == ASK || may_hold_tag(value) || may_be_type(value) || (secret == YES && may_be_changed(buf, to)))
        return true;
    *ask = false;
    if (secret == NO)
        return true;
    uint32_t entry = memo_find(m, PASSWORD, value);
    if (entry == NO_ENTRY || (m->entries[entry].state == UNKNOWN && !set_tag(c, entry, "password", value)))
        return false;
    return add_hit(c, from, to, entry, rank, RULE, NO_ENTRY);
}
