/* HMAC-SHA256 (RFC 2104, FIPS 180-4) under one key, whose two states are worked out once. */
#ifndef MFT_HMAC_H
#define MFT_HMAC_H

#include "text.h"

typedef struct {
    uint32_t inner[8], outer[8];
} hmac_key;

/* Hash from here on by the processor's own instructions if it has any, or plainly; give whether it has. Same outcome. */
bool hmac_choose(bool plainly);
/* For tests: one digest, as `hmac_digest` gives it. */
void hmac_try(const uint8_t inner[64], const uint8_t outer[64], const char *kind, const uint8_t *at, size_t size,
              uint8_t made[32]);

/* Take the key's two padded blocks of 64 bytes, for the inner hash and for the outer. */
void hmac_prepare(hmac_key *key, const uint8_t inner[64], const uint8_t outer[64]);

/* `Pseudonymizer.digest`: the HMAC of `kind`, a zero byte, and `value`. */
void hmac_digest(const hmac_key *key, const char *kind, text value, uint8_t made[32]);

#endif
