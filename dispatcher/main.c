/* The dispatcher: see README.md. This file reads the command line and the configuration and starts
 * the rest. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clocks.h"
#include "core_dumps.h"
#include "dry_run.h"
#include "health_http.h"
#include "instant.h"
#include "log.h"
#include "redrive.h"
#include "replay_topics.h"
#include "rule_tests.h"
#include "runner.h"

enum { EXIT_USAGE = 2 };

enum mode {
    MODE_RUN,
    MODE_CHECK_CONFIG,
    MODE_CHECK_RULES,
    MODE_DRY_RUN,
    MODE_EXPLAIN,
    MODE_REDRIVE,
    MODE_DEAD_LETTERS,
    MODE_REPLAY
};

struct command_line {
    enum mode mode;
    const char *config;
    const char *rules;
    const char *old_rules; /* --replay */
    char **more_rules;     /* of --check-rules */
    int more_count;
    struct dead_letter_filter letters;
    bool dry;   /* --redrive */
    bool all;   /* --dead-letters */
    bool whole; /* --dead-letters */
};

static volatile sig_atomic_t stop_requested;
static volatile sig_atomic_t reload_requested;

static void on_dispatcher_signal(int number)
{
    if (number == SIGHUP)
        reload_requested = 1;
    else
        stop_requested = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_dispatcher_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

/* --- Configuration --- */

struct command {
    struct config *config;
    struct shared_config shared;
    struct settings settings;
};

static void command_deinit(struct command *command)
{
    shared_config_deinit(&command->shared);
    config_free(command->config);
}

/* Without a file: defaults and environment. Returns the exit code; what is wrong is on stderr. */
static int command_load(struct command *command, const char *file)
{
    static const char *const foreign[] = {"gateway", NULL};
    auto_problems struct problems problems = {0};
    const struct config_group groups[] = {shared_config_group(&command->shared),
                                          settings_group(&command->settings)};
    const struct config_request request = {.file = file,
                                           .environment = environ,
                                           .groups = groups,
                                           .group_count = 2,
                                           .foreign_sections = foreign};
    enum status status = config_load(&request, &command->config, &problems);
    if (status != STATUS_IO) {
        shared_config_finish(&command->shared, environ, &problems);
        settings_finish(&command->settings, &command->shared, &problems);
    }
    return config_report(&problems, file);
}

static void print_usage(void)
{
    struct command command = {0};
    auto_buffer struct buffer text = {0};
    const struct config_group groups[] = {shared_config_group(&command.shared),
                                          settings_group(&command.settings)};
    buffer_append_string(
        &text,
        "Reads task events from Kafka, judges them by rules, and publishes notifications.\n"
        "\n"
        "  dispatcher --config FILE                    run\n"
        "  dispatcher --config FILE --check-config     check the configuration and its rules file\n"
        "  dispatcher --check-rules FILE...            check rules files and run the tests in "
        "them\n"
        "  dispatcher --dry-run --rules FILE           one JSON event per line in, one decision "
        "per line out\n"
        "\n"
        "  dispatcher --explain --rules FILE           one JSON event in, the outcome of each rule "
        "out\n"
        "  dispatcher --config FILE --dead-letters     dead letters that are pending, one JSON "
        "object "
        "per line\n"
        "  dispatcher --config FILE --redrive          send dead letters again to where they came "
        "from\n"
        "\n"
        "  dispatcher --config FILE --replay --rules NEW  what other rules would make of the "
        "events "
        "that are there\n"
        "\n"
        "--replay: of --from TIME up to --to TIME, against the configuration's rules or --diff "
        "OLD. "
        "Nothing is produced;\n"
        "a line of JSON for each partition that was read, one for the whole, one for each rule.\n"
        "\n"
        "--dead-letters and --redrive: those with --reason REASON, --rule NAME, --key KEY, --from "
        "TIME, --to TIME\n"
        "(RFC 3339, or -24h: so long ago). --redrive --dry: lists what it would send. "
        "--dead-letters --all: also\n"
        "those that are not pending; --whole: with headers and values.\n"
        "\n"
        "--config with --check-rules, --dry-run or --explain: with the layout of that "
        "configuration.\n"
        "\n"
        "-: from stdin, as a rules file of --check-rules.\n"
        "\n"
        "  dispatcher --settings-json                  all settings, for programs\n"
        "  dispatcher --version\n"
        "\n");
    config_help(groups, 2, &text);
    fwrite(text.data, 1, text.end, stdout);
}

static void print_dispatcher_settings(void)
{
    struct command command = {0};
    auto_buffer struct buffer text = {0};
    const struct config_group groups[] = {shared_config_group(&command.shared),
                                          settings_group(&command.settings)};
    config_json(groups, 2, &text);
    fwrite(text.data, 1, text.end, stdout);
}

/* --- Rules without Kafka --- */

/* The default layout, in which every queue is allowed: for rules that are tried without a
 * configuration. */
static struct layout *open_layout(void)
{
    struct document *allow = NULL;
    struct layout *layout = NULL;
    auto_problems struct problems problems = {0};
    if (document_parse(BYTES_LITERAL("{\"review\": [\"*\"]}"), NULL, &allow, NULL) != STATUS_OK)
        abort();
    const struct layout_source source = {.allow = document_root(allow)};
    if (layout_new(&source, &layout, &problems) != STATUS_OK)
        abort();
    document_free(allow);
    return layout;
}

/* Not problems: the rules are used all the same. */
static void tell_warnings(const struct rule_set *rules, const char *file)
{
    auto_problems struct problems warnings = {0};
    rule_set_warn(rules, &warnings);
    (void)config_report(&warnings, file);
}

/* Where the items of the rules are kept, for whoever has to make topics or give rights. */
static void tell_state_topics(const struct rule_set *rules, const struct layout *layout,
                              bool keeps_reviews, const char *file)
{
    uint64_t kinds = rule_set_item_kinds(rules, layout);
    if (keeps_reviews)
        kinds |= rule_set_review_kinds(layout);
    for (size_t i = 0; i < layout_topic_count(layout); i++) {
        const struct layout_topic *topic = layout_topic_at(layout, i);
        if (topic->kinds & kinds)
            printf("%s: state in %s" LAYOUT_STATE_SUFFIX ", partitions: %d\n", file, topic->name,
                   (int)topic->partition_count);
    }
}

static int check_rules(const char *file, const struct rule_set *rules,
                       const struct pipeline_settings *settings)
{
    auto_problems struct problems problems = {0};
    size_t tests = rule_tests_run(rules, settings, &problems);
    if (!problems_empty(&problems))
        return config_report(&problems, file);
    tell_warnings(rules, file);
    const struct rule_set *tried = rule_set_shadows(rules);
    printf("%s: %u rules, ", file, rule_set_count(rules));
    if (tried)
        printf("%u in shadow, ", rule_set_count(tried));
    printf("%zu tests passed, revision %.*s\n", tests, BYTES_PRINT(rule_set_revision(rules)));
    tell_state_topics(rules, settings->layout, settings->review_log, file);
    fflush(stdout); /* what is wrong with the next file goes to stderr */
    return EXIT_SUCCESS;
}

static int with_rules(const struct command_line *arguments, const char *file,
                      const struct layout *layout, const struct settings *settings)
{
    auto_problems struct problems problems = {0};
    struct rule_set *rules = NULL;
    struct pipeline_settings pipeline = {
        .layout = layout, .limits = PIPELINE_LIMITS_DEFAULT, .dead_letter_topic = ""};
    if (settings)
        pipeline.limits = settings_pipeline(settings, layout).limits;
    if (rules_file_read(file, layout, &rules, &problems) != STATUS_OK)
        return config_report(&problems, file);
    enum status status = STATUS_OK;
    int code = EXIT_SUCCESS;
    if (arguments->mode == MODE_DRY_RUN)
        status = dry_run(stdin, stdout, &pipeline, rules);
    else if (arguments->mode == MODE_EXPLAIN)
        status = explain(stdin, stdout, &pipeline, rules);
    else
        code = check_rules(file, rules, &pipeline);
    rule_set_free(rules);
    return status == STATUS_OK ? code : EXIT_FAILURE;
}

/* Every file, whatever is wrong with those before it. */
static int with_files(const struct command_line *arguments, const struct layout *layout,
                      const struct settings *settings)
{
    int code = with_rules(arguments, arguments->rules, layout, settings);
    for (int i = 0; i < arguments->more_count; i++) {
        int next = with_rules(arguments, arguments->more_rules[i], layout, settings);
        code = code == EXIT_SUCCESS ? next : code;
    }
    return code;
}

static int try_rules(const struct command_line *arguments)
{
    if (!arguments->config) {
        struct layout *layout = open_layout();
        int code = with_files(arguments, layout, NULL);
        layout_free(layout);
        return code;
    }
    struct command command = {0};
    int code = command_load(&command, arguments->config);
    if (code == EXIT_SUCCESS)
        code = with_files(arguments, command.shared.layout, &command.settings);
    command_deinit(&command);
    return code;
}

/* --- Running --- */

static void log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config_warning_count(config); i++)
        log_warning("configuration", LOG_STRING("warning", config_warning_at(config, i)));
}

static int run_and_report(const struct command *command, struct rules_file *rules)
{
    static struct dispatcher_health health;
    struct dispatcher_metrics metrics = {0};
    struct health_http *server = NULL;
    struct error error = {0};
    dispatcher_health_init(&health);
    dispatcher_metrics_init(&metrics);
    const struct health_http_options http = {.address = command->settings.http_address,
                                             .port = (uint16_t)command->settings.http_port,
                                             .metrics = metrics.registry,
                                             .ready = dispatcher_health_ready,
                                             .live = dispatcher_health_live,
                                             .context = &health};
    const struct runner_options runner = {.settings = &command->settings,
                                          .layout = command->shared.layout,
                                          .kafka = command->shared.kafka,
                                          .state_retention_ms = command->shared.state_retention_ms,
                                          .rules = rules,
                                          .metrics = &metrics,
                                          .health = &health,
                                          .stop = &stop_requested,
                                          .reload = &reload_requested};
    enum status status = health_http_open(&http, &server, &error);
    if (status == STATUS_OK) {
        log_info("listening", LOG_UNSIGNED("port", health_http_port(server)));
        status = runner_run(&runner, &error);
    }
    if (status != STATUS_OK)
        log_error("cannot go on", LOG_STRING("reason", error.text));
    health_http_close(server);
    dispatcher_metrics_deinit(&metrics);
    return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int handle_dead_letters(const struct command *command, const struct command_line *arguments)
{
    struct error error = {0};
    const struct redrive_options options = {
        .settings = &command->settings,
        .kafka = command->shared.kafka,
        .stop = &stop_requested,
        .filter = arguments->letters,
        .all = arguments->all,
        .whole = arguments->whole,
        .only_sendable = arguments->dry,
    };
    bool sends = arguments->mode == MODE_REDRIVE && !arguments->dry;
    enum status status = sends ? redrive(&options, &error) : letters_list(&options, &error);
    if (status == STATUS_OK)
        return EXIT_SUCCESS;
    log_error("cannot go on", LOG_STRING("reason", error.text));
    return EXIT_FAILURE;
}

/* The new rules against the old ones, which are those of the configuration or another file. */
static int replay(const struct command *command, const struct command_line *arguments,
                  const struct rule_set *before)
{
    auto_problems struct problems problems = {0};
    struct rule_set *after = NULL;
    struct error error = {0};
    if (rules_file_read(arguments->rules, command->shared.layout, &after, &problems) != STATUS_OK)
        return config_report(&problems, arguments->rules);
    const struct replay_options options = {.settings = &command->settings,
                                           .layout = command->shared.layout,
                                           .kafka = command->shared.kafka,
                                           .before = before,
                                           .after = after,
                                           .from_ms = arguments->letters.from_ms,
                                           .to_ms = arguments->letters.to_ms,
                                           .stop = &stop_requested};
    enum status status = replay_topics(&options, stdout, &error);
    if (status != STATUS_OK)
        log_error("cannot go on", LOG_STRING("reason", error.text));
    rule_set_free(after);
    return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int work(const struct command *command, const struct command_line *arguments,
                struct rules_file *rules)
{
    if (arguments->mode == MODE_RUN)
        return run_and_report(command, rules);
    if (arguments->mode == MODE_REPLAY)
        return replay(command, arguments, rules_file_rules(rules));
    return handle_dead_letters(command, arguments);
}

static int run_dispatcher(const struct command_line *arguments)
{
    core_dumps_forbid();
    struct command command = {0};
    struct rules_file *rules = NULL;
    auto_problems struct problems problems = {0};
    int code = command_load(&command, arguments->config);
    if (code == EXIT_SUCCESS) {
        log_configure(&(struct log_options){.program = "dispatcher",
                                            .level = (enum log_level)command.shared.log_level,
                                            .format = (enum log_format)command.shared.log_format});
        const char *file =
            arguments->old_rules ? arguments->old_rules : command.settings.rules_file;
        if (rules_file_open(file, command.shared.layout, &rules, &problems) != STATUS_OK)
            code = config_report(&problems, file);
    }
    if (code == EXIT_SUCCESS && arguments->mode == MODE_CHECK_CONFIG) {
        tell_warnings(rules_file_rules(rules), command.settings.rules_file);
        if (command.shared.state_retention_ms > 0)
            tell_state_topics(rules_file_rules(rules), command.shared.layout,
                              command.settings.review_log, command.settings.rules_file);
    } else if (code == EXIT_SUCCESS) {
        catch_signals();
        if (command.shared.core_dumps)
            core_dumps_allow();
        log_warnings(command.config);
        code = work(&command, arguments, rules);
    }
    rules_file_close(rules);
    command_deinit(&command);
    return code;
}

/* --- Command line --- */

static int refuse_arguments(const char *text)
{
    fprintf(stderr, "dispatcher: %s (see --help)\n", text);
    return EXIT_USAGE;
}

/* Without Kafka. */
static bool tries_rules(enum mode mode)
{
    return mode == MODE_CHECK_RULES || mode == MODE_DRY_RUN || mode == MODE_EXPLAIN;
}

/* RFC 3339 and what is plainly a time; or -24h: so long ago. */
static bool read_instant(const char *text, int64_t *instant_ms)
{
    struct bytes bytes = bytes_of_string(text);
    int64_t ago_ms;
    if (text[0] == '-' && rule_read_duration(bytes_skip(bytes, 1), &ago_ms)) {
        *instant_ms = wall_ms() - ago_ms;
        return true;
    }
    return instant_parse(bytes, instant_ms) || instant_guess(bytes, instant_ms);
}

/* Options of --dead-letters and --redrive. False: the value is no good. */
static bool read_letter_option(int option, char *value, struct command_line *arguments)
{
    struct dead_letter_filter *filter = &arguments->letters;
    switch (option) {
    case 'R':
        filter->reason = value;
        return true;
    case 'N':
        filter->rule = value;
        return true;
    case 'K':
        filter->key = value;
        return true;
    case 'F':
        return read_instant(value, &filter->from_ms);
    case 'T':
        return read_instant(value, &filter->to_ms);
    case 'Y':
        arguments->dry = true;
        return true;
    case 'A':
        arguments->all = true;
        return true;
    case 'W':
        arguments->whole = true;
        return true;
    default:
        return false;
    }
}

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, 'k'},
    {"check-rules", required_argument, NULL, 'r'},
    {"dry-run", no_argument, NULL, 'd'},
    {"rules", required_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {"explain", no_argument, NULL, 'e'},
    {"redrive", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"settings-json", no_argument, NULL, 'j'},
    {"dead-letters", no_argument, NULL, 'l'},
    {"replay", no_argument, NULL, 'p'},
    {"diff", required_argument, NULL, 'D'},
    {"reason", required_argument, NULL, 'R'},
    {"rule", required_argument, NULL, 'N'},
    {"key", required_argument, NULL, 'K'},
    {"from", required_argument, NULL, 'F'},
    {"to", required_argument, NULL, 'T'},
    {"dry", no_argument, NULL, 'Y'},
    {"all", no_argument, NULL, 'A'},
    {"whole", no_argument, NULL, 'W'},
    {NULL, 0, NULL, 0},
};

/* Returns the exit code, or -1: go on. */
static int parse_arguments(int count, char **values, struct command_line *arguments)
{
    int option;
    while ((option = getopt_long(count, values, "h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments->config = optarg;
            break;
        case 'k':
            arguments->mode = MODE_CHECK_CONFIG;
            break;
        case 'r':
            arguments->mode = MODE_CHECK_RULES;
            arguments->rules = optarg;
            break;
        case 'd':
            arguments->mode = MODE_DRY_RUN;
            break;
        case 'e':
            arguments->mode = MODE_EXPLAIN;
            break;
        case 'v':
            arguments->mode = MODE_REDRIVE;
            break;
        case 'l':
            arguments->mode = MODE_DEAD_LETTERS;
            break;
        case 'p':
            arguments->mode = MODE_REPLAY;
            break;
        case 'D':
            arguments->old_rules = optarg;
            break;
        case 'f':
            arguments->rules = optarg;
            break;
        case 'h':
            print_usage();
            return EXIT_SUCCESS;
        case 'j':
            print_dispatcher_settings();
            return EXIT_SUCCESS;
        case 'V':
            puts(SMARTSTACK_VERSION);
            return EXIT_SUCCESS;
        case '?':
            return EXIT_USAGE; /* getopt has said why */
        default:
            if (!read_letter_option(option, optarg, arguments))
                return refuse_arguments("not a time (RFC 3339, or -24h)");
        }
    }
    if (optind < count && arguments->mode != MODE_CHECK_RULES)
        return refuse_arguments("only options are expected");
    arguments->more_rules = values + optind;
    arguments->more_count = count - optind;
    if ((tries_rules(arguments->mode) || arguments->mode == MODE_REPLAY) && !arguments->rules)
        return refuse_arguments("--rules FILE is missing");
    if (!tries_rules(arguments->mode) && !arguments->config)
        return refuse_arguments("--config FILE is missing");
    return -1;
}

int main(int count, char **values)
{
    struct command_line arguments = {.mode = MODE_RUN,
                                     .letters = {.from_ms = INT64_MIN, .to_ms = INT64_MAX}};
    int code = parse_arguments(count, values, &arguments);
    if (code >= 0)
        return code;
    if (tries_rules(arguments.mode))
        return try_rules(&arguments);
    return run_dispatcher(&arguments);
}
