/* Find in one pass over a block what is frequent: IPv4 and MAC addresses, mail, and a case's own names.
 *
 * Three steps. `sieve_scan` looks at the block and notes what it does not know yet: texts whose pseudonym, or whose being
 * one, is for Python to say. `sieve_tell` takes the answers. `sieve_settle` makes hits of what is decided, and gives
 * the places that Python's finders must look at themselves: all of whose neighbours are out of the ordinary.
 */
#ifndef MFT_SIEVE_H
#define MFT_SIEVE_H

#include "hmac.h"
#include "match.h"
#include "memo.h"

/* The spaces of the memo. From `FIRST_WORD` on each of the case's names has its own. */
enum { IPV4 = 0, NET, FLIPS, MAC, USER, HOST, MAIL, FULL_NAME, FULL_NAME_OF_REALM, RULE, KEY_NAME, PASSWORD, PHONE, FIRST_WORD = 16 };
#define FIRST_COLUMN_SPACE 0x40000000u
#define FIRST_RULE_SPACE 0x80000000u

/* What a name of the case's is (`lexicon._Literal`). */
enum { WORD_PLAIN = 0, WORD_BELOW = 1, WORD_HOST = 2, WORD_REALM = 3, WORD_ASK = 4 };

typedef struct {
    uint32_t start, end;
    uint32_t entry; /* of the memo: what stands for it */
    uint32_t rank;
    uint32_t kind;  /* the space, MAIL for mail; FIRST_WORD for all names */
    uint32_t other; /* for a host's full name the hit that its label alone makes; NO_ENTRY elsewhere */
} hit;

/* What was replaced: `rank`, where it stands in what was written, its length, and which it is: `HITS` and a hit's
 * number, or a number of those that Python found. */
typedef struct {
    int32_t rank;
    uint32_t offset, size, which;
} note;
#define HITS 0x80000000u

/* How the finders are told of a place, as `anchor.py` has it: an anchor's start, its length, its number. */
enum { INDEX_BITS = 12, LENGTH_BITS = 14 };

/* What is looked for: for each the rank of its rule and the number of an anchor of it; no rank, and it is not. */
enum { LOOK_IPV4 = 0, LOOK_IPV6, LOOK_MAC, LOOK_MAIL, LOOK_MAIL_ENCODED, LOOK_PHONE, LOOKS };
#define NO_RANK UINT32_MAX

typedef struct {
    uint32_t rank, flags, next; /* the next literal of the same text, and one */
} case_word;

/* Words in small letters, each behind its length, and between which places those stand that begin with a byte. */
typedef struct {
    bytes words;
    uint32_t from[256], to[256];
} word_list;

/* The programs that are not a rule's: of `contacts.PHONE` and `dialects.RUNNING_TEXT`. */
enum { PHONE_NUMBER = 0, RUNNING_TEXT, PROGRAMS };

typedef struct {
    hmac_key key;
    memo memo;
    uint32_t ranks[LOOKS], anchors[LOOKS];
    uint32_t domain_rank;
    bool settling; /* the case's dictionary settles which public network gets which image */
    uint8_t tails[2][8192]; /* two bytes before an address that end a version's word, and a key's */
    word_list masks; /* how a value begins that stands for one that was taken out */
    word_list settings; /* what a value is that is a setting */
    bytes versions; /* words that make what follows a version, each behind its length */
    case_word *words;
    uint32_t word_count;
    uint64_t *edges; /* node << 8 | byte, and one; 0 for none */
    uint32_t *children;
    uint32_t edge_mask;
    uint32_t *ends; /* for each node its literal, and one */
    uint32_t node_count;
    uint8_t pairs[8192]; /* two letters with which a name begins */
    uint8_t singles[256];
    struct rule *rules; /* see rules.c */
    size_t rule_count;
    uint32_t *of_anchor;
    matcher matcher;
    program programs[PROGRAMS]; /* one that is empty gives up */
    bool closed;
    uint32_t outstanding; /* scans whose hits are still wanted: the memo is not cleared under them */
} sieve;

typedef struct {
    sieve *of;
    bytes hits;  /* of `hit` */
    bytes others; /* of `hit` */
    bytes mails; /* of `mail` */
    bytes asked; /* of uint32_t: entries that are unknown */
    bytes events; /* of uint64_t: for finders */
    bytes names; /* of uint64_t: end << 20 | literal, for the lexicon */
    bytes told;  /* what is asked, written for Python */
    bytes unknown; /* of uint64_t: events of anchors whose rules were not told, or whose key's name is asked about */
    bytes written, notes; /* see rewrite.c */
    bytes lines_read; /* of uint32_t: rules that have read all lines */
    bytes ordered; /* of uint64_t: events to learn at */
} scan;

sieve *sieve_new(const uint8_t inner[64], const uint8_t outer[64], const uint32_t *ranks, const uint32_t *anchors,
                 uint32_t domain_rank, uint32_t settling, const uint8_t *tails, const uint8_t *versions,
                 size_t versions_size);
/* Take the case's names: their texts one behind the other, and of each its end, rank and flags. */
bool sieve_words(sieve *s, const uint8_t *texts, size_t size, const uint32_t *of_each, size_t count);
void sieve_free(sieve *s);

/* Take one of the programs that are not a rule's. */
bool sieve_program(sieve *s, uint32_t which, const uint32_t *code, size_t size, const uint8_t *sets, size_t set_count);
/* Look at a block of fewer than 2^31 bytes; NULL where there is no memory. The block must stay for `sieve_settle`. */
scan *sieve_scan(sieve *s, const uint8_t *buf, size_t size);
/* Take what confirms the anchors from `first` on: four numbers (the rule's rank, the group that is its value, flags, how
 * far it may look), what each group tells, what its tag says, and its program. */
bool sieve_rule(sieve *s, size_t first, size_t count, const uint32_t *numbers, const char *kind, const uint32_t *code,
                size_t size, const uint8_t *sets, size_t set_count);
/* Let anchors be words of keys, as `finders.find_assignment` takes them; `settings` and `masks` are `gate.SETTINGS` of letters
 * and digits, and `gate.MASKS`. */
bool sieve_assignments(sieve *s, size_t first, size_t count, uint32_t rank, const uint8_t *settings,
                       size_t settings_size, const uint8_t *masks, size_t masks_size);
/* Leave these anchors to Python. */
bool sieve_leave(sieve *s, size_t first, size_t count);
/* Confirm the events of a scan of anchors. Those that Python must see are given by `sieve_events`, those of anchors of
 * which nothing was said by `sieve_unknown`, with those of keys whose worth is asked about: again, once that is told. */
bool sieve_confirm(scan *c, const uint8_t *buf, size_t size, const uint8_t *events, size_t count);
size_t sieve_unknown(const scan *c, const uint8_t **at);
bool sieve_learn(scan *c, const uint8_t *buf, size_t size, const uint8_t *events, size_t count);
void sieve_forget(sieve *s);
/* Give what is asked: of each the space and the size as 32 bits of this machine, then the text. */
size_t sieve_asked(scan *c, const uint8_t **told);
/* Take the answers in the same order: state, extra and size as 32 bits, then what stands for it. */
bool sieve_tell(scan *c, const uint8_t *at, size_t size);
bool sieve_settle(scan *c, const uint8_t *buf, size_t size);
/* Read plain rows of a table; of each column three numbers: see rows.c. */
size_t sieve_rows(scan *c, const uint8_t *at, size_t size, size_t pos, size_t limit, uint32_t separator,
                  const uint32_t *numbers, size_t count);
size_t sieve_events(const scan *c, const uint8_t **at);
size_t sieve_names(const scan *c, const uint8_t **at);
size_t sieve_hits(const scan *c, const uint8_t **at);
void sieve_done(scan *c);

/* Write `buf` from `pos` anew, up to the first hit that begins at `limit` or behind; give how far that came, SIZE_MAX
 * where there is no memory or what Python found does not fit the block. */
size_t sieve_write(scan *c, const uint8_t *buf, size_t size, size_t pos, size_t limit, const uint8_t *rows, size_t count,
                   const uint8_t *news, size_t news_size, uint32_t same_length);
bool sieve_write_rest(scan *c, const uint8_t *buf, size_t size, size_t from, size_t to);
size_t sieve_written(const scan *c, const uint8_t **at);
size_t sieve_notes(const scan *c, const uint8_t **at);
/* Put the fingerprints of `count` notes into `prints`, six bytes each, but for those of what Python found: `kinds` has what
 * is hashed with a value, each with a zero behind it, `of_ranks` where that of a rank begins. */
bool sieve_prints(scan *c, const uint8_t *buf, size_t size, const uint8_t *notes, size_t count, const uint8_t *kinds,
                  size_t kinds_size, const uint32_t *of_ranks, size_t ranks, uint8_t *prints);
/* Tell the numbers, of 32 bits, of the notes whose rank `secret` names, without those that have not the length or the
 * look of what the second look remembers; all that Python found are told. */
/* Add to `counts`, of `ranks` numbers of 32 bits, how many notes there are of each rank. */
bool sieve_counts(const uint8_t *notes, size_t count, uint32_t *counts, size_t ranks);
bool sieve_secrets(scan *c, const uint8_t *buf, size_t size, const uint8_t *notes, size_t count, const uint8_t *secret,
                   size_t ranks, size_t shortest, size_t longest);
bool sieve_runs(scan *c, const uint8_t *buf, size_t size);
size_t sieve_told(const scan *c, const uint8_t **at);
size_t sieve_news(scan *c, const uint8_t **at);

/* --- used among the files of this library */

typedef struct {
    uint32_t sign, begin; /* where its sign stands, where its local part begins */
    uint32_t entry;       /* of its domain */
    uint32_t ask;         /* whether where it begins is for Python to say */
} mail;

bool see_ipv4(scan *c, text buf, size_t dot);
bool see_mac(scan *c, text buf, size_t colon);
bool see_mail(scan *c, text buf, size_t sign);
bool see_phone(scan *c, text buf, size_t plus);
bool settle_mails(scan *c, text buf);
bool settle_ipv4(scan *c, uint32_t entry);
bool see_words(scan *c, text buf);
void words_free(sieve *s);
void rules_free(sieve *s);
bool set_tag(scan *c, uint32_t entry, const char *kind, text value);
bool set_phone(scan *c, uint32_t entry, text value, bool *made);
bool may_hold_tag(text value);
bool list_words(word_list *w, const uint8_t *at, size_t size);
bool see_assignment(scan *c, text buf, size_t seen, uint32_t rank, bool *ask, bool *later);

bool ask_entry(scan *c, uint32_t entry);
bool ask_finder(scan *c, int look, size_t start, size_t size);
bool add_hit(scan *c, size_t start, size_t end, uint32_t entry, uint32_t rank, uint32_t kind, uint32_t other);

#endif
