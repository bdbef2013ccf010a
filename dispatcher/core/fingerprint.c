/* Fingerprints by SHA-256. It is slower than a table's hash by far and still nothing beside a
 * record's way through Kafka; what it buys is that nobody can make two events meet, and so have
 * another's event dropped as a duplicate.
 *
 * The bytes that are hashed and their order are a format: what one version wrote into the
 * changelog another must find again. Nothing here may change without new types of records there
 * (partition_state.c). */
#include "fingerprint.h"

#include <assert.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "mem.h"

struct fingerprinter {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

/* The algorithm is fetched once: looking it up by its name takes OpenSSL longer than hashing an
 * event. */
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

/* Big-endian whatever the machine, so that fingerprints of two machines agree. */
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

/* A fingerprint is evenly spread already, but whoever chooses ids can compute it and try until
 * many share their low bits; with the seed he cannot tell where they lie. */
unsigned fingerprint_hash(struct fingerprint fingerprint, uint64_t seed)
{
    return (unsigned)XXH3_64bits_withSeed(&fingerprint, sizeof(fingerprint), seed);
}
