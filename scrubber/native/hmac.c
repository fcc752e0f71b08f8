#include "hmac.h"

/* Processors of this kind may have instructions for SHA-256: whether this one does is asked once, before the first hash. */
#if defined(__x86_64__) && defined(__GNUC__)
#define MAY_HAVE_SHA
#include <cpuid.h>
#include <immintrin.h>
#endif

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, section 4.2.2). */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t turned(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* FIPS 180-4, section 6.2.2, for one block. */
static void compress_plainly(uint32_t state[8], const uint8_t block[64]) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
        uint32_t t2 = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

#ifdef MAY_HAVE_SHA
/* The same by the processor's own instructions (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2:
 * SHA256RNDS2, SHA256MSG1, SHA256MSG2). They keep the state as two halves, A B E F and C D G H, the first named highest;
 * four rounds at a time, with the words of the next but three made meanwhile. */
__attribute__((target("sha,sse4.1,ssse3"))) static void compress_by_instructions(uint32_t state[8],
                                                                                 const uint8_t block[64]) {
    const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203); /* words come with the highest byte first */
    __m128i abef = _mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]);
    __m128i cdgh = _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7]);
    const __m128i first = abef, second = cdgh;
    __m128i w[4];
    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i)), order);
    for (int i = 0; i < 16; i++) {
        __m128i words = w[i & 3];
        __m128i sum = _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)(const void *)(K + 4 * i)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (i < 12) {
            __m128i last = w[(i + 3) & 3];
            __m128i made = _mm_sha256msg1_epu32(words, w[(i + 1) & 3]);
            made = _mm_add_epi32(made, _mm_alignr_epi8(last, w[(i + 2) & 3], 4));
            w[i & 3] = _mm_sha256msg2_epu32(made, last);
        }
    }
    abef = _mm_add_epi32(abef, first);
    cdgh = _mm_add_epi32(cdgh, second);
    state[0] = (uint32_t)_mm_extract_epi32(abef, 3);
    state[1] = (uint32_t)_mm_extract_epi32(abef, 2);
    state[2] = (uint32_t)_mm_extract_epi32(cdgh, 3);
    state[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
    state[4] = (uint32_t)_mm_extract_epi32(abef, 1);
    state[5] = (uint32_t)_mm_extract_epi32(abef, 0);
    state[6] = (uint32_t)_mm_extract_epi32(cdgh, 1);
    state[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

/* CPUID: leaf 7 tells of SHA (EBX, bit 29), leaf 1 of SSSE3 and SSE4.1 (ECX, bits 9 and 19). */
static bool has_instructions(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b >> 29 & 1))
        return false;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 9 & 1) && (c >> 19 & 1);
}
#endif

static void (*compress)(uint32_t state[8], const uint8_t block[64]) = compress_plainly;

bool hmac_choose(bool plainly) {
    compress = compress_plainly;
#ifdef MAY_HAVE_SHA
    if (!plainly && has_instructions())
        compress = compress_by_instructions;
#endif
    return compress != compress_plainly;
}

void hmac_try(const uint8_t inner[64], const uint8_t outer[64], const char *kind, const uint8_t *at, size_t size,
              uint8_t made[32]) {
    hmac_key key;
    hmac_prepare(&key, inner, outer);
    hmac_digest(&key, kind, (text){at, size}, made);
}

void hmac_prepare(hmac_key *key, const uint8_t inner[64], const uint8_t outer[64]) {
    memcpy(key->inner, START, sizeof START);
    memcpy(key->outer, START, sizeof START);
    compress(key->inner, inner);
    compress(key->outer, outer);
}

static void put_words(uint8_t *at, const uint32_t state[8]) {
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 4; j++)
            at[4 * i + j] = (uint8_t)(state[i] >> (24 - 8 * j));
}

/* A hash that goes on behind one block of the key. */
typedef struct {
    uint32_t state[8];
    uint8_t block[64];
    size_t filled;
    uint64_t total;
} running;

static void take(running *r, const uint8_t *at, size_t size) {
    r->total += size;
    while (size > 0) {
        size_t n = 64 - r->filled < size ? 64 - r->filled : size;
        memcpy(r->block + r->filled, at, n);
        r->filled += n;
        at += n;
        size -= n;
        if (r->filled == 64) {
            compress(r->state, r->block);
            r->filled = 0;
        }
    }
}

static void finish(running *r, uint8_t made[32]) {
    uint64_t bits = r->total * 8;
    r->block[r->filled++] = 0x80;
    if (r->filled > 56) {
        memset(r->block + r->filled, 0, 64 - r->filled);
        compress(r->state, r->block);
        r->filled = 0;
    }
    memset(r->block + r->filled, 0, 56 - r->filled);
    for (int i = 0; i < 8; i++)
        r->block[56 + i] = (uint8_t)(bits >> (56 - 8 * i));
    compress(r->state, r->block);
    put_words(made, r->state);
}

void hmac_digest(const hmac_key *key, const char *kind, text value, uint8_t made[32]) {
    running r = {.filled = 0, .total = 64};
    memcpy(r.state, key->inner, sizeof r.state);
    take(&r, (const uint8_t *)kind, strlen(kind) + 1); /* its zero byte is the one in between */
    take(&r, value.at, value.size);
    uint8_t inside[32];
    finish(&r, inside);
    r.filled = 0;
    r.total = 64;
    memcpy(r.state, key->outer, sizeof r.state);
    take(&r, inside, sizeof inside);
    finish(&r, made);
}
