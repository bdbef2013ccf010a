/* gateway --control: one order from the command line, checked like one that is read from the topic,
 * shown, and written. It runs instead of a gateway, not in one.
 *
 * Exit codes are for scripts: 2 for what is no order (nothing was tried), 1 for what the broker did
 * not take. */
#include "order_command.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "instant.h"
#include "order_writer.h"

enum {
    EXIT_NO_ORDER = 2,
    WRITE_TIMEOUT_MS = 15000,
    YEARS_MOST_MS_DIGITS = 9,
    AHEAD_MOST_MS = 60000, /* of a time of somebody else's clock */
};

/* Any of them means an order: one without its kind is refused, and not taken for the wish to start
 * a gateway. */
bool order_arguments_any(const struct order_arguments *arguments)
{
    return arguments->order || arguments->tenant || arguments->user || arguments->session ||
           arguments->token || arguments->room || arguments->reason || arguments->not_before ||
           arguments->expires || arguments->lift || arguments->dry_run;
}

static int no_order(const char *problem, const char *detail)
{
    fprintf(stderr, "gateway --control: %s%s%s\n", problem, detail ? ": " : "",
            detail ? detail : "");
    return EXIT_NO_ORDER;
}

/* 30s, 15m, 24h, 7d. At most nine digits: even as days they stay within 64 bits of milliseconds. */
static bool read_span(const char *text, int64_t *span_ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > YEARS_MOST_MS_DIGITS || text[digits] == '\0' ||
        text[digits + 1] != '\0')
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (units[i].letter != text[digits])
            continue;
        *span_ms = strtoll(text, NULL, 10) * units[i].ms;
        return true;
    }
    return false;
}

/* Times are made absolute here: an order is read long after it was written, and by gateways whose
 * "now" is another. */
static bool read_times(const struct order_arguments *arguments, struct order *order)
{
    int64_t now_ms = wall_ms(), span_ms = 0;
    const char *before = arguments->not_before, *expires = arguments->expires;
    if (!before || strcmp(before, "now") == 0)
        order->not_before_ms = now_ms;
    else if (!instant_parse(bytes_of_string(before), &order->not_before_ms))
        return false;
    /* Without a time an order lasts as long as gateways keep it: gateway.control.order_age. */
    order->expires_ms = INT64_MAX;
    if (expires && read_span(expires, &span_ms))
        order->expires_ms = now_ms + span_ms;
    else if (expires && !instant_parse(bytes_of_string(expires), &order->expires_ms))
        return false;
    return true;
}

/* What is well formed and yet nobody's wish: it would do nothing, or keep everybody out. NULL: neither. */
static const char *times_problem(const struct order_arguments *arguments, const struct order *order)
{
    int64_t now_ms = wall_ms();
    if (!arguments->lift && order->expires_ms <= now_ms)
        return "--expires: that time is over, and the order would be, too";
    if (order->not_before_ms > now_ms + AHEAD_MOST_MS)
        return "--not-before: is ahead, and until then fresh tokens would be worth nothing either "
               "(that is what disconnect does)";
    return NULL;
}

/* NULL, or what is wrong. The tenant has to be said even if it is the empty one: left out by
 * mistake, the order would be for others than were meant. */
static const char *read_subject(const struct order_arguments *arguments, struct order *order)
{
    const char *const ids[ORDER_SCOPES] = {[ORDER_USER] = arguments->user,
                                           [ORDER_SESSION] = arguments->session,
                                           [ORDER_TOKEN] = arguments->token};
    if (!arguments->tenant)
        return "--tenant is needed, \"\" for tokens that name none";
    order->tenant = bytes_of_string(arguments->tenant);
    order->scope = ORDER_TENANT;
    for (unsigned scope = 0; scope < ORDER_SCOPES; scope++) {
        if (!ids[scope])
            continue;
        if (order->scope != ORDER_TENANT)
            return "only one of --user, --session and --token";
        order->scope = (enum order_scope)scope;
        order->id = bytes_of_string(ids[scope]);
    }
    return NULL;
}

/* In words of the command line; the reader of records has its own. */
static const char *fault_message(enum order_fault fault)
{
    switch (fault) {
    case ORDER_FAULTY_TENANT:
        return "--tenant: 1 to 200 bytes of text";
    case ORDER_FAULTY_SUBJECT:
        return "--user, --session, --token: 1 to 200 bytes of text";
    case ORDER_FAULTY_ROOM:
        return "--room: leave and join need one, kind:key, and no other order has one";
    case ORDER_FAULTY_REASON:
        return "--reason: up to 200 bytes of text";
    case ORDER_FAULTY_TIME:
        return "--not-before, --expires: a time from 1970 to 9999";
    case ORDER_SOUND:
    case ORDER_FAULTY_KEY:
    case ORDER_FAULTY_VALUE:
    case ORDER_FAULTY_MEMBER:
    case ORDER_FAULTY_ORDER:
        break;
    }
    return order_fault_text(fault);
}

/* An exit code, or -1: it is one. */
static int order_of_arguments(const struct order_arguments *arguments, struct order *order)
{
    const char *name = arguments->order ? arguments->order : "";
    if (!order_kind_named(bytes_of_string(name), &order->kind))
        return no_order("disconnect, not_before, leave, join or create, not", name);
    const char *problem = read_subject(arguments, order);
    if (problem)
        return no_order(problem, NULL);
    if (arguments->not_before && order->kind != ORDER_NOT_BEFORE)
        return no_order("--not-before is for the order not_before", NULL);
    if (!read_times(arguments, order))
        return no_order("a time is 2026-12-01T08:00:00Z, a span from now 30s, 15m, 24h or 7d",
                        NULL);
    problem = times_problem(arguments, order);
    if (problem)
        return no_order(problem, NULL);
    order->room = bytes_of_string(arguments->room);
    order->reason = bytes_of_string(arguments->reason);
    order->lifted = arguments->lift;
    /* By the readers' own rules: what is written here will not be passed over there. */
    enum order_fault fault = order_check(order);
    return fault == ORDER_SOUND ? -1 : no_order(fault_message(fault), NULL);
}

/* As it stands in the topic, so that it can be compared with what a tool of Kafka shows. */
static void show_order(const struct order *order, const char *topic)
{
    auto_buffer struct buffer text = {0};
    buffer_append_format(&text, "topic  %s\nkey    ", topic);
    order_append_key(order, &text);
    buffer_append_string(&text, "\nvalue  ");
    if (order->lifted)
        buffer_append_string(&text, "none: the order of this key is lifted");
    else
        order_append_value(order, &text);
    printf("%.*s\n", BYTES_PRINT(buffer_peek(&text)));
}

/* A topic that is missing is the mistake of the first day: it is told with its cure. */
static int failed_order(const struct error *error)
{
    fprintf(stderr, "gateway --control: %s%s\n", error->text,
            error->status == STATUS_NOT_FOUND ? " (gateway --control create makes it)" : "");
    return EXIT_FAILURE;
}

/* That it exists is no failure: scripts run it at each deployment. */
static int create_topic(const struct order_writer_config *writer, int64_t age_ms, bool dry_run)
{
    struct error error;
    enum status status = dry_run ? STATUS_OK : order_topic_create(writer, age_ms, &error);
    if (status != STATUS_OK && status != STATUS_EXISTS)
        return failed_order(&error);
    printf("topic  %s%s\n", writer->topic,
           dry_run                   ? ": not created (--dry-run)"
           : status == STATUS_EXISTS ? ": is there"
                                     : ": created, one partition, compacted");
    return EXIT_SUCCESS;
}

int order_command(const struct order_arguments *arguments, const struct gateway_settings *settings,
                  const struct shared_config *shared)
{
    struct order_writer_config writer = {.settings = shared->kafka,
                                         .topic = settings->control_topic,
                                         .timeout_ms = WRITE_TIMEOUT_MS};
    struct order order = {0};
    struct order_place place;
    struct error error;
    if (!writer.topic)
        return no_order("gateway.control.topic is not set: gateways read no orders", NULL);
    /* Not a kind of order, but it stands in its place: so there is one option to remember. */
    if (arguments->order && strcmp(arguments->order, "create") == 0)
        return create_topic(&writer, settings->control_age_ms, arguments->dry_run);
    int code = order_of_arguments(arguments, &order);
    if (code >= 0)
        return code;
    /* Before it is written: what went out can be read even if the broker does not answer. */
    show_order(&order, writer.topic);
    if (arguments->dry_run) {
        puts("not written (--dry-run)");
        return EXIT_SUCCESS;
    }
    if (order_write(&writer, &order, &place, &error) != STATUS_OK)
        return failed_order(&error);
    printf("offset %" PRId64 "\n", place.offset);
    return EXIT_SUCCESS;
}
