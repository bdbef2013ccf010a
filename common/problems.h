/* A bounded list of what is wrong with a text (configuration, rules, layout), so that a person is
 * told everything at once. Not for errors that a program handles: those are struct error. A zeroed
 * struct is an empty list. */
#ifndef COMMON_PROBLEMS_H
#define COMMON_PROBLEMS_H

#include "buffer.h"
#include "status.h"

enum { PROBLEMS_LIMIT = 100 }; /* more are counted, not kept */

struct problems {
    struct error *items;
    size_t count;   /* kept */
    size_t omitted; /* found beyond PROBLEMS_LIMIT */
};

void problems_deinit(struct problems *problems);
#define auto_problems __attribute__((cleanup(problems_deinit)))

static inline bool problems_empty(const struct problems *problems)
{
    return problems->count == 0;
}

/* line 0: the text itself says where (e.g. names an environment variable). */
void problems_add(struct problems *problems, unsigned line, unsigned column, const char *format,
                  ...) PRINTF_LIKE(4, 5);
void problems_add_error(struct problems *problems, const struct error *error);

/* In the order of the text. */
void problems_sort(struct problems *problems);

/* Appends one line each, "FILE:LINE:COLUMN: text", or "text" alone where there is no place. */
void problems_render(const struct problems *problems, const char *file, struct buffer *out);

#endif
