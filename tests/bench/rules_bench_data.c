#include <stdio.h>

#include "rules_bench.h"

static uint64_t state;

static unsigned below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((state >> 33) % limit);
}

#define PICK(list) ((list)[below(sizeof(list) / sizeof((list)[0]))])

static const char *const events[] = {"task.created",   "task.queued",      "task.started",
                                     "task.progress",  "task.completed",   "task.failed",
                                     "task.cancelled", "review.requested", "review.decided"};
static const char *const types[] = {"extraction", "classification", "transcription", "generation",
                                    "ocr",        "translation"};
static const char *const priorities[] = {"low", "normal", "high", "critical"};
static const char *const plans[] = {"free", "team", "business", "enterprise"};
static const char *const regions[] = {"eu-central-1", "eu-west-1", "us-east-1", "us-west-2",
                                      "ap-south-1"};
static const char *const documents[] = {"passport", "utility-bill", "invoice", "medical-form",
                                        "contract"};
static const char *const models[] = {"gpt-4o-2024-08-06", "claude-3-5-sonnet-20241022",
                                     "internal/layout-v3", "whisper-large-v3"};
static const char *const languages[] = {"de", "en", "fr", "pl"};

/* --- rules --------------------------------------------------------------------------------- */

static unsigned tenant_count;

static void add_tenant(struct buffer *out)
{
    buffer_append_format(out, "\"tenantId\":[\"tenant-%u\"]", below(tenant_count));
}

static void lifecycle(struct buffer *out)
{
    add_tenant(out);
    buffer_append_format(out, ",\"event\":[\"%s\",\"%s\"]", events[4 + below(2)], PICK(events));
}

static void low_confidence(struct buffer *out)
{
    add_tenant(out);
    buffer_append_format(
        out, ",\"type\":[\"%s\"],\"data\":{\"confidence\":[{\"numeric\":[\"<\",0.%u]}]}",
        PICK(types), 50 + below(49));
}

static void reviews(struct buffer *out)
{
    add_tenant(out);
    buffer_append_string(out, ",\"event\":[{\"prefix\":\"review.\"}]");
}

static void urgent(struct buffer *out)
{
    add_tenant(out);
    buffer_append_format(out,
                         ",\"priority\":[{\"anything-but\":[\"low\",\"normal\"]}],"
                         "\"event\":[\"%s\"]",
                         PICK(events));
}

static void provider_trouble(struct buffer *out)
{
    add_tenant(out);
    buffer_append_string(out, ",\"data\":{\"error\":{\"retryable\":[false],\"httpStatus\":"
                              "[{\"numeric\":[\">=\",500,\"<\",600]}]}}");
}

static void project_board(struct buffer *out)
{
    buffer_append_format(out, "\"projectId\":[\"prj-%u\"]", below(tenant_count * 8));
}

static void owner(struct buffer *out)
{
    buffer_append_format(out, "\"userId\":[\"usr-%u\"],\"event\":[\"task.completed\",\"%s\"]",
                         below(tenant_count * 40), PICK(events));
}

static void region(struct buffer *out)
{
    buffer_append_format(out,
                         "\"source\":{\"region\":[\"%s\"]},\"event\":[\"%s\"],"
                         "\"type\":[\"%s\"],\"priority\":[\"critical\"]",
                         PICK(regions), PICK(events), PICK(types));
}

static void doubtful_document(struct buffer *out)
{
    add_tenant(out);
    buffer_append_format(out,
                         ",\"data\":{\"documents\":{\"docType\":[\"%s\"],\"confidence\":"
                         "[{\"numeric\":[\"<\",0.%u]}]}}",
                         PICK(documents), 50 + below(49));
}

static void cost(struct buffer *out)
{
    buffer_append_format(out,
                         "\"event\":[{\"prefix\":\"task.c\"}],\"tenant\":{\"plan\":[\"%s\"]},"
                         "\"data\":{\"cost\":{\"amount\":[{\"numeric\":[\">\",%u.%02u]}]}}",
                         PICK(plans), 8 + below(2), below(100));
}

static void orphan(struct buffer *out)
{
    add_tenant(out);
    buffer_append_string(out, ",\"event\":[\"task.created\"],\"data\":{\"parentTaskId\":"
                              "[{\"exists\":false}]}");
}

static void traced(struct buffer *out)
{
    buffer_append_format(out, "\"correlationId\":[{\"prefix\":\"%03x\"}],\"event\":[\"%s\"]",
                         below(4096), PICK(events));
}

static void sample(struct buffer *out)
{
    buffer_append_format(out, "\"taskId\":[{\"suffix\":\"%03x\"}],\"event\":[\"task.completed\"]",
                         below(4096));
}

void rules_bench_rules(struct buffer *out, unsigned count, unsigned seed)
{
    static const struct {
        unsigned share; /* of 100 */
        void (*add)(struct buffer *);
    } kinds[] = {{22, lifecycle}, {15, low_confidence},  {9, reviews},
                 {9, urgent},     {8, provider_trouble}, {8, project_board},
                 {6, owner},      {5, region},           {5, doubtful_document},
                 {4, cost},       {4, orphan},           {3, traced},
                 {2, sample}};
    state = seed;
    tenant_count = count / 20 < 5 ? 5 : count / 20;
    for (unsigned i = 0; i < count; i++) {
        unsigned dice = below(100), kind = 0;
        for (; dice >= kinds[kind].share; kind++)
            dice -= kinds[kind].share;
        buffer_append_byte(out, '{');
        kinds[kind].add(out);
        buffer_append_string(out, "}\n");
    }
}

/* --- events -------------------------------------------------------------------------------- */

static void add_hex(struct buffer *out, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++)
        buffer_append_byte(out, (uint8_t) "0123456789abcdef"[below(16)]);
}

static void add_uuid(struct buffer *out)
{
    static const unsigned groups[] = {8, 4, 4, 4, 12};
    for (unsigned i = 0; i < 5; i++) {
        buffer_append_string(out, i ? "-" : "\"");
        add_hex(out, groups[i]);
    }
    buffer_append_byte(out, '"');
}

static void add_documents(struct buffer *out)
{
    unsigned count = 1 + below(3);
    buffer_append_string(out, ",\"documents\":[");
    for (unsigned i = 0; i < count; i++) {
        const char *type = PICK(documents);
        buffer_append_format(out, "%s{\"id\":\"doc_", i ? "," : "");
        add_hex(out, 10);
        buffer_append_format(out,
                             "\",\"name\":\"%s-%u.pdf\",\"docType\":\"%s\",\"pages\":%u,"
                             "\"language\":\"%s\",\"confidence\":0.%04u}",
                             type, below(10000), type, 1 + below(60), PICK(languages),
                             below(10000));
    }
    buffer_append_byte(out, ']');
}

static void add_data(struct buffer *out, const char *event)
{
    buffer_append_format(out, ",\"data\":{\"model\":\"%s\",\"attempt\":%u,\"durationMs\":%u",
                         PICK(models), 1 + below(3), below(60000));
    if (strcmp(event, "task.failed") == 0)
        buffer_append_format(out,
                             ",\"error\":{\"code\":\"provider_error\",\"retryable\":%s,"
                             "\"httpStatus\":%u,\"message\":\"The provider answered \\\"%u\\\" "
                             "after %u attempts\"},\"final\":%s",
                             below(2) ? "true" : "false", 400 + below(200), below(600), below(5),
                             below(2) ? "true" : "false");
    else
        buffer_append_format(out,
                             ",\"confidence\":0.%04u,\"cost\":{\"amount\":%u.%04u,"
                             "\"currency\":\"EUR\",\"overBudget\":%s},\"tokens\":"
                             "{\"input\":%u,\"output\":%u}",
                             below(10000), below(10), below(10000), below(8) ? "false" : "true",
                             below(40000), below(4000));
    if (below(3))
        buffer_append_string(out, ",\"parentTaskId\":null");
    add_documents(out);
    buffer_append_format(out, ",\"warnings\":[\"low-resolution\",\"%s-mismatch\"]}",
                         PICK(documents));
}

static void add_event(struct buffer *out, unsigned number, unsigned tenants)
{
    const char *event = PICK(events);
    unsigned tenant = below(tenants);
    buffer_append_string(out, "{\"id\":");
    add_uuid(out);
    buffer_append_format(out,
                         ",\"event\":\"%s\",\"version\":2,\"time\":\"2026-03-02T08:%02u:%02u."
                         "%03uZ\",\"seq\":%u,\"tenantId\":\"tenant-%u\",\"projectId\":"
                         "\"prj-%u\",\"userId\":\"usr-%u\",\"taskId\":",
                         event, below(60), below(60), below(1000), number, tenant,
                         tenant * 8 + below(8), tenant * 40 + below(40));
    add_uuid(out);
    buffer_append_format(out,
                         ",\"type\":\"%s\",\"priority\":\"%s\",\"tags\":[\"batch\",\"%s\"],"
                         "\"source\":{\"service\":\"task-service\",\"instance\":"
                         "\"task-service-",
                         PICK(types), PICK(priorities), PICK(plans));
    add_hex(out, 5);
    buffer_append_format(out, "\",\"region\":\"%s\"},\"correlationId\":\"", PICK(regions));
    add_hex(out, 32);
    buffer_append_format(out,
                         "\",\"tenant\":{\"plan\":\"%s\",\"firstTask\":%s,"
                         "\"tasksCompleted\":%u}",
                         PICK(plans), below(20) ? "false" : "true", below(100000));
    add_data(out, event);
    buffer_append_string(out, "}\n");
}

void rules_bench_events(struct buffer *out, unsigned count, unsigned tenants, unsigned seed)
{
    state = (uint64_t)seed << 32 | 0x5eed;
    for (unsigned i = 0; i < count; i++)
        add_event(out, i, tenants);
}
