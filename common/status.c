/* The texts of the codes, and errors for people. A text has a limit and is cut there without a
 * word: it goes to a terminal, a log line or an answer, each of which has a limit of its own. */
#include "status.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const texts[] = {
#define X(name, text) text,
    STATUS_TABLE(X)
#undef X
};

const char *status_text(enum status status)
{
    assert((unsigned)status < sizeof(texts) / sizeof(texts[0]));
    return texts[status];
}

/* Clears the place as well: an error is often used again for the next try, and a line of the file
 * before would point nowhere. */
static void error_fill(struct error *error, enum status status, const char *format, va_list list)
{
    error->status = status;
    error->line = 0;
    error->column = 0;
    vsnprintf(error->text, sizeof(error->text), format, list);
}

/* Returns what it is given, so that a failure is one statement. `error` may be NULL: not every
 * caller has a person to tell. */
enum status error_set(struct error *error, enum status status, const char *format, ...)
{
    assert(status != STATUS_OK);
    if (error) {
        va_list list;
        va_start(list, format);
        error_fill(error, status, format, list);
        va_end(list);
    }
    return status;
}

enum status error_set_at(struct error *error, unsigned line, unsigned column, const char *format,
                         ...)
{
    if (error) {
        va_list list;
        va_start(list, format);
        error_fill(error, STATUS_INVALID, format, list);
        va_end(list);
        error->line = line;
        error->column = column;
    }
    return STATUS_INVALID;
}
