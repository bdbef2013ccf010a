/* An eventfd and not a pipe: one descriptor, which cannot be filled. The counter has no meaning:
 * any number of signals is one "look".
 *
 * The invariant: clear, then look. To look first and clear then can miss what came
 * between. */
#include "event_descriptor.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum status event_descriptor_open(int *descriptor, struct error *error)
{
    int made = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (made < 0)
        return error_set(error, STATUS_IO, "eventfd: %s", strerror(errno));
    *descriptor = made;
    return STATUS_OK;
}

void event_descriptor_signal(int descriptor)
{
    uint64_t one = 1;
    ssize_t written = write(descriptor, &one, sizeof(one));
    assert(written == sizeof(one) || errno == EAGAIN); /* EAGAIN: readable already */
}

void event_descriptor_clear(int descriptor)
{
    uint64_t count;
    ssize_t got = read(descriptor, &count, sizeof(count));
    assert(got == sizeof(count) || errno == EAGAIN);
}
