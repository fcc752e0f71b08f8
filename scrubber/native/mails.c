/* Addresses of mail: `contacts.find_email`, their users' images as `Pseudonymizer.email` makes them. */
#include "sieve.h"

enum { LONGEST_LOCAL = 64, LONGEST_RUN = 640, WINDOW = 66 };

/* Say whether a label that begins with a letter follows a dot: no top-level domain is without (`contacts._DOMAIN`). */
static bool has_top_level(text run) {
    for (size_t i = 1; i + 1 < run.size; i++)
        if (run.at[i] == '.' && is(byte_at(run, i + 1), LETTER))
            return true;
    return false;
}

/* `contacts._local_start`; `*ask` where its expressions must say. */
static size_t local_start(text buf, size_t sign, bool *ask) {
    size_t least = sign > WINDOW ? sign - WINDOW : 0, begin = sign;
    bool percent = false;
    while (begin > least && is(byte_at(buf, begin - 1), LOCAL)) {
        begin--;
        percent = percent || buf.at[begin] == '%';
    }
    int before = begin > least ? byte_at(buf, begin - 1) : -1;
    *ask = false;
    if (begin == sign) { /* nothing of `_LOCAL` ends here */
        *ask = before >= 0x80 || before == '\'';
        return sign;
    }
    if (before < 0 || before >= 0x80 || before == '\'' || percent || sign - begin > LONGEST_LOCAL ||
        !(is_alnum(buf.at[begin]) || buf.at[begin] == '_'))
        *ask = true;
    return begin;
}

/* Look at what stands around a sign. What its domain becomes is asked of Python where it is new. */
bool see_mail(scan *c, text buf, size_t sign) {
    size_t stop = sign + 1;
    while (stop - sign <= LONGEST_RUN && is(byte_at(buf, stop), DOMAIN))
        stop++;
    text run = part(buf, sign, stop);
    if (run.size < 5 || !has_top_level(run))
        return true;
    mail made = {.sign = (uint32_t)sign};
    bool ask;
    size_t begin = local_start(buf, sign, &ask);
    if (begin == sign && !ask)
        return true;
    made.begin = (uint32_t)begin;
    made.ask = ask;
    made.entry = memo_find(&c->of->memo, HOST, run);
    if (made.entry == NO_ENTRY)
        return false;
    if (c->of->memo.entries[made.entry].state == UNKNOWN && !ask_entry(c, made.entry))
        return false;
    return bytes_add(&c->mails, &made, sizeof made);
}

static const char BASE32[] = "abcdefghijklmnopqrstuvwxyz234567";

/* `Pseudonymizer.word("user", …)` of a local part in small letters. */
static bool user_image(scan *c, text local, uint8_t made[13]) {
    memo *m = &c->of->memo;
    uint32_t entry = memo_find(m, USER, local);
    if (entry == NO_ENTRY)
        return false;
    if (m->entries[entry].state == KNOWN) {
        memcpy(made, memo_new(m, entry).at, 13);
        return true;
    }
    uint8_t digest[32];
    hmac_digest(&c->of->key, "user", local, digest);
    uint64_t number = 0;
    for (int i = 0; i < 5; i++)
        number = number << 8 | digest[i];
    memcpy(made, "user-", 5);
    for (int i = 0; i < 8; i++)
        made[5 + i] = (uint8_t)BASE32[number >> (35 - 5 * i) & 31];
    return memo_set(m, entry, KNOWN, 0, (text){made, 13});
}

static bool ends_with_example(text host) {
    const char *word = ".example";
    if (host.size < 8)
        return false;
    for (size_t i = 0; i < 8; i++)
        if (lower(host.at[host.size - 8 + i]) != (uint8_t)word[i])
            return false;
    return true;
}

enum { UUID_SIZE = 36, USER_SIZE = 13 };

/* `pseudonym._UUID`, of a local part in small letters. */
static bool is_uuid(text local) {
    if (local.size != UUID_SIZE)
        return false;
    for (size_t i = 0; i < UUID_SIZE; i++) {
        uint8_t c = local.at[i];
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool settle_mail(scan *c, text buf, const mail *one) {
    memo *m = &c->of->memo;
    if (m->entries[one->entry].state != KNOWN)
        return m->entries[one->entry].state == NONE;
    if (one->ask)
        return ask_finder(c, LOOK_MAIL, one->sign, 2);
    size_t end = one->sign + 1 + (size_t)m->entries[one->entry].extra;
    if (end > buf.size)
        return false;
    text whole = part(buf, one->begin, end), local = part(buf, one->begin, one->sign);
    int after = byte_at(buf, end);
    if (begins_with(whole, "git@") && (after == ':' || after == '/'))
        return true;
    if (one->begin >= 7 && memcmp(buf.at + one->begin - 7, "krbtgt/", 7) == 0)
        return true;
    if (local.size > LONGEST_LOCAL)
        return false;
    uint8_t small[LONGEST_LOCAL];
    for (size_t i = 0; i < local.size; i++)
        small[i] = lower(local.at[i]);
    bool uuid = is_uuid((text){small, local.size});
    bool made = uuid || (local.size == USER_SIZE && memcmp(small, "user-", 5) == 0);
    if (made && ends_with_example(part(buf, one->sign + 1, end)))
        return ask_finder(c, LOOK_MAIL, one->sign, 2); /* it may be a pseudonym */
    uint32_t entry = memo_find(m, MAIL, whole);
    if (entry == NO_ENTRY)
        return false;
    if (m->entries[entry].state == UNKNOWN) {
        uint8_t image[UUID_SIZE + 4 + LONGEST_RUN];
        size_t user = uuid ? UUID_SIZE : USER_SIZE;
        if (uuid)
            memcpy(image, local.at, UUID_SIZE);
        else if (!user_image(c, (text){small, local.size}, image))
            return false;
        text host = memo_new(m, one->entry);
        if (host.size > LONGEST_RUN)
            return ask_finder(c, LOOK_MAIL, one->sign, 2);
        image[user] = '@';
        memcpy(image + user + 1, host.at, host.size);
        if (!memo_set(m, entry, KNOWN, 0, (text){image, user + 1 + host.size}))
            return false;
    }
    return add_hit(c, one->begin, end, entry, c->of->ranks[LOOK_MAIL], MAIL, NO_ENTRY);
}

bool settle_mails(scan *c, text buf) {
    size_t count = c->mails.size / sizeof(mail);
    const mail *mails = (const mail *)(const void *)c->mails.at;
    for (size_t i = 0; i < count; i++)
        if (!settle_mail(c, buf, &mails[i]))
            return false;
    return true;
}
