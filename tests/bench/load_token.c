#include "load_token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { PART_BYTES = 512 };

/* Of at most PART_BYTES * 3 / 4. */
static void base64url(char out[PART_BYTES + 4], const void *data, size_t size)
{
    int length = EVP_EncodeBlock((unsigned char *)out, data, (int)size);
    while (length && out[length - 1] == '=')
        length--;
    out[length] = '\0';
    for (char *at = out; *at; at++)
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
}

void load_token(char *out, size_t size, const char *secret, const char *claims)
{
    static const char head[] = "eyJhbGciOiJIUzI1NiJ9"; /* {"alg":"HS256"} */
    char text[PART_BYTES * 3 / 4], body[PART_BYTES + 4], tail[PART_BYTES + 4];
    char input[sizeof(head) + sizeof(body)];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_size = 0;
    const char *end = strrchr(claims, '}');
    int length = snprintf(text, sizeof(text), "%.*s,\"exp\":%lld}", (int)(end - claims), claims,
                          (long long)time(NULL) + 3600);
    base64url(body, text, (size_t)length);
    length = snprintf(input, sizeof(input), "%s.%s", head, body);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)input, (size_t)length,
         mac, &mac_size);
    base64url(tail, mac, mac_size);
    snprintf(out, size, "{\"token\":\"%s.%s\"}", input, tail);
}
