/* The name of a review.
 *
 *     b04dc5a2...9e-6f3a0c1d2e4b5a69      home (of tenant and task), -, which of the task's
 *
 * All records about one review have its home as their key, so they stand in one order. */
#ifndef COMMON_REVIEW_ID_H
#define COMMON_REVIEW_ID_H

#include "bytes.h"

enum {
    REVIEW_HOME_SIZE = 32, /* hexadecimal digits, in lower case */
    REVIEW_INSTANCE_SIZE = 16,
    REVIEW_ID_SIZE = REVIEW_HOME_SIZE + 1 + REVIEW_INSTANCE_SIZE,
};

/* Reviewers are in the rooms of this kind, one for each queue. */
#define REVIEW_ROOM_KIND "review"

bool review_id_valid(struct bytes id);

/* The key of the records about it, borrowed. The id is valid. */
struct bytes review_id_home(struct bytes id);

#endif
