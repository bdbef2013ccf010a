/* The server's side of the opening handshake: RFC 6455 section 4.2. That the request may come from
 * this origin is not looked at here: the adapters know which origins there are. */
#include <assert.h>
#include <openssl/evp.h>

#include "base64.h"
#include "http_head.h"
#include "http_response.h"
#include "websocket_frame.h"

enum { KEY_SIZE = 24, NONCE_SIZE = 16, SHA1_SIZE = 20 };

/* 16 bytes in base64 (section 4.1): decoded, and not only counted. */
static bool key_is_valid(struct bytes key)
{
    if (key.size != KEY_SIZE)
        return false;
    auto_buffer struct buffer nonce = {0};
    return base64_decode(key, &nonce) == STATUS_OK && buffer_size(&nonce) == NONCE_SIZE;
}

enum status websocket_check_handshake(const struct http_request *request, struct bytes *key)
{
    struct bytes found, version;
    if (request->method != HTTP_GET || !request->upgrade || request->has_body ||
        !http_request_has_token(request, "upgrade", "websocket"))
        return STATUS_MALFORMED;
    if (http_request_count(request, "sec-websocket-version") != 1 ||
        !http_request_field(request, "sec-websocket-version", &version) ||
        !bytes_equal_string(version, "13"))
        /* The answer to this one names the version that we speak (section 4.4). */
        return STATUS_UNSUPPORTED;
    if (http_request_count(request, "sec-websocket-key") != 1 ||
        !http_request_field(request, "sec-websocket-key", &found) || !key_is_valid(found))
        return STATUS_MALFORMED;
    *key = found;
    return STATUS_OK;
}

void websocket_accept(struct bytes key, char out[WEBSOCKET_ACCEPT_SIZE])
{
    /* Section 1.3. SHA-1 is no weakness here: it proves that the server has understood the
     * question. */
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t text[KEY_SIZE + sizeof(guid) - 1], digest[SHA1_SIZE];
    assert(key.size == KEY_SIZE);
    memcpy(text, key.data, KEY_SIZE);
    memcpy(text + KEY_SIZE, guid, sizeof(guid) - 1);
    unsigned digest_size = 0;
    int done = EVP_Digest(text, sizeof(text), digest, &digest_size, EVP_sha1(), NULL);
    assert(done == 1 && digest_size == SHA1_SIZE);
    EVP_EncodeBlock((unsigned char *)out, digest, SHA1_SIZE);
}

/* The next offer of all fields that hold some. */
static bool next_offer(struct bytes *fields, struct bytes *list, struct bytes *offer)
{
    struct http_field field;
    for (;;) {
        if (http_list_next(list, offer))
            return true;
        if (!http_field_next(fields, &field))
            return false;
        if (http_equal_ignoring_case(field.name, BYTES_LITERAL("sec-websocket-protocol")))
            *list = field.value;
    }
}

/* Names of subprotocols are compared exactly, unlike names of fields. */
bool websocket_offers_protocol(const struct http_request *request, const char *protocol)
{
    struct bytes rest = request->fields, list = {0}, offer;
    while (next_offer(&rest, &list, &offer))
        if (bytes_equal_string(offer, protocol))
            return true;
    return false;
}

bool websocket_first_protocol(const struct http_request *request, struct bytes *protocol)
{
    struct bytes rest = request->fields, list = {0}, offer;
    if (!next_offer(&rest, &list, &offer) || !http_is_token(offer))
        return false;
    *protocol = offer;
    return true;
}

/* At most one protocol, and only one that was offered, or browsers end the connection. */
void websocket_append_handshake(struct buffer *out, struct bytes key, struct bytes protocol,
                                const struct http_field *fields, size_t field_count)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    websocket_accept(key, accept);
    buffer_append_format(out,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                         accept);
    assert(protocol.size == 0 || http_is_token(protocol));
    if (protocol.size)
        buffer_append_format(out, "Sec-WebSocket-Protocol: %.*s\r\n", BYTES_PRINT(protocol));
    for (size_t i = 0; i < field_count; i++) {
        assert(http_value_is_safe(fields[i].name) && http_value_is_safe(fields[i].value));
        buffer_append_format(out, "%.*s: %.*s\r\n", BYTES_PRINT(fields[i].name),
                             BYTES_PRINT(fields[i].value));
    }
    buffer_append(out, BYTES_LITERAL("\r\n"));
}
