/* The gateway: see README.md. This file reads the command line and the configuration; the rest is
 * infra/gateway_process.h. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core_dumps.h"
#include "gateway_process.h"
#include "log.h"
#include "order_command.h"
#include "supervisor.h"

enum { EXIT_USAGE = 2, PROGRAM_NAME_SIZE = 16 };

struct gateway_arguments {
    const char *config;
    const char *workers; /* NULL: as configured */
    bool check_only;
    struct order_arguments order; /* `--control` and what belongs to it */
};

struct gateway_setup {
    struct config *config;
    struct shared_config shared;
    struct gateway_settings settings;
    struct problems warnings; /* that keep nothing from running */
};

static void gateway_setup_deinit(struct gateway_setup *setup)
{
    gateway_settings_deinit(&setup->settings);
    shared_config_deinit(&setup->shared);
    config_free(setup->config);
    problems_deinit(&setup->warnings);
}

static void read_workers(const char *text, struct gateway_settings *settings,
                         struct problems *problems)
{
    char *end;
    long workers = strtol(text, &end, 10);
    if (*end != '\0' || workers < 1 || workers > GATEWAY_WORKERS_LIMIT)
        problems_add(problems, 0, 0, "--workers: %s is no number from 1 to %d", text,
                     GATEWAY_WORKERS_LIMIT);
    else
        settings->workers = workers;
}

/* Without a file: defaults and environment. Returns the exit code; what is wrong is on stderr. */
static int gateway_setup_load(struct gateway_setup *setup,
                              const struct gateway_arguments *arguments)
{
    const char *file = arguments->config;
    static const char *const foreign[] = {"dispatcher", NULL};
    auto_problems struct problems problems = {0};
    const struct config_group groups[] = {shared_config_group(&setup->shared),
                                          gateway_settings_group(&setup->settings)};
    const struct config_request request = {.file = file,
                                           .environment = environ,
                                           .groups = groups,
                                           .group_count = 2,
                                           .foreign_sections = foreign};
    enum status status = config_load(&request, &setup->config, &problems);
    if (status != STATUS_IO) {
        shared_config_finish(&setup->shared, environ, &problems);
        if (arguments->workers)
            read_workers(arguments->workers, &setup->settings, &problems);
        gateway_settings_finish(&setup->settings, &setup->shared, &problems, &setup->warnings);
    }
    return config_report(&problems, file);
}

static void print(struct buffer *text)
{
    fwrite(text->data, 1, text->end, stdout);
    buffer_clear(text);
}

static void gateway_print_settings(void)
{
    struct gateway_setup setup = {0};
    auto_buffer struct buffer text = {0};
    const struct config_group groups[] = {shared_config_group(&setup.shared),
                                          gateway_settings_group(&setup.settings)};
    config_json(groups, 2, &text);
    print(&text);
}

static void gateway_print_help(void)
{
    struct gateway_setup setup = {0};
    auto_buffer struct buffer text = {0};
    const struct config_group groups[] = {shared_config_group(&setup.shared),
                                          gateway_settings_group(&setup.settings)};
    buffer_append_string(
        &text,
        "Brings notifications from Kafka to browsers, by Socket.IO.\n"
        "\n"
        "  gateway --config FILE                   run\n"
        "  gateway --config FILE --workers N       run on N cores: N processes, one "
        "port\n"
        "  gateway --config FILE --check-config    check the configuration\n"
        "  gateway --config FILE --control ORDER   write an order to all gateways\n"
        "  gateway --settings-json                 all settings, for programs\n"
        "  gateway --version\n"
        "\n"
        "SIGTERM sends clients away, to come back elsewhere, and ends. SIGHUP "
        "reads the TLS certificate and the JWK set again.\n"
        "\n"
        "ORDER, for gateway.control.topic:\n"
        "  create                                  make the topic\n"
        "  disconnect                              end these sessions, let nobody of them in\n"
        "  not_before [--not-before TIME]          refuse tokens issued before (now)\n"
        "  leave --room ROOM                       out of a room\n"
        "  join --room ROOM                        into a room\n"
        "--tenant TENANT is needed; with it at most one of --user USER, --session ID and\n"
        "--token JTI. --expires 15m (s, h, d, or a TIME, 2026-12-01T08:00:00Z) ends it,\n"
        "--reason TEXT is for the log, --lift takes it back, --dry-run only shows it.\n"
        "\n");
    config_help(groups, 2, &text);
    print(&text);
}

static void configure_log(const struct shared_config *shared, const char *program)
{
    log_configure(&(struct log_options){.program = program,
                                        .level = (enum log_level)shared->log_level,
                                        .format = (enum log_format)shared->log_format});
}

static int run_gateway(const struct shared_config *shared, const struct gateway_settings *settings,
                       const struct scoreboard_slot *slot)
{
    struct gateway_process *process;
    struct error error;
    if (gateway_process_open(settings, shared, slot, &process, &error) != STATUS_OK) {
        log_error("cannot start", LOG_STRING("error", error.text));
        return EXIT_FAILURE;
    }
    gateway_process_run(process);
    gateway_process_close(process);
    log_info("ended");
    return EXIT_SUCCESS;
}

/* In a process of its own. */
static int run_worker(void *context, const struct gateway_settings *settings,
                      const struct scoreboard_slot *slot)
{
    static char program[PROGRAM_NAME_SIZE];
    const struct gateway_setup *setup = context;
    snprintf(program, sizeof(program), "gateway/%u", slot->index);
    configure_log(&setup->shared, program);
    return run_gateway(&setup->shared, settings, slot);
}

static int tell_good(const struct gateway_setup *setup, const char *file)
{
    for (size_t i = 0; i < setup->warnings.count; i++)
        fprintf(stderr, "warning: %s\n", setup->warnings.items[i].text);
    for (size_t i = 0; setup->config && i < config_warning_count(setup->config); i++)
        fprintf(stderr, "warning: unknown variable %s\n", config_warning_at(setup->config, i));
    printf("%s: good\n", file ? file : "defaults and environment");
    return EXIT_SUCCESS;
}

static int gateway_run(struct gateway_setup *setup)
{
    configure_log(&setup->shared, "gateway");
    if (setup->shared.core_dumps)
        core_dumps_allow();
    for (size_t i = 0; setup->config && i < config_warning_count(setup->config); i++)
        log_warning("unknown variable", LOG_STRING("name", config_warning_at(setup->config, i)));
    for (size_t i = 0; i < setup->warnings.count; i++)
        log_warning("configuration", LOG_STRING("warning", setup->warnings.items[i].text));
    if (setup->settings.workers == 1)
        return run_gateway(&setup->shared, &setup->settings, NULL);
    return supervisor_run(&(struct supervisor_config){
        .settings = &setup->settings, .work = run_worker, .context = setup});
}

/* Beyond every letter. */
enum {
    ARGUMENT_CONTROL = 1000,
    ARGUMENT_TENANT,
    ARGUMENT_USER,
    ARGUMENT_SESSION,
    ARGUMENT_TOKEN,
    ARGUMENT_ROOM,
    ARGUMENT_REASON,
    ARGUMENT_NOT_BEFORE,
    ARGUMENT_EXPIRES,
    ARGUMENT_TEXTS, /* those before have a text */
    ARGUMENT_LIFT = ARGUMENT_TEXTS,
    ARGUMENT_DRY_RUN,
};

static void take_order_argument(struct order_arguments *order, int argument, const char *text)
{
    const char **const texts[] = {&order->order,   &order->tenant,     &order->user,
                                  &order->session, &order->token,      &order->room,
                                  &order->reason,  &order->not_before, &order->expires};
    if (argument < ARGUMENT_TEXTS)
        *texts[argument - ARGUMENT_CONTROL] = text;
    else if (argument == ARGUMENT_LIFT)
        order->lift = true;
    else
        order->dry_run = true;
}

/* Returns -1 to go on, else the exit code. */
static int gateway_read_arguments(int argument_count, char **arguments,
                                  struct gateway_arguments *result)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {"workers", required_argument, NULL, 'w'},
        {"settings-json", no_argument, NULL, 'j'},
        {"control", required_argument, NULL, ARGUMENT_CONTROL},
        {"tenant", required_argument, NULL, ARGUMENT_TENANT},
        {"user", required_argument, NULL, ARGUMENT_USER},
        {"session", required_argument, NULL, ARGUMENT_SESSION},
        {"token", required_argument, NULL, ARGUMENT_TOKEN},
        {"room", required_argument, NULL, ARGUMENT_ROOM},
        {"reason", required_argument, NULL, ARGUMENT_REASON},
        {"not-before", required_argument, NULL, ARGUMENT_NOT_BEFORE},
        {"expires", required_argument, NULL, ARGUMENT_EXPIRES},
        {"lift", no_argument, NULL, ARGUMENT_LIFT},
        {"dry-run", no_argument, NULL, ARGUMENT_DRY_RUN},
        {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        if (option == 'c') {
            result->config = optarg;
        } else if (option >= ARGUMENT_CONTROL) {
            take_order_argument(&result->order, option, optarg);
        } else if (option == 'w') {
            result->workers = optarg;
        } else if (option == 'k') {
            result->check_only = true;
        } else if (option == 'h') {
            gateway_print_help();
            return EXIT_SUCCESS;
        } else if (option == 'j') {
            gateway_print_settings();
            return EXIT_SUCCESS;
        } else if (option == 'v') {
            puts(SMARTSTACK_VERSION);
            return EXIT_SUCCESS;
        } else {
            fputs("gateway --help lists the options\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argument_count)
        return -1;
    fprintf(stderr, "gateway: %s: not an option; gateway --help lists the options\n",
            arguments[optind]);
    return EXIT_USAGE;
}

int main(int argument_count, char **arguments)
{
    struct gateway_arguments read = {0};
    struct gateway_setup setup = {0};
    int code = gateway_read_arguments(argument_count, arguments, &read);
    if (code >= 0)
        return code;
    signal(SIGPIPE, SIG_IGN);
    core_dumps_forbid();
    code = gateway_setup_load(&setup, &read);
    if (code == EXIT_SUCCESS && read.check_only)
        code = tell_good(&setup, read.config);
    else if (code == EXIT_SUCCESS && order_arguments_any(&read.order))
        code = order_command(&read.order, &setup.settings, &setup.shared);
    else if (code == EXIT_SUCCESS)
        code = gateway_run(&setup);
    gateway_setup_deinit(&setup);
    return code;
}
