/* Claims as a session keeps them: only those that the policy names, packed into one allocation.
 * A gateway holds as many of these as it has clients, so a JSON document for each is out of the
 * question.
 *
 * A value that cannot be used (of another type, empty, too long) is left out as if it were not
 * there: a policy then finds less, never more. More values than fit are an error, since which of
 * them were dropped would decide about rights. */
#include "claims.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "buffer.h"
#include "mem.h"
#include "narrow.h"

/* Entries of one byte field, one byte length, the value; ordered by field. */
struct claims {
    uint16_t size;
    uint8_t data[];
};

enum { ENTRY_HEADER = 2 };

#define DATE_LIMIT 1e15 /* seconds since 1970 */

struct packer {
    struct buffer out;
    unsigned field;
    size_t field_start; /* where the entries of `field` begin */
    unsigned values;    /* of `field` */
    bool is_date;       /* `field` is a NumericDate */
};

static bool entry_at(struct bytes packed, size_t *position, unsigned *field, struct bytes *value)
{
    if (*position == packed.size)
        return false;
    const uint8_t *entry = packed.data + *position;
    *field = entry[0];
    *value = bytes_of(entry + ENTRY_HEADER, entry[1]);
    *position += ENTRY_HEADER + (size_t)entry[1];
    assert(*position <= packed.size);
    return true;
}

static bool pack_has(const struct packer *packer, struct bytes value)
{
    struct bytes packed = bytes_skip(buffer_peek(&packer->out), packer->field_start);
    size_t position = 0;
    unsigned field;
    struct bytes other;
    while (entry_at(packed, &position, &field, &other))
        if (bytes_equal(other, value))
            return true;
    return false;
}

static enum status pack_text(struct packer *packer, struct bytes value)
{
    /* A value twice is no more than once, but would count twice against the limit. */
    if (value.size == 0 || value.size > CLAIMS_VALUE_LIMIT || pack_has(packer, value))
        return STATUS_OK;
    if (packer->values == CLAIMS_VALUES_LIMIT ||
        buffer_size(&packer->out) + ENTRY_HEADER + value.size > CLAIMS_BYTES_LIMIT)
        return STATUS_TOO_LARGE;
    assert(packer->field < CLAIMS_NAMES_LIMIT);
    buffer_append_byte(&packer->out, narrow_8(packer->field));
    buffer_append_byte(&packer->out, narrow_8(value.size));
    buffer_append(&packer->out, value);
    packer->values++;
    return STATUS_OK;
}

static enum status pack_scalar(struct packer *packer, const json_t *value)
{
    if (json_is_string(value))
        return pack_text(packer, bytes_of(json_string_value(value), json_string_length(value)));
    if (json_is_boolean(value))
        return pack_text(packer, bytes_of_string(json_is_true(value) ? "true" : "false"));
    if (json_is_integer(value)) {
        char text[24];
        int size = snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(value));
        return pack_text(packer, bytes_of(text, (size_t)size));
    }
    /* A NumericDate may have a fraction (RFC 7519). No other number that is not whole is taken:
     * two texts of one number would be two values. */
    if (json_is_real(value) && packer->is_date && json_real_value(value) >= 0 &&
        json_real_value(value) < DATE_LIMIT) {
        char text[24];
        int size = snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_real_value(value));
        return pack_text(packer, bytes_of(text, (size_t)size));
    }
    return STATUS_OK;
}

/* By exact name, else one key per dot-separated part. */
static const json_t *find_claim(const json_t *object, const char *name)
{
    const json_t *found = json_object_get(object, name);
    if (found || !strchr(name, '.'))
        return found;
    auto_free char *path = mem_string(bytes_of_string(name));
    char *rest = path;
    for (char *part = strsep(&rest, "."); object && part; part = strsep(&rest, "."))
        object = json_object_get(object, part);
    return object;
}

static enum status pack_claim(struct packer *packer, const json_t *value)
{
    assert(packer->field_start <= buffer_size(&packer->out)); /* fields come in their order */
    packer->field_start = buffer_size(&packer->out);
    packer->values = 0;
    bool single = packer->field == CLAIMS_FIELD_TENANT || packer->field == CLAIMS_FIELD_USER;
    if (!json_is_array(value))
        return pack_scalar(packer, value);
    /* A user with several tenants has none: which one it is would be a guess. */
    if (single && json_array_size(value) != 1)
        return STATUS_OK;
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(value); i++)
        status = pack_scalar(packer, json_array_get(value, i));
    return status;
}

enum status claims_pack(const char *const *names, size_t count, struct claims_json json,
                        struct claims **claims)
{
    assert(count >= 2 && count <= CLAIMS_NAMES_LIMIT);
    /* A name twice means different things to different parsers. */
    json_t *own = json.parsed ? NULL
                              : json_loadb((const char *)json.text.data, json.text.size,
                                           JSON_REJECT_DUPLICATES, NULL);
    const json_t *object = json.parsed ? json.parsed : own;
    if (!json_is_object(object)) {
        json_decref(own);
        return STATUS_MALFORMED;
    }
    struct packer packer = {0};
    enum status status = STATUS_OK;
    for (; status == STATUS_OK && packer.field < count; packer.field++) {
        packer.is_date = strcmp(names[packer.field], "iat") == 0;
        status = pack_claim(&packer, find_claim(object, names[packer.field]));
    }
    if (status == STATUS_OK) {
        struct bytes packed = buffer_peek(&packer.out);
        struct claims *made = mem_alloc(sizeof(*made) + packed.size);
        made->size = narrow_16(packed.size);
        if (packed.size > 0)
            memcpy(made->data, packed.data, packed.size);
        *claims = made;
    }
    buffer_deinit(&packer.out);
    json_decref(own);
    return status;
}

void claims_free(struct claims *claims)
{
    free(claims);
}

bool claims_next(const struct claims *claims, unsigned field, size_t *position, struct bytes *value)
{
    assert(*position <= claims->size);
    struct bytes packed = bytes_of(claims->data, claims->size);
    unsigned found;
    struct bytes entry;
    while (entry_at(packed, position, &found, &entry)) {
        if (found == field) {
            *value = entry;
            return true;
        }
    }
    return false;
}

static struct bytes single_value(const struct claims *claims, unsigned field)
{
    struct bytes value = {0};
    size_t position = 0;
    return claims_next(claims, field, &position, &value) ? value : (struct bytes){0};
}

struct bytes claims_tenant(const struct claims *claims)
{
    return single_value(claims, CLAIMS_FIELD_TENANT);
}

struct bytes claims_user(const struct claims *claims)
{
    return single_value(claims, CLAIMS_FIELD_USER);
}

size_t claims_size(const struct claims *claims)
{
    return sizeof(*claims) + claims->size;
}
