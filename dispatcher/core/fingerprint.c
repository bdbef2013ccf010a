#include "fingerprint.h"

#include <assert.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "mem.h"

struct fingerprinter {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

struct fingerprinter *fingerprinter_new(void)
{
    struct fingerprinter *fingerprinter = mem_new(struct fingerprinter);
    fingerprinter->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    fingerprinter->context = EVP_MD_CTX_new();
    if (!fingerprinter->algorithm || !fingerprinter->context)
        abort(); /* as on exhaustion: an OpenSSL without SHA-256 does not exist */
    return fingerprinter;
}

void fingerprinter_free(struct fingerprinter *fingerprinter)
{
    if (!fingerprinter)
        return;
    EVP_MD_CTX_free(fingerprinter->context);
    EVP_MD_free(fingerprinter->algorithm);
    free(fingerprinter);
}

static uint64_t read_half(const uint8_t *place)
{
    uint64_t number = 0;
    for (unsigned i = 0; i < 8; i++)
        number = number << 8 | place[i];
    return number;
}

static void add(struct fingerprinter *fingerprinter, const void *data, size_t size)
{
    int done = EVP_DigestUpdate(fingerprinter->context, data, size);
    assert(done == 1);
    (void)done;
}

/* The size before each part: ("ab", "c") and ("a", "bc") are two things. */
struct fingerprint fingerprint_of(struct fingerprinter *fingerprinter, const struct bytes *parts,
                                  size_t count)
{
    assert(count > 0);
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int done = EVP_DigestInit_ex2(fingerprinter->context, fingerprinter->algorithm, NULL);
    assert(done == 1);
    for (size_t i = 0; i < count; i++) {
        uint64_t part_size = parts[i].size;
        uint8_t prefix[8];
        for (unsigned shift = 0; shift < 8; shift++)
            prefix[shift] = (uint8_t)(part_size >> (8 * shift));
        add(fingerprinter, prefix, sizeof(prefix));
        if (part_size > 0)
            add(fingerprinter, parts[i].data, parts[i].size);
    }
    done = EVP_DigestFinal_ex(fingerprinter->context, digest, &size);
    assert(done == 1 && size >= 16);
    (void)done;
    return (struct fingerprint){read_half(digest), read_half(digest + 8)};
}

unsigned fingerprint_hash(struct fingerprint fingerprint, uint64_t seed)
{
    return (unsigned)XXH3_64bits_withSeed(&fingerprint, sizeof(fingerprint), seed);
}
