#include "murmur2.h"

#include <stdio.h>

#include "suite.h"

enum { KEY_LIMIT = 128 };

static size_t key_of_hex(const char *hex, uint8_t key[KEY_LIMIT])
{
    size_t size = 0;
    for (; hex[0] != '-' && hex[0] != '\0'; hex += 2) {
        unsigned byte;
        ck_assert_int_eq(sscanf(hex, "%2x", &byte), 1);
        ck_assert_uint_lt(size, KEY_LIMIT);
        key[size++] = (uint8_t)byte;
    }
    return size;
}

/* The file was written by Kafka's Java client: tests/tools/murmur2/generate. */
START_TEST(hashes_and_partitions_are_those_of_the_java_client)
{
    static const int32_t counts[] = {1, 3, 8, 32, 1000};
    FILE *file = fopen("tests/data/murmur2.txt", "r");
    ck_assert_ptr_nonnull(file);
    char line[512];
    int vectors = 0;
    while (fgets(line, sizeof(line), file)) {
        if (line[0] == '#')
            continue;
        char hex[2 * KEY_LIMIT + 1];
        uint32_t hash;
        int expected[5];
        ck_assert_int_eq(sscanf(line, "%256s %8x %d %d %d %d %d", hex, &hash, &expected[0],
                                &expected[1], &expected[2], &expected[3], &expected[4]),
                         7);
        uint8_t data[KEY_LIMIT];
        struct bytes key = bytes_of(data, key_of_hex(hex, data));
        ck_assert_uint_eq(murmur2(key), hash);
        for (int i = 0; i < 5; i++)
            ck_assert_int_eq(murmur2_partition(key, counts[i]), expected[i]);
        vectors++;
    }
    fclose(file);
    ck_assert_int_ge(vectors, 221);
}
END_TEST

TEST_PROGRAM("murmur2", hashes_and_partitions_are_those_of_the_java_client)
