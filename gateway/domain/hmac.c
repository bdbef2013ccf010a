/* HMAC-SHA-256 with a key that is set up once: to hash the key anew for every cursor would
 * double the cost of a delivery that carries one. */
#include "hmac.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "mem.h"

struct hmac {
    EVP_MAC_CTX *context;
};

struct hmac *hmac_new(struct bytes key)
{
    static char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                                 OSSL_PARAM_construct_end()};
    struct hmac *hmac = mem_new(struct hmac);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    hmac->context = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm); /* the context keeps it */
    /* A key of no bytes is one, too; NULL would mean the last one. */
    int done =
        EVP_MAC_init(hmac->context, key.size ? key.data : (const uint8_t *)"", key.size, params);
    assert(done == 1);
    (void)done;
    return hmac;
}

void hmac_free(struct hmac *hmac)
{
    if (!hmac)
        return;
    EVP_MAC_CTX_free(hmac->context);
    free(hmac);
}

void hmac_sign(struct hmac *hmac, struct bytes text, uint8_t mac[HMAC_BYTES])
{
    size_t size = 0;
    bool done = EVP_MAC_init(hmac->context, NULL, 0, NULL) == 1 &&
                EVP_MAC_update(hmac->context, text.data, text.size) == 1 &&
                EVP_MAC_final(hmac->context, mac, &size, HMAC_BYTES) == 1;
    assert(done && size == HMAC_BYTES);
    (void)done;
}
