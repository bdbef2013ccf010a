#include "hmac.h"

#include <stdio.h>
#include <string.h>

#include "suite.h"

static void check(struct hmac *hmac, struct bytes text, const char *expected)
{
    uint8_t mac[HMAC_BYTES];
    char hex[2 * HMAC_BYTES + 1];
    hmac_sign(hmac, text, mac);
    for (size_t i = 0; i < HMAC_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    ck_assert_str_eq(hex, expected);
}

/* RFC 4231, test cases 2, 1 and 6. */
START_TEST(signs_as_the_rfc_says)
{
    uint8_t key[131];
    struct hmac *hmac = hmac_new(BYTES_LITERAL("Jefe"));
    check(hmac, BYTES_LITERAL("what do ya want for nothing?"),
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_free(hmac);
    memset(key, 0x0b, 20);
    hmac = hmac_new(bytes_of(key, 20));
    check(hmac, BYTES_LITERAL("Hi There"),
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hmac_free(hmac);
    memset(key, 0xaa, sizeof(key));
    hmac = hmac_new(bytes_of(key, sizeof(key)));
    check(hmac, BYTES_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"),
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_free(hmac);
}
END_TEST

START_TEST(what_was_signed_before_does_not_matter)
{
    static const char expected[] =
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    struct hmac *hmac = hmac_new(BYTES_LITERAL("Jefe"));
    uint8_t mac[HMAC_BYTES];
    for (int i = 0; i < 3; i++) {
        check(hmac, BYTES_LITERAL("what do ya want for nothing?"), expected);
        hmac_sign(hmac, BYTES_LITERAL("something else"), mac);
        hmac_sign(hmac, bytes_of("", 0), mac);
    }
    hmac_free(hmac);
}
END_TEST

START_TEST(a_key_of_no_bytes_is_a_key)
{
    struct hmac *other = hmac_new(BYTES_LITERAL("other")), *hmac = hmac_new(bytes_of(NULL, 0));
    check(hmac, bytes_of("", 0),
          "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    hmac_free(hmac);
    hmac_free(other);
    hmac_free(NULL);
}
END_TEST

TEST_PROGRAM("hmac", signs_as_the_rfc_says, what_was_signed_before_does_not_matter,
             a_key_of_no_bytes_is_a_key)
