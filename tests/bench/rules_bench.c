/* Generates and measures for the scenario `rules`:
 *     rules_bench generate DIRECTORY SEED
 *         writes events.jsonl and rules-N.jsonl
 *     rules_bench measure RULES EVENTS SECONDS
 *         prints the events judged per CPU-second, from text to rule numbers, and the matches of
 *         one pass over the events */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "matcher.h"
#include "mem.h"
#include "rules_bench.h"

static const unsigned sizes[] = {10, 100, 1000, 10000};

__attribute__((noreturn)) static void give_up(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void write_file(const char *directory, const char *name, const struct buffer *content)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    struct bytes bytes = buffer_peek(content);
    if (!file || fwrite(bytes.data, 1, bytes.size, file) != bytes.size || fclose(file) != 0)
        give_up(path);
}

static void generate(const char *directory, unsigned seed)
{
    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        give_up(directory);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char name[64];
        auto_buffer struct buffer rules = {0};
        rules_bench_rules(&rules, sizes[i], seed + (unsigned)i);
        (void)snprintf(name, sizeof(name), "rules-%u.jsonl", sizes[i]);
        write_file(directory, name, &rules);
    }
    auto_buffer struct buffer events = {0};
    rules_bench_events(&events, 1000, 50, seed);
    write_file(directory, "events.jsonl", &events);
}

struct lines {
    struct buffer content;
    struct bytes *items;
    size_t count;
};

static struct lines read_lines(const char *path)
{
    struct lines lines = {0};
    FILE *file = fopen(path, "rb");
    if (!file)
        give_up(path);
    for (size_t size = 1; size > 0;) {
        size = fread(buffer_reserve(&lines.content, 65536), 1, 65536, file);
        buffer_commit(&lines.content, size);
    }
    (void)fclose(file);
    struct bytes rest = buffer_peek(&lines.content);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        lines.items = mem_resize(lines.items, lines.count + 1, sizeof(lines.items[0]));
        lines.items[lines.count++] = bytes_of(rest.data, size);
        rest = bytes_skip(rest, end ? size + 1 : size);
    }
    return lines;
}

static double cpu_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct matcher *build(const struct lines *rules)
{
    struct matcher_builder *builder = matcher_builder_new(&PATTERN_LIMITS_DEFAULT);
    for (size_t i = 0; i < rules->count; i++) {
        struct pattern_error error;
        unsigned rule = 0;
        if (matcher_builder_add(builder, rules->items[i], &rule, &error)) {
            (void)fprintf(stderr, "rule %zu: %s\n", i, error.text);
            exit(EXIT_FAILURE);
        }
    }
    return matcher_build(builder);
}

static size_t pass(const struct matcher *matcher, struct matcher_scratch *scratch,
                   const struct lines *events)
{
    size_t matches = 0;
    for (size_t i = 0; i < events->count; i++) {
        struct matcher_result result;
        struct matcher_error error;
        if (matcher_match(matcher, scratch, events->items[i], &result, &error)) {
            (void)fprintf(stderr, "event %zu: %s at %zu\n", i, error.problem, error.offset);
            exit(EXIT_FAILURE);
        }
        matches += result.count;
    }
    return matches;
}

static void measure(const char *rules_path, const char *events_path, double seconds)
{
    struct lines rules = read_lines(rules_path), events = read_lines(events_path);
    double before = cpu_seconds();
    struct matcher *matcher = build(&rules);
    double built = cpu_seconds();
    struct matcher_scratch *scratch = matcher_scratch_new(&MATCHER_LIMITS_DEFAULT);
    size_t matches = pass(matcher, scratch, &events), judged = 0;
    double start = cpu_seconds(), now = start;
    while (now - start < seconds) {
        if (pass(matcher, scratch, &events) != matches)
            abort();
        judged += events.count;
        now = cpu_seconds();
    }
    (void)fprintf(stderr, "compiled %zu rules in %.1f ms\n", rules.count, (built - before) * 1000);
    printf("%.0f %zu\n", (double)judged / (now - start), matches);
    matcher_scratch_free(scratch);
    matcher_free(matcher);
    free(rules.items);
    free(events.items);
    buffer_deinit(&rules.content);
    buffer_deinit(&events.content);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "generate") == 0) {
        generate(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    } else if (argc == 5 && strcmp(argv[1], "measure") == 0) {
        measure(argv[2], argv[3], strtod(argv[4], NULL));
    } else {
        (void)fprintf(stderr, "rules_bench generate DIRECTORY SEED\n"
                              "rules_bench measure RULES EVENTS SECONDS\n");
        return 2;
    }
    return 0;
}
