/* Tokens as the benchmark's clients bring them. */
#ifndef TESTS_BENCH_LOAD_TOKEN_H
#define TESTS_BENCH_LOAD_TOKEN_H

#include <stddef.h>

/* Writes {"token":"..."}: the claims, a JSON object, with an expiry in an hour, signed with HS256.
 * Cut off at `size`. */
void load_token(char *out, size_t size, const char *secret, const char *claims);

#endif
