/* Lines to a descriptor, one write() for each: those of different threads do not mix (in a pipe, as
 * long as they have at most 4 KiB), and a line is out when log_write() returns, also if the process
 * dies of the next statement. It may block where stderr does; what is written is decisions, not
 * traffic.
 *
 * The invariant: whatever has been given, a line is whole and valid. Strings are escaped, fields
 * that do not fit are left out, and room for the end of the line is set aside from the start.
 *
 * Threads: any. `state` is set before threads start, but for the level and the count, which are
 * atomic. */
#include "log.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "clocks.h"
#include "unicode.h"
#include "url.h"

enum { VALUE_LIMIT = 1000, WINDOW_SECONDS = 10, DEFAULT_BURST = 100, TAIL_SIZE = 8 };

static struct {
    const char *program;
    int level;
    uint32_t burst;
    int descriptor;
    bool json;
    bool configured;
    uint64_t suppressed;
} state = {.level = LOG_LEVEL_INFO, .burst = DEFAULT_BURST, .descriptor = STDERR_FILENO};

/* A line being written: never longer than its memory, always valid so far. */
struct line {
    char text[LOG_LINE_LIMIT];
    size_t size;
    bool full; /* a field did not fit: no more are added */
};

/* Before threads are started; without it a program logs all the same, to stderr (log_write). */
void log_configure(const struct log_options *options)
{
    state.program = options->program;
    state.level = (int)options->level;
    state.burst = options->burst ? options->burst : DEFAULT_BURST;
    state.descriptor = options->descriptor ? options->descriptor : STDERR_FILENO;
    state.json = options->format == LOG_FORMAT_JSON ||
                 (options->format == LOG_FORMAT_AUTO && !isatty(state.descriptor));
    state.configured = true;
}

void log_set_level(enum log_level level)
{
    __atomic_store_n(&state.level, (int)level, __ATOMIC_RELAXED);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= __atomic_load_n(&state.level, __ATOMIC_RELAXED);
}

uint64_t log_suppressed_total(void)
{
    return __atomic_load_n(&state.suppressed, __ATOMIC_RELAXED);
}

/* What is left, with the end of the line set aside. */
static size_t room_in(const struct line *line)
{
    return LOG_LINE_LIMIT - TAIL_SIZE - line->size;
}

/* All or nothing: half of an escape would make the line invalid. */
static void put_text(struct line *line, const char *text, size_t size)
{
    if (line->full || size > room_in(line)) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->size, text, size);
    line->size += size;
}

static void put_string(struct line *line, const char *text)
{
    put_text(line, text, strlen(text));
}

/* Also the second set of control characters, and the line separators of JavaScript: a value from
 * outside must not be able to begin a line in any viewer of logs. */
static size_t escape(uint32_t code, struct bytes spelling, char out[8])
{
    if (code == '"' || code == '\\')
        return (size_t)snprintf(out, 8, "\\%c", (char)code);
    if (code == '\n')
        return (size_t)snprintf(out, 8, "\\n");
    if (code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029)
        return (size_t)snprintf(out, 8, "\\u%04x", code);
    memcpy(out, spelling.data, spelling.size);
    return spelling.size;
}

/* Escapes as JSON does, in both formats; cut at VALUE_LIMIT, whole characters only. */
static void put_escaped(struct line *line, struct bytes text)
{
    size_t limit = room_in(line) < VALUE_LIMIT ? room_in(line) : VALUE_LIMIT;
    size_t written = 0;
    while (text.size) {
        uint32_t code;
        size_t size = unicode_decode(text, &code);
        struct bytes spelling = size ? bytes_of(text.data, size) : BYTES_LITERAL("\xEF\xBF\xBD");
        char out[8];
        size_t out_size = escape(size ? code : UNICODE_REPLACEMENT, spelling, out);
        if (written + out_size + 3 > limit) {
            put_text(line, "\xE2\x80\xA6", 3); /* an ellipsis */
            return;
        }
        put_text(line, out, out_size);
        written += out_size;
        text = bytes_skip(text, size ? size : 1);
    }
}

static void put_quoted(struct line *line, struct bytes text)
{
    put_text(line, "\"", 1);
    put_escaped(line, text);
    put_text(line, "\"", 1);
}

/* What a shell's reader would take apart: blanks, quotes, an equals sign, and all beyond ASCII. */
static bool needs_quotes(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F || strchr("\"\\=", text.data[i]))
            return true;
    }
    return text.size == 0 || text.size > VALUE_LIMIT;
}

static void put_number(struct line *line, const struct log_field *field)
{
    char text[64];
    if (field->type == LOG_TYPE_INTEGER)
        snprintf(text, sizeof(text), "%lld", (long long)field->integer);
    else if (field->type == LOG_TYPE_UNSIGNED)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)field->natural);
    else if (field->type == LOG_TYPE_BOOLEAN)
        snprintf(text, sizeof(text), "%s", field->boolean ? "true" : "false");
    else if (isfinite(field->number))
        snprintf(text, sizeof(text), "%.10g", field->number);
    else
        snprintf(text, sizeof(text), "null");
    put_string(line, text);
}

/* A field that does not fit whole is left out, and so is all that follows. */
static void put_field(struct line *line, const struct log_field *field)
{
    size_t before = line->size;
    if (state.json) {
        put_string(line, ",\"");
        put_escaped(line, bytes_of_string(field->key));
        put_string(line, "\":");
    } else {
        put_string(line, " ");
        put_string(line, field->key);
        put_string(line, "=");
    }
    /* Only texts with a URL that has a user are copied; all others are written from where they
     * are. */
    auto_buffer struct buffer redacted = {0};
    struct bytes text = field->type == LOG_TYPE_STRING ? field->string : (struct bytes){0};
    if (url_find_secret(text).size > 0) {
        url_redact(text, &redacted);
        text = buffer_peek(&redacted);
    }
    if (field->type != LOG_TYPE_STRING)
        put_number(line, field);
    else if (state.json || needs_quotes(text))
        put_quoted(line, text);
    else
        put_text(line, (const char *)text.data, text.size);
    if (line->full)
        line->size = before;
}

static const char *level_text(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_DEBUG:
        return "debug";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_ERROR:
        return "error";
    }
    return "";
}

/* Text begins in columns, for people; JSON has the same in members, for collectors. */
static void put_head(struct line *line, const struct timespec *now, enum log_level level,
                     const char *message)
{
    struct tm parts;
    char time_text[64], head[160];
    gmtime_r(&now->tv_sec, &parts);
    strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%S", &parts);
    if (!state.json) {
        snprintf(head, sizeof(head), "%s.%03ldZ %-7s ", time_text, now->tv_nsec / 1000000,
                 level_text(level));
        put_string(line, head);
        put_escaped(line, bytes_of_string(message));
        return;
    }
    snprintf(head, sizeof(head), "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\"", time_text,
             now->tv_nsec / 1000000, level_text(level));
    put_string(line, head);
    if (state.program) {
        put_string(line, ",\"program\":");
        put_quoted(line, bytes_of_string(state.program));
    }
    put_string(line, ",\"message\":");
    put_quoted(line, bytes_of_string(message));
}

/* Whether this site may write now; what it suppressed before is handed over. Threads may race here
 * for a line more or less: the limit is one of order. */
static bool site_admits(struct log_site *site, uint32_t *suppressed)
{
    /* A zeroed site is in no window. */
    uint64_t window = (uint64_t)(monotonic_ms() / (WINDOW_SECONDS * INT64_C(1000))) + 1;
    if (__atomic_exchange_n(&site->window, window, __ATOMIC_RELAXED) != window)
        __atomic_store_n(&site->written, 0, __ATOMIC_RELAXED);
    if (__atomic_fetch_add(&site->written, 1, __ATOMIC_RELAXED) >= state.burst) {
        __atomic_fetch_add(&site->suppressed, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&state.suppressed, 1, __ATOMIC_RELAXED);
        return false;
    }
    *suppressed = __atomic_exchange_n(&site->suppressed, 0, __ATOMIC_RELAXED);
    return true;
}

static void write_out(const char *text, size_t size)
{
    while (size) {
        ssize_t written = write(state.descriptor, text, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nowhere to tell it */
        text += written;
        size -= (size_t)written;
    }
}

void log_write(struct log_site *site, enum log_level level, const char *message,
               const struct log_field *fields, size_t count)
{
    /* A line may stand between a system call and the look at its errno. */
    int saved = errno;
    struct timespec now;
    uint32_t suppressed = 0;
    if (!site_admits(site, &suppressed)) {
        errno = saved;
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (!state.configured) {
        state.json = !isatty(state.descriptor);
        state.configured = true;
    }
    struct line line;
    line.size = 0;
    line.full = false;
    put_head(&line, &now, level, message);
    if (suppressed) {
        struct log_field field = LOG_UNSIGNED("suppressed", suppressed);
        put_field(&line, &field);
    }
    for (size_t i = 0; i < count && !line.full; i++)
        put_field(&line, &fields[i]);
    /* This goes into the space that room_in() set aside. */
    if (state.json)
        line.text[line.size++] = '}';
    line.text[line.size++] = '\n';
    write_out(line.text, line.size);
    errno = saved;
}
