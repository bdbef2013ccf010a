/* How a call that the world can make fail says so. Zero is success. A failed call leaves its
 * outputs untouched. An assert stands for what only a bug can cause; a text for a person goes
 * into a struct error as well. */
#ifndef COMMON_STATUS_H
#define COMMON_STATUS_H

#define MUST_CHECK __attribute__((__warn_unused_result__))
#define PRINTF_LIKE(text, first) __attribute__((__format__(__printf__, text, first)))

/* One table of codes and texts, so that they cannot drift apart. Add a row; never renumber for a
 * wire format. */
#define STATUS_TABLE(X)                                           \
    X(STATUS_OK, "success")                                       \
    X(STATUS_INCOMPLETE, "more input is needed")                  \
    X(STATUS_MALFORMED, "malformed input")                        \
    X(STATUS_TOO_LARGE, "larger than the configured limit")       \
    X(STATUS_TOO_DEEP, "nested deeper than the configured limit") \
    X(STATUS_UNSUPPORTED, "not supported")                        \
    X(STATUS_NOT_FOUND, "not found")                              \
    X(STATUS_EXISTS, "already exists")                            \
    X(STATUS_DENIED, "not allowed")                               \
    X(STATUS_EXPIRED, "expired")                                  \
    X(STATUS_LIMIT, "a configured limit is reached")              \
    X(STATUS_UNAVAILABLE, "not available now")                    \
    X(STATUS_CLOSED, "closed")                                    \
    X(STATUS_INVALID, "invalid value")                            \
    X(STATUS_IO, "input or output failed")                        \
    X(STATUS_FATAL, "cannot go on")

enum status {
#define X(name, text) name,
    STATUS_TABLE(X)
#undef X
};

/* The text of the table. Never NULL; static. */
const char *status_text(enum status status);

/* An error that a person must read. Passed last; untouched on success. */
struct error {
    enum status status;
    unsigned line;   /* 1-based, 0: does not apply */
    unsigned column; /* 1-based, in characters as an editor counts them; 0: does not apply */
    char text[512];  /* always terminated; cut if longer */
};

/* Fills `error` (may be NULL) and returns `status`, so that a caller can `return error_set(...)`.
 */
enum status error_set(struct error *error, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same with a place in a text. */
enum status error_set_at(struct error *error, unsigned line, unsigned column, const char *format,
                         ...) PRINTF_LIKE(4, 5);

#endif
