/* IPv4 and MAC addresses: `addresses.find_ipv4`, `find_mac`, and their images as `networks.NetworkImages` makes them. */
#include "sieve.h"

static bool in_set(const uint8_t set[8192], int first, int second) {
    if (first < 0 || second < 0)
        return false;
    unsigned pair = (unsigned)first << 8 | (unsigned)second;
    return (set[pair >> 3] >> (pair & 7) & 1) != 0;
}

static bool among(int c, const char *these) { return c > 0 && strchr(these, c) != NULL; }

/* `addresses._gap_behind_key`. */
static size_t gap_behind_key(text buf, size_t start, int before) {
    if (before == '=')
        return 1;
    if (before == '"') {
        if (start < 6)
            return 0;
        if (buf.at[start - 2] == '\\')
            return memcmp(buf.at + start - 6, "\\\": \\\"", 6) == 0 ? 6
                   : memcmp(buf.at + start - 5, "\\\":\\\"", 5) == 0 ? 5
                                                                  : 0;
        text gap = part(buf, start - 4, start);
        if (memcmp(gap.at, "\": \"", 4) == 0)
            return 4;
        return memcmp(gap.at + 1, "\":\"", 3) == 0 ? 3 : 0;
    }
    return before == ' ' && byte_at(buf, start - 2) == ':' ? 2 : 0;
}

/* Say whether a word before versions ends at `end` (`addresses._BEFORE_VERSIONS`). */
static bool ends_before_version(const sieve *s, text buf, size_t end) {
    for (size_t at = 0; at < s->versions.size;) {
        size_t size = s->versions.at[at++], i = 0;
        if (size > s->versions.size - at)
            break;
        if (size <= end && size < 48)
            while (i < size && lower(buf.at[end - size + i]) == s->versions.at[at + i])
                i++;
        if (i == size)
            return true;
        at += size;
    }
    return false;
}

/* Say whether letters, digits and dots that end at `end` may be a module's name (`addresses._MODULE_BEFORE`). */
static bool may_be_module(text buf, size_t end) {
    for (size_t i = 1; i <= 64; i++) {
        int c = byte_at(buf, end - i);
        if (!is(c, DIGIT | LETTER | UNDERSCORE))
            return c == '.';
    }
    return true;
}

/* Say whether words of `addresses.UPGRADES` stand near a `to` or `from` that ends before `start`. */
static bool after_upgrade(text buf, size_t start) {
    static const char *const words[] = {"pgrad", "ngrad", "bump", "Bump", "igrat", "pdate", "patch"};
    if (!among(byte_at(buf, start - 2), "om"))
        return false;
    for (size_t at = start > 40 ? start - 40 : 0; at < start; at++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            size_t size = strlen(words[i]);
            if (buf.at[at] == (uint8_t)words[i][0] && at + size <= start && memcmp(buf.at + at, words[i], size) == 0)
                return true;
        }
    return false;
}

/* `versions._SMALL`; the few that are addresses all the same are asked about too. */
static bool is_small(const unsigned octets[4]) {
    return octets[0] != 10 && octets[0] < 48 && octets[1] < 100 && octets[2] < 100 && octets[3] < 100;
}

/* Say whether no version's word ends at `word_end`, before an address that ends at `end`: of most, its last two letters
 * say so. What ends with a v is Python's to read. */
static bool no_version_before(const sieve *s, text buf, size_t word_end, size_t end) {
    return !in_set(s->tails[0], byte_at(buf, word_end - 2), byte_at(buf, word_end - 1)) ||
           (lower(buf.at[word_end - 1]) != 'v' && !ends_before_version(s, buf, word_end) &&
            memcmp(buf.at + end - 4, ".0.0", 4) != 0);
}

/* `addresses._stands_alone`, and of `_is_address` what stands behind a login's sign or two slashes, and behind a word that
 * only ends like one before versions. */
static bool stands_alone(const sieve *s, text buf, size_t start, size_t end) {
    int after = byte_at(buf, end);
    if (start < 3 || after < 0 || among(after, "+~_-.") || is(after, LETTER))
        return false;
    int before = byte_at(buf, start - 1);
    if (among(before, "\n[{"))
        return byte_at(buf, start - 3) != '#' || byte_at(buf, start - 2) != ' ';
    if (among(before, "\t,;"))
        return no_version_before(s, buf, start - 1, end);
    bool lone = among(before, " \"'(") && !among(byte_at(buf, start - 2), " \t\"'<>(v:=V|.\\");
    if (lone && among(before, "\"'") && among(byte_at(buf, start - 2), ",;")) {
        size_t word_end = start - 2 - among(byte_at(buf, start - 3), "\"'");
        return no_version_before(s, buf, word_end, end);
    }
    if (lone && after_upgrade(buf, start))
        return false;
    if (lone)
        return no_version_before(s, buf, start - 1, end);
    if ((before == '@' && !may_be_module(buf, start - 1)) || (before == '/' && byte_at(buf, start - 2) == '/'))
        return !in_set(s->tails[1], byte_at(buf, start - 2), before) && memcmp(buf.at + end - 4, ".0.0", 4) != 0;
    size_t key_end = start - gap_behind_key(buf, start, before);
    return key_end > 4 && key_end < start && !among(byte_at(buf, key_end - 1), " \t\"'<>(v:=V|.\\~!^]") &&
           !in_set(s->tails[1], byte_at(buf, key_end - 2), byte_at(buf, key_end - 1)) &&
           memcmp(buf.at + end - 4, ".0.0", 4) != 0;
}

/* Read four numbers and three dots; the end, 0 where there are none. */
static size_t read_octets(text buf, size_t start, unsigned octets[4], bool *plain) {
    size_t at = start;
    *plain = true;
    for (int i = 0; i < 4; i++) {
        size_t first = at;
        octets[i] = 0;
        while (at < first + 3 && is(byte_at(buf, at), DIGIT))
            octets[i] = octets[i] * 10 + (unsigned)(buf.at[at++] - '0');
        if (at == first)
            return 0;
        if (octets[i] > 255 || (at - first > 1 && buf.at[first] == '0'))
            *plain = false;
        if (i < 3 && byte_at(buf, at++) != '.')
            return 0;
    }
    int after = byte_at(buf, at);
    return is_alnum(after) || after == '_' ? 0 : at;
}

/* Write words and numbers one behind the other: give where that ended, of at most ten digits for a number. */
static size_t put_word(char *at, size_t size, const char *word) {
    for (; *word != 0; word++)
        at[size++] = *word;
    return size;
}

static size_t put_number(char *at, size_t size, unsigned number) {
    unsigned most = 1;
    while (number / most > 9)
        most *= 10;
    for (; most > 0; most /= 10)
        at[size++] = (char)('0' + number / most % 10);
    return size;
}

/* `networks.NetworkImages._make_flips`: a keyed bit for each inner node of an octet's tree. */
static bool flips(scan *c, const char *context, size_t size, uint8_t made[32]) {
    text key = {(const uint8_t *)context, size};
    uint32_t entry = memo_find(&c->of->memo, FLIPS, key);
    if (entry == NO_ENTRY)
        return false;
    if (c->of->memo.entries[entry].state == UNKNOWN) {
        hmac_digest(&c->of->key, "flip", key, made);
        return memo_set(&c->of->memo, entry, KNOWN, 0, (text){made, 32});
    }
    memcpy(made, memo_new(&c->of->memo, entry).at, 32);
    return true;
}

/* `networks.NetworkImages._permute`; a number's lowest bit is the last byte's. */
static unsigned permute(const uint8_t made[32], unsigned value, int bits) {
    unsigned image = 0;
    for (int depth = 0; depth < bits; depth++) {
        unsigned node = 1u << depth | value >> (bits - depth);
        unsigned flip = made[31 - (node >> 3)] >> (node & 7) & 1;
        image = image << 1 | ((value >> (bits - 1 - depth) & 1) ^ flip);
    }
    return image;
}

static bool keep_prefix(scan *c, const char *context, size_t size, unsigned value, int bits, unsigned *image) {
    uint8_t made[32];
    if (!flips(c, context, size, made))
        return false;
    *image = permute(made, value, bits);
    return true;
}

/* `networks.NetworkImages._make_net`: what stands for a /24, and the flips of its last octet without the outer nodes. */
static bool make_net(scan *c, uint32_t entry, const unsigned octets[4]) {
    unsigned a = octets[0], b = octets[1], third = 0, image[3] = {0}, got = 0;
    char context[32];
    size_t size;
    bool good = true;
    if (a == 10) {
        good = keep_prefix(c, "10", 2, b, 8, &got);
        image[0] = 250;
        image[1] = got;
    } else if (a == 172 && b >= 16 && b < 32) {
        good = keep_prefix(c, "172", 3, b & 15, 4, &got);
        image[0] = 251;
        image[1] = 16 + got;
    } else if (a == 192 && b == 168) {
        image[0] = 252;
        image[1] = 168;
    } else if (a == 100 && b >= 64 && b < 128) {
        good = keep_prefix(c, "100", 3, b & 63, 6, &got);
        image[0] = 251;
        image[1] = 64 + got;
    } else if (a == 169 && b == 254) {
        image[0] = 252;
        image[1] = 254;
    } else { /* `_public_net`; where networks are settled Python says which */
        if (c->of->settling)
            return ask_entry(c, entry);
        uint8_t top[32], low[32];
        size = put_number(context, put_word(context, 0, "/8:"), a);
        good = flips(c, context, size, top);
        size = put_number(context, put_word(context, put_number(context, put_word(context, 0, "/16:"), a), "."), b);
        good = good && flips(c, context, size, low);
        unsigned high = (top[31] & 31u) << 6 | (low[31] & 63u);
        image[0] = 240 + (high >> 8);
        image[1] = high & 255;
    }
    size = put_number(context, put_word(context, 0, "v4:"), a << 8 | b);
    if (!good || !keep_prefix(c, context, size, octets[2], 8, &third))
        return false;
    image[2] = third;
    uint8_t made[32 + 16];
    size = put_number(context, put_word(context, 0, "v4:"), a << 16 | b << 8 | octets[2]);
    hmac_digest(&c->of->key, "flip", (text){(const uint8_t *)context, size}, made);
    for (unsigned depth = 0; depth < 8; depth++)
        for (unsigned side = 0; side < 2; side++) {
            unsigned node = side ? (2u << depth) - 1 : 1u << depth;
            made[31 - (node >> 3)] &= (uint8_t)~(1u << (node & 7));
        }
    size = 0;
    for (int i = 0; i < 3; i++)
        size = put_word((char *)made + 32, put_number((char *)made + 32, size, image[i]), ".");
    return memo_set(&c->of->memo, entry, KNOWN, 0, (text){made, 32 + size});
}

/* `NetworkImages.ipv4` for the address that the entry is for; what its network becomes must be known. */
bool settle_ipv4(scan *c, uint32_t entry) {
    memo *m = &c->of->memo;
    text key = memo_key(m, entry);
    size_t dot = key.size;
    unsigned last = 0;
    while (dot > 0 && key.at[dot - 1] != '.')
        dot--;
    for (size_t i = dot; i < key.size; i++)
        last = last * 10 + (unsigned)(key.at[i] - '0');
    uint8_t net_key[16], made[32];
    if (dot == 0 || dot > sizeof net_key)
        return false;
    memcpy(net_key, key.at, dot - 1);
    uint32_t net = memo_find(m, NET, (text){net_key, dot - 1});
    if (net == NO_ENTRY || m->entries[net].state != KNOWN)
        return false;
    text known = memo_new(m, net);
    if (known.size < 32 || known.size > 32 + 12)
        return false;
    char image[32];
    memcpy(made, known.at, 32);
    memcpy(image, known.at + 32, known.size - 32);
    size_t size = put_number(image, known.size - 32, permute(made, last & 255, 8));
    return memo_set(m, entry, KNOWN, 0, (text){(const uint8_t *)image, size});
}

/* Look at the four numbers of which the first has its dot at `dot`. */
bool see_ipv4(scan *c, text buf, size_t dot) {
    size_t start = dot;
    while (start > 0 && dot - start < 4 && is(byte_at(buf, start - 1), DIGIT))
        start--;
    int before = byte_at(buf, start - 1);
    if (dot - start > 3 || is_alnum(before) || before == '_')
        return true;
    unsigned octets[4];
    bool plain;
    size_t end = read_octets(buf, start, octets, &plain);
    if (end == 0 || !plain)
        return true;
    /* `addresses._is_host` */
    if (octets[0] == 0 || octets[0] == 127 || octets[0] >= 224)
        return true;
    if (octets[0] == 169 && octets[1] == 254 && octets[2] == 169 && octets[3] == 254)
        return true;
    if (octets[0] == 1 && octets[1] == 3 && octets[2] == 6 && octets[3] == 1)
        return true;
    if (octets[0] == 2 && octets[1] == 5 && (octets[2] == 4 || octets[2] == 29))
        return true;
    if (is_small(octets) || !stands_alone(c->of, buf, start, end))
        return ask_finder(c, LOOK_IPV4, start, end - start);
    memo *m = &c->of->memo;
    uint32_t entry = memo_find(m, IPV4, part(buf, start, end));
    if (entry == NO_ENTRY)
        return false;
    if (m->entries[entry].state == UNKNOWN) {
        size_t last = end;
        while (buf.at[last - 1] != '.')
            last--;
        uint32_t net = memo_find(m, NET, part(buf, start, last - 1));
        if (net == NO_ENTRY)
            return false;
        if (m->entries[net].state == UNKNOWN && !make_net(c, net, octets))
            return false;
        if (m->entries[net].state == KNOWN && !settle_ipv4(c, entry))
            return false;
    }
    return add_hit(c, start, end, entry, c->of->ranks[LOOK_IPV4], IPV4, NO_ENTRY);
}

/* `addresses._is_station`, of twelve digits in small letters. */
static bool is_station(const uint8_t digits[12]) {
    bool same = true;
    for (int i = 1; i < 12; i++)
        same = same && digits[i] == digits[0];
    text t = {digits, 12};
    return !same && !begins_with(t, "01005e") && !begins_with(t, "3333") && !begins_with(t, "0180c2") &&
           !begins_with(t, "01000c") && !begins_with(t, "010ccd") && !begins_with(t, "011b19") &&
           !begins_with(t, "02f0") && !begins_with(t, "00000000");
}

static bool says_mac(text buf, size_t at) { return at < buf.size && begins_with(part(buf, at, at + 4), "MAC="); }

/* `addresses._MAC_CHAIN_BEFORE`. */
static bool chain_before(text buf, size_t start) {
    int before = byte_at(buf, start - 1);
    if (is_alnum(before))
        return true;
    if ((before == ':' || before == '-') && start >= 3 && is(byte_at(buf, start - 2), HEXDIGIT) &&
        is(byte_at(buf, start - 3), HEXDIGIT))
        return !is_alnum(byte_at(buf, start - 4));
    if (before != '.' || start < 5)
        return false;
    for (size_t i = 2; i < 6; i++)
        if (!is(byte_at(buf, start - i), HEXDIGIT))
            return false;
    return !is_alnum(byte_at(buf, start - 6));
}

/* Look at six pairs of digits of which the first has its colon at `colon`. */
bool see_mac(scan *c, text buf, size_t colon) {
    if (colon < 2 || buf.size - colon < 15)
        return true;
    size_t start = colon - 2, end = start + 17;
    uint8_t digits[12], image[17];
    bool letters = false, small = false;
    for (size_t i = 0; i < 17; i++) {
        int b = byte_at(buf, start + i);
        if (i % 3 == 2) {
            if (b != ':')
                return true;
            continue;
        }
        if (!is(b, HEXDIGIT))
            return true;
        letters = letters || is(b, LETTER);
        small = small || (is(b, LETTER) && !is(b, UPPER));
        digits[i / 3 * 2 + i % 3] = lower((uint8_t)b);
    }
    if (!is_station(digits))
        return true;
    if (!(start >= 4 && says_mac(buf, start - 4)) && !(start >= 22 && says_mac(buf, start - 22))) {
        int after = byte_at(buf, end);
        if (is_alnum(after) || chain_before(buf, start))
            return true;
        if (after == ':' && is(byte_at(buf, end + 1), HEXDIGIT) && is(byte_at(buf, end + 2), HEXDIGIT) &&
            !is_alnum(byte_at(buf, end + 3)))
            return true;
    }
    memo *m = &c->of->memo;
    uint32_t entry = memo_find(m, MAC, part(buf, start, end));
    if (entry == NO_ENTRY)
        return false;
    if (m->entries[entry].state == UNKNOWN) { /* `NetworkImages.mac` */
        uint8_t made[32];
        hmac_digest(&c->of->key, "mac", (text){digits, 12}, made);
        bool large = letters && !small;
        const char *signs = large ? "0123456789ABCDEF" : "0123456789abcdef";
        memcpy(image, large ? "02:F0:" : "02:f0:", 6);
        for (size_t i = 0; i < 4; i++) {
            image[6 + 3 * i] = (uint8_t)signs[made[i] >> 4];
            image[7 + 3 * i] = (uint8_t)signs[made[i] & 15];
            if (i < 3)
                image[8 + 3 * i] = ':';
        }
        if (!memo_set(m, entry, KNOWN, 0, (text){image, 17}))
            return false;
    }
    return add_hit(c, start, end, entry, c->of->ranks[LOOK_MAC], MAC, NO_ENTRY);
}
