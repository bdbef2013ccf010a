/* The form of a review's name. It is made where reviews are opened (dispatcher/core/review.c) and
 * comes back from clients, who may write anything. */
#include "review_id.h"

#include <assert.h>

static bool is_hexadecimal(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!byte_is_digit(text.data[i]) && (text.data[i] < 'a' || text.data[i] > 'f'))
            return false;
    return true;
}

bool review_id_valid(struct bytes id)
{
    return id.size == REVIEW_ID_SIZE && id.data[REVIEW_HOME_SIZE] == '-' &&
           is_hexadecimal(bytes_of(id.data, REVIEW_HOME_SIZE)) &&
           is_hexadecimal(bytes_skip(id, REVIEW_HOME_SIZE + 1));
}

struct bytes review_id_home(struct bytes id)
{
    assert(review_id_valid(id));
    return bytes_of(id.data, REVIEW_HOME_SIZE);
}
