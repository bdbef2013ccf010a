/* A record of the topic of presence: up to the first line end its key, the rest its value; without a
 * line end it has none. What is read is written as what is read the same, and presence takes any.
 */
#include <assert.h>
#include <string.h>

#include "presence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same_record(const struct presence_record *a)
{
    auto_buffer struct buffer key = {0}, value = {0};
    struct presence_space space = {0};
    struct presence_record b;
    presence_append_key(&key, a->worker, a->is_beat ? NULL : &a->scope,
                        a->is_beat ? NULL : &a->room);
    if (!a->is_beat && !a->over) {
        presence_begin_list(&value, a->count);
        for (uint32_t i = 0; i < a->user_count; i++)
            presence_append_user(&value, a->users[i]);
        presence_end_list(&value);
    }
    enum presence_fault fault =
        presence_record_read(buffer_peek(&key), !a->over, buffer_peek(&value), &space, &b);
    assert(fault == PRESENCE_SOUND && a->is_beat == b.is_beat && a->over == b.over);
    (void)fault;
    assert(bytes_equal(a->worker, b.worker) && bytes_equal(a->scope, b.scope) &&
           bytes_equal(a->room, b.room));
    assert(a->count == b.count && a->user_count == b.user_count);
    for (uint32_t i = 0; i < a->user_count; i++)
        assert(bytes_equal(a->users[i], b.users[i]));
    presence_space_deinit(&space);
}

static void ignore_pending(struct presence_seat *seat)
{
    (void)seat;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct presence_space space = {0};
    struct presence_record record;
    struct presence_config config = {
        .users = 3, .entries = 9, .tenant_entries = 5, .pending = ignore_pending};
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    struct bytes key = bytes_of(data, end ? (size_t)(end - data) : size);
    struct bytes value = end ? bytes_of(end + 1, size - key.size - 1) : bytes_of(NULL, 0);
    if (presence_record_read(key, end != NULL, value, &space, &record) == PRESENCE_SOUND)
        expect_same_record(&record);
    presence_space_deinit(&space);
    struct presence *presence = presence_new(&config);
    presence_read(presence, 0, key, end != NULL, value);
    presence_run(presence, 1);
    presence_free(presence);
    return 0;
}
