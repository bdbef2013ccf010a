/* Structured logs: one line per decision, on stderr, as JSON or text. Not for payloads, tokens or
 * anything a client sent beyond identifiers.
 *
 *   log_info("session closed", LOG_STRING("sid", sid), LOG_INTEGER("sessions", n));
 *   {"time":"2026-03-02T08:01:56.419Z","level":"info","program":"gateway",
 *    "message":"session closed","sid":"...","sessions":12}        (one line)
 *
 * The user and password of a URL in a value are replaced (url.h). Each call site may write `burst`
 * lines per 10 seconds (log_options); its next line says how many it left out, as `suppressed`.
 * Strings are escaped, invalid UTF-8 is replaced, values are cut at 1,000 bytes and lines at
 * LOG_LINE_LIMIT, so that a line is always valid. Any thread may log. */
#ifndef COMMON_EDGE_LOG_H
#define COMMON_EDGE_LOG_H

#include "buffer.h"
#include "bytes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum log_format {
    LOG_FORMAT_AUTO, /* text on a terminal, else JSON */
    LOG_FORMAT_JSON,
    LOG_FORMAT_TEXT
};
enum { LOG_LINE_LIMIT = 8192 };

struct log_options {
    const char *program; /* must outlive all logging */
    enum log_level level;
    enum log_format format;
    uint32_t burst; /* lines per call site in 10 s; 0: 100 */
    int descriptor; /* 0: stderr */
};

/* Once, before other threads log. Without it: info, auto, no program name. */
void log_configure(const struct log_options *options);
void log_set_level(enum log_level level);
uint64_t log_suppressed_total(void);

enum log_type {
    LOG_TYPE_NONE,
    LOG_TYPE_STRING,
    LOG_TYPE_INTEGER,
    LOG_TYPE_UNSIGNED,
    LOG_TYPE_NUMBER,
    LOG_TYPE_BOOLEAN
};

struct log_field {
    const char *key;
    enum log_type type;
    union {
        struct bytes string;
        int64_t integer;
        uint64_t natural;
        double number;
        bool boolean;
    };
};

#define LOG_STRING(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_STRING, .string = bytes_of_string(value)})
#define LOG_BYTES(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_STRING, .string = (value)})
#define LOG_INTEGER(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_INTEGER, .integer = (int64_t)(value)})
#define LOG_UNSIGNED(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_UNSIGNED, .natural = (uint64_t)(value)})
#define LOG_NUMBER(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_NUMBER, .number = (double)(value)})
#define LOG_BOOLEAN(name, value) \
    ((struct log_field){.key = (name), .type = LOG_TYPE_BOOLEAN, .boolean = (bool)(value)})

/* A call site's account of its lines. */
struct log_site {
    uint64_t window; /* which 10 seconds */
    uint32_t written;
    uint32_t suppressed;
};

bool log_enabled(enum log_level level);
void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields, size_t count);

#define LOG_AT(level, text, ...)                                                             \
    do {                                                                                     \
        static struct log_site log_site_;                                                    \
        if (log_enabled(level)) {                                                            \
            const struct log_field log_fields_[] = {{.type = LOG_TYPE_NONE}, ##__VA_ARGS__}; \
            log_write(&log_site_, (level), (text), log_fields_ + 1,                          \
                      sizeof(log_fields_) / sizeof(log_fields_[0]) - 1);                     \
        }                                                                                    \
    } while (0)

#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
