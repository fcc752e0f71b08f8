/* Telephone numbers, by their country's code or in a column: `contacts.find_phone`, `fields._is_phone`, and their images
 * as `Pseudonymizer.phone` makes them. */
#include "sieve.h"

enum { LEAST_DIGITS = 6, MOST_DIGITS = 15, LONGEST_PHONE = 64 };

static bool between(unsigned n, unsigned low, unsigned high) { return low <= n && n <= high; }

/* `contacts._COUNTRY`: how many digits the country's code has, 0 where it is none. */
static size_t country_digits(const uint8_t *digits, size_t count) {
    unsigned first = digits[0] - '0', two, three;
    if (count < 3)
        return 0;
    two = first * 10 + (digits[1] - '0');
    three = two * 10 + (digits[2] - '0');
    if (first == 1 || first == 7)
        return 1;
    if (two == 20 || two == 27 || between(two, 30, 34) || two == 36 || between(two, 39, 41) || between(two, 43, 49) ||
        between(two, 51, 58) || between(two, 60, 66) || two == 81 || two == 82 || two == 84 || two == 86 ||
        between(two, 90, 95) || two == 98)
        return 2;
    return between(three, 210, 269) || between(three, 290, 299) || between(three, 350, 359) || between(three, 370, 389) ||
                   between(three, 420, 429) || between(three, 500, 509) || between(three, 590, 599) ||
                   between(three, 670, 692) || three == 800 || three == 808 || between(three, 850, 859) ||
                   between(three, 870, 888) || between(three, 960, 968) || between(three, 970, 977) || three == 979 ||
                   between(three, 992, 998)
               ? 3
               : 0;
}

/* `Pseudonymizer._digits` of "phone": two digests as one number, and of it the last `count` digits. */
static void make_digits(scan *c, text value, uint8_t *made, size_t count) {
    uint8_t number[64];
    uint64_t most = 1, rest = 0;
    hmac_digest(&c->of->key, "phone", value, number);
    hmac_digest(&c->of->key, "phone+", value, number + 32);
    for (size_t i = 0; i < count; i++)
        most *= 10;
    for (size_t i = 0; i < sizeof number; i++) /* `most` is below 2^50 */
        rest = (rest << 8 | number[i]) % most;
    for (size_t i = count; i > 0; i--, rest /= 10)
        made[i - 1] = (uint8_t)('0' + rest % 10);
}

/* `Pseudonymizer.phone` of a text with these digits, of which the first are a country's code. */
static bool set_image(scan *c, uint32_t entry, text value, const uint8_t *digits, size_t count, size_t country) {
    uint8_t image[3 + MOST_DIGITS], chosen[MOST_DIGITS], laid[LONGEST_PHONE];
    size_t zeros = country ? 2 : 3;
    memcpy(image, digits, country);
    memset(image + country, '0', zeros);
    make_digits(c, (text){digits, count}, chosen, count);
    memcpy(image + country + zeros, chosen, count - country - zeros);
    for (size_t i = 0, at = 0; i < value.size; i++)
        laid[i] = is(value.at[i], DIGIT) ? image[at++] : value.at[i];
    return memo_set(&c->of->memo, entry, KNOWN, 0, (text){laid, value.size});
}

/* Say whether a trunk's nought stands in a number, `contacts.TRUNK`: Python makes those images. */
static bool has_trunk(text value) {
    for (size_t i = 0; i + 3 <= value.size; i++)
        if (memcmp(value.at + i, "(0)", 3) == 0)
            return true;
    return false;
}

/* Make the image of a telephone number in a column; `*made` is false where it is none, or Python is to say. */
bool set_phone(scan *c, uint32_t entry, text value, bool *made) {
    uint8_t digits[MOST_DIGITS];
    size_t count = 0, kinds = 0;
    unsigned seen = 0;
    *made = false;
    if (value.size > LONGEST_PHONE || value.size < LEAST_DIGITS || !is(value.at[value.size - 1], DIGIT) ||
        has_trunk(value))
        return true;
    bool marked = value.at[0] == '(' || value.at[0] == '+';
    size_t body = value.size - marked;
    if (body < 6 || body > 24 || !is(value.at[marked], DIGIT))
        return true;
    for (size_t i = marked; i < value.size; i++) {
        uint8_t b = value.at[i];
        if (!is(b, DIGIT)) {
            if (memchr(" ()./-", b, 6) == NULL)
                return true;
            continue;
        }
        if (count == MOST_DIGITS)
            return true;
        kinds += (seen >> (b - '0') & 1) == 0;
        seen |= 1u << (b - '0');
        digits[count++] = b;
    }
    if (count < LEAST_DIGITS || kinds < 3)
        return true;
    size_t country = value.at[0] == '+' ? country_digits(digits, count) : 0;
    if (memcmp(digits + country, "000", country ? 2 : 3) == 0) /* `contacts.is_phone_pseudonym` */
        return true;
    *made = true;
    return set_image(c, entry, value, digits, count, country);
}

/* Look at a number with its country behind a plus: `contacts.find_phone`, of what its shape lets through. */
bool see_phone(scan *c, text buf, size_t plus) {
    int before = byte_at(buf, plus - 1);
    if (is_alnum(before) || before == '.' || before == '+' ||
        byte_at(buf, plus + 1) == '0')
        return true;
    for (size_t i = plus + 2; i < plus + 8; i++)
        if (byte_at(buf, i) < 0 || memchr("0123456789 ().-/", buf.at[i], 16) == NULL)
            return true;
    matcher *m = &c->of->matcher;
    int result = match_at(m, &c->of->programs[PHONE_NUMBER], buf, plus, buf.size);
    if (result == FAILED)
        return true;
    text value = result == MATCHED ? part(buf, plus, m->to[0]) : (text){buf.at, 0};
    if (result != MATCHED || value.size > LONGEST_PHONE || has_trunk(value))
        return ask_finder(c, LOOK_PHONE, plus, 8);
    uint8_t digits[LONGEST_PHONE];
    size_t count = 0;
    for (size_t i = 0; i < value.size; i++)
        if (is(value.at[i], DIGIT))
            digits[count++] = value.at[i];
    /* `contacts._POSITION` */
    if ((value.size == 11 && value.at[5] == '-' && count == 9) || (value.size == 15 && value.at[7] == '-' && count == 13))
        return true;
    /* `contacts._bare`; shorter ones than have a country's code and more are no numbers to call */
    size_t country = country_digits(digits, count), least = count + 1 != value.size ? 8 : 10;
    if (country == 0 || count < least || count > MOST_DIGITS || memcmp(digits + country, "00", 2) == 0)
        return true;
    uint32_t entry = memo_find(&c->of->memo, PHONE, value);
    if (entry == NO_ENTRY)
        return false;
    if (c->of->memo.entries[entry].state == UNKNOWN &&
        !(c->of->settling ? ask_entry(c, entry) : set_image(c, entry, value, digits, count, country)))
        return false;
    return add_hit(c, plus, plus + value.size, entry, c->of->ranks[LOOK_PHONE], PHONE, NO_ENTRY);
}
