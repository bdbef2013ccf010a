#include "hand_source.h"

#include <assert.h>

#include "policy.h"

static void open_lane(void *context, struct lane *lane, const char *topic, int32_t partition)
{
    struct hand_source *source = context;
    (void)topic, (void)partition;
    source->lane = lane;
    source->asked = true;
}

static void close_lane(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->lane = NULL;
    source->asked = source->asked_ends = source->scanning = false;
    source->closed++;
}

static void reopen_lane(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->asked = true;
}

static void ask_ends(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->asked_ends = true;
}

static void scan_lane(void *context, struct lane *lane, int64_t from, int64_t to)
{
    struct hand_source *source = context;
    (void)lane;
    source->scanning = true;
    source->scans++;
    source->from = from;
    source->to = to;
}

static void resume_scan(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->scanning = true;
}

static void cancel_scan(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->scanning = false;
}

static void ask_state_ends(void *context, struct lane *lane, bool of_lane, unsigned question)
{
    struct hand_source *source = context;
    (void)lane;
    assert(!source->asked_state && !source->asked_lane_end && !source->reading_state);
    source->asked_state = !of_lane;
    source->asked_lane_end = of_lane;
    source->question = question;
}

static void read_state(void *context, struct lane *lane, int64_t from, int64_t to)
{
    struct hand_source *source = context;
    (void)lane;
    assert(from < to && !source->reading_state);
    source->reading_state = true;
    source->state_from = from;
    source->state_to = to;
    source->state_reads++;
}

static void cancel_state(void *context, struct lane *lane)
{
    struct hand_source *source = context;
    (void)lane;
    source->asked_state = source->asked_lane_end = source->reading_state = false;
    source->state_cancels++;
}

const struct lane_source_ops hand_source_ops = {.open = open_lane,
                                                .close = close_lane,
                                                .reopen = reopen_lane,
                                                .ends = ask_ends,
                                                .scan = scan_lane,
                                                .scan_resume = resume_scan,
                                                .scan_cancel = cancel_scan,
                                                .state_ends = ask_state_ends,
                                                .state_read = read_state,
                                                .state_cancel = cancel_state};

struct policy *hand_policy(void)
{
    static const char yaml[] =
        "connect: ['user:{sub}', 'tenant:{tenant}', 'review:{reviewQueues}']\n"
        "join: ['task:*', 'project:*']\n";
    auto_problems struct problems problems = {0};
    struct document *access;
    struct policy *policy = NULL;
    struct error error;
    enum status status = document_parse(bytes_of_string(yaml), NULL, &access, &error);
    assert(status == STATUS_OK);
    status = policy_new(document_root(access), NULL, &policy, &problems);
    assert(status == STATUS_OK);
    (void)status;
    document_free(access);
    return policy;
}

struct hub_config hand_config(const struct layout *layout, const struct policy *policy)
{
    return (struct hub_config){.layout = layout,
                               .policy = policy,
                               .ring_bytes = 1 << 20,
                               .queue_messages = 8,
                               .answers = 64,
                               .answer_bytes = 1 << 20,
                               .rooms_per_session = 8,
                               .rooms_per_record = 4,
                               .lanes_per_session = 2,
                               .sessions = 8,
                               .pending_joins = 8,
                               .lane_linger_ms = 1000000,
                               .open_timeout_ms = 100000,
                               .behind_timeout_ms = 1000000,
                               .truncation_confirm_ms = 1000,
                               .cursor_lag_bytes = 1 << 30,
                               .catch_up_bytes = 1 << 30,
                               .scans = 1,
                               .read_back_bytes = 1 << 20,
                               .recovery = true,
                               .keys = {BYTES_LITERAL("a secret of the test")},
                               .key_count = 1};
}

void hand_open(struct hand_source *source, struct hub *hub, int64_t first, int64_t end)
{
    if (!source->lane || !source->asked)
        return;
    source->asked = false;
    hub_lane_opened(hub, source->lane, first, end);
}

void hand_arrive(struct hand_source *source, struct hub *hub, int64_t offset,
                 hand_record_fn *record_at)
{
    auto_buffer struct buffer value = {0};
    if (!source->lane || source->asked)
        return;
    struct lane_record record = record_at(offset, &value);
    hub_record(hub, source->lane, &record);
}

void hand_read_back(struct hand_source *source, struct hub *hub, int64_t first, unsigned records,
                    hand_record_fn *record_at)
{
    while (source->scanning && records--) {
        auto_buffer struct buffer value = {0};
        if (source->from < first) {
            source->scanning = false;
            hub_scan_ended(hub, source->lane, STATUS_EXPIRED, first);
            return;
        }
        struct lane_record record = record_at(source->from++, &value);
        source->scanned++;
        if (!hub_scan_record(hub, source->lane, &record))
            source->scanning = false;
        if (source->from == source->to) {
            source->scanning = false;
            hub_scan_ended(hub, source->lane, STATUS_OK, first);
        }
    }
}
