#include "policy.h"

#include "mem.h"
#include "suite.h"

struct setting {
    struct document *document;
    struct policy *policy;
    struct claims *claims;
    struct buffer rooms;
};

static void open_policy(struct setting *setting, const char *yaml, const char *claims)
{
    *setting = (struct setting){0};
    struct problems problems = {0};
    const struct document_node *node = NULL;
    if (yaml) {
        struct error error = {0};
        enum status parsed =
            document_parse(bytes_of_string(yaml), NULL, &setting->document, &error);
        ck_assert_msg(parsed == STATUS_OK, "%s", error.text);
        node = document_root(setting->document);
    }
    enum status status = policy_new(node, NULL, &setting->policy, &problems);
    ck_assert_msg(status == STATUS_OK, "%s", problems.count ? problems.items[0].text : "?");
    ck_assert(problems_empty(&problems));
    problems_deinit(&problems);
    ck_assert_int_eq(
        policy_claims(setting->policy, claims_of_text(bytes_of_string(claims)), &setting->claims),
        STATUS_OK);
}

static void close_policy(struct setting *setting)
{
    claims_free(setting->claims);
    policy_free(setting->policy);
    document_free(setting->document);
    buffer_deinit(&setting->rooms);
}

static void add_room(void *context, struct bytes room)
{
    struct buffer *rooms = context;
    buffer_append(rooms, room);
    buffer_append_byte(rooms, ' ');
}

static const char *connect_rooms(struct setting *setting)
{
    buffer_clear(&setting->rooms);
    policy_connect_rooms(setting->policy, setting->claims, add_room, &setting->rooms);
    buffer_append_byte(&setting->rooms, 0);
    return (const char *)buffer_peek(&setting->rooms).data;
}

static bool may_join(const struct setting *setting, const char *room)
{
    return policy_may_join(setting->policy, setting->claims, bytes_of_string(room));
}

START_TEST(the_default_is_what_concerns_the_user_and_the_queues_of_the_token)
{
    struct setting setting;
    open_policy(
        &setting, NULL,
        "{\"sub\":\"u1\",\"tenant\":\"acme\",\"reviewQueues\":[\"legal\",\"fraud\"],\"x\":1}");
    ck_assert_str_eq(connect_rooms(&setting), "user:u1 review:legal review:fraud ");
    ck_assert(!may_join(&setting, "task:42"));
    ck_assert(!may_join(&setting, "project:p"));
    ck_assert(!may_join(&setting, "tenant:acme"));
    ck_assert(may_join(&setting, "review:legal"));
    ck_assert(may_join(&setting, "user:u1"));
    ck_assert(!may_join(&setting, "review:other"));
    ck_assert(!may_join(&setting, "user:u2"));
    ck_assert(!may_join(&setting, "tenant:acme2"));
    ck_assert(!may_join(&setting, "task:"));
    ck_assert(!may_join(&setting, "task"));
    ck_assert(bytes_equal_string(claims_tenant(setting.claims), "acme"));
    ck_assert(bytes_equal_string(claims_user(setting.claims), "u1"));
    close_policy(&setting);
}
END_TEST

START_TEST(absent_claims_give_no_room)
{
    struct setting setting;
    open_policy(&setting, NULL, "{\"sub\":null,\"tenant\":\"\",\"reviewQueues\":{}}");
    ck_assert_str_eq(connect_rooms(&setting), "");
    ck_assert_uint_eq(claims_user(setting.claims).size, 0);
    ck_assert(!may_join(&setting, "user:"));
    ck_assert(!may_join(&setting, "tenant:"));
    close_policy(&setting);
}
END_TEST

START_TEST(conditions_compare_as_text_and_all_must_hold)
{
    const char *yaml = "connect: []\n"
                       "join:\n"
                       "  - {room: \"project:*\", if: {role: [member, admin], active: true}}\n"
                       "  - {room: \"level:7\", if: {level: 7}}\n";
    struct setting setting;
    open_policy(&setting, yaml, "{\"role\":[\"guest\",\"admin\"],\"active\":true,\"level\":7}");
    ck_assert(may_join(&setting, "project:p"));
    ck_assert(may_join(&setting, "level:7"));
    ck_assert(!may_join(&setting, "task:1"));
    close_policy(&setting);
    open_policy(&setting, yaml, "{\"role\":\"admin\",\"active\":false,\"level\":8}");
    ck_assert(!may_join(&setting, "project:p"));
    ck_assert(!may_join(&setting, "level:7"));
    close_policy(&setting);
    open_policy(&setting, yaml, "{\"role\":\"adm\",\"active\":true}");
    ck_assert(!may_join(&setting, "project:p"));
    close_policy(&setting);
}
END_TEST

START_TEST(templates_combine_claims_with_text)
{
    struct setting setting;
    open_policy(&setting,
                "user_claim: email\n"
                "connect: [\"team:{tenant}/{teams}\"]\n"
                "join: [\"doc:{tenant}/{teams}/*\"]\n",
                "{\"tenant\":\"a\",\"teams\":[\"x\",\"y\",\"x\"],\"email\":\"e@x\"}");
    ck_assert_str_eq(connect_rooms(&setting), "team:a/x team:a/y ");
    ck_assert(may_join(&setting, "doc:a/y/1"));
    ck_assert(!may_join(&setting, "doc:a/y/"));
    ck_assert(!may_join(&setting, "doc:a/z/1"));
    ck_assert(!may_join(&setting, "doc:b/x/1"));
    ck_assert(bytes_equal_string(claims_user(setting.claims), "e@x"));
    close_policy(&setting);
}
END_TEST

START_TEST(a_claim_value_is_never_a_pattern)
{
    struct setting setting;
    open_policy(&setting, "connect: [\"user:{sub}\"]\njoin: []\n",
                "{\"sub\":\"*\",\"tenant\":\"t\"}");
    ck_assert(may_join(&setting, "user:*"));
    ck_assert(!may_join(&setting, "user:else"));
    close_policy(&setting);
    open_policy(&setting, "connect: [\"user:{sub}\"]\njoin: []\n", "{\"sub\":\"a\\u0007b\"}");
    ck_assert_str_eq(connect_rooms(&setting), "");
    ck_assert(!may_join(&setting, "user:a\ab"));
    close_policy(&setting);
}
END_TEST

START_TEST(claims_are_found_by_exact_name_before_path)
{
    struct setting setting;
    open_policy(&setting, "connect: [\"role:{realm.roles}\", \"role:{https://x.y/z}\"]\njoin: []\n",
                "{\"realm\":{\"roles\":[\"r1\"]},\"https://x.y/z\":\"r2\"}");
    ck_assert_str_eq(connect_rooms(&setting), "role:r1 role:r2 ");
    close_policy(&setting);
}
END_TEST

START_TEST(tenant_and_user_are_one_value_or_none)
{
    struct setting setting;
    open_policy(&setting, NULL, "{\"sub\":[\"u1\"],\"tenant\":[\"a\",\"b\"]}");
    ck_assert(bytes_equal_string(claims_user(setting.claims), "u1"));
    ck_assert_uint_eq(claims_tenant(setting.claims).size, 0);
    ck_assert_str_eq(connect_rooms(&setting), "user:u1 ");
    close_policy(&setting);
}
END_TEST

START_TEST(only_what_the_policy_names_is_kept)
{
    struct setting setting;
    open_policy(
        &setting, NULL,
        "{\"sub\":\"u1\",\"tenant\":\"acme\",\"iss\":\"https://issuer.example/\",\"exp\":1}");
    ck_assert_uint_le(claims_size(setting.claims), 16);
    close_policy(&setting);
}
END_TEST

START_TEST(bad_claims_are_refused)
{
    struct policy *policy;
    struct claims *claims = NULL;
    struct problems problems = {0};
    ck_assert_int_eq(policy_new(NULL, NULL, &policy, &problems), STATUS_OK);
    ck_assert_int_eq(policy_claims(policy, claims_of_text(BYTES_LITERAL("[]")), &claims),
                     STATUS_MALFORMED);
    ck_assert_int_eq(policy_claims(policy, claims_of_text(BYTES_LITERAL("")), &claims),
                     STATUS_MALFORMED);
    ck_assert_int_eq(policy_claims(policy,
                                   claims_of_text(BYTES_LITERAL("{\"sub\":\"a\",\"sub\":\"b\"}")),
                                   &claims),
                     STATUS_MALFORMED);
    struct buffer json = {0};
    buffer_append_string(&json, "{\"reviewQueues\":[\"q0\"");
    for (int i = 1; i <= CLAIMS_VALUES_LIMIT; i++)
        buffer_append_format(&json, ",\"q%d\"", i);
    buffer_append_string(&json, "]}");
    ck_assert_int_eq(policy_claims(policy, claims_of_text(buffer_peek(&json)), &claims),
                     STATUS_TOO_LARGE);
    ck_assert_ptr_null(claims);
    buffer_deinit(&json);
    policy_free(policy);
    problems_deinit(&problems);
}
END_TEST

START_TEST(events_are_those_of_the_rules)
{
    struct setting setting;
    open_policy(&setting, "events:\n- task.cancel\n- {event: \"review.*\", if: {role: reviewer}}\n",
                "{\"role\":\"reviewer\"}");
    ck_assert(policy_has_events(setting.policy));
    ck_assert_int_eq(policy_may_send(setting.policy, setting.claims, BYTES_LITERAL("task.cancel")),
                     STATUS_OK);
    ck_assert_int_eq(policy_may_send(setting.policy, setting.claims, BYTES_LITERAL("task.cance")),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(policy_may_send(setting.policy, setting.claims, BYTES_LITERAL("task.cancel2")),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(policy_may_send(setting.policy, setting.claims, BYTES_LITERAL("review.done")),
                     STATUS_OK);
    close_policy(&setting);
    open_policy(&setting, "events:\n- {event: \"review.*\", if: {role: reviewer}}\n", "{}");
    ck_assert_int_eq(policy_may_send(setting.policy, setting.claims, BYTES_LITERAL("review.done")),
                     STATUS_DENIED);
    close_policy(&setting);
    open_policy(&setting, NULL, "{}");
    ck_assert(!policy_has_events(setting.policy));
    close_policy(&setting);
}
END_TEST

static void check_problem_with(const struct layout *layout, const char *yaml, unsigned line,
                               const char *part)
{
    struct document *document;
    struct error error = {0};
    ck_assert_msg(document_parse(bytes_of_string(yaml), NULL, &document, &error) == STATUS_OK,
                  "%s: %s", yaml, error.text);
    struct problems problems = {0};
    struct policy *policy = NULL;
    ck_assert_msg(policy_new(document_root(document), layout, &policy, &problems) == STATUS_INVALID,
                  "%s", yaml);
    ck_assert_ptr_null(policy);
    ck_assert_uint_ge(problems.count, 1);
    ck_assert_uint_eq(problems.items[0].line, line);
    ck_assert_msg(strstr(problems.items[0].text, part), "%s: %s", yaml, problems.items[0].text);
    problems_deinit(&problems);
    document_free(document);
}

static void check_problem(const char *yaml, unsigned line, const char *part)
{
    check_problem_with(NULL, yaml, line, part);
}

static struct layout *layout_of(const char *preset, const char *allow_yaml)
{
    struct document *allow;
    struct layout *layout = NULL;
    struct error error;
    struct problems problems = {0};
    ck_assert(document_parse(bytes_of_string(allow_yaml), NULL, &allow, &error) == STATUS_OK);
    struct layout_source source = {.preset = bytes_of_string(preset),
                                   .allow = document_root(allow)};
    ck_assert(layout_new(&source, &layout, &problems) == STATUS_OK);
    document_free(allow);
    return layout;
}

START_TEST(rooms_that_the_layout_does_not_have_are_a_problem)
{
    struct layout *by_user = layout_of("user", "{review: [legal, 'team-*']}");
    check_problem_with(by_user, "connect:\n- \"tenant:{tenant}\"\n", 2,
                       "no rooms of kind \"tenant\"");
    check_problem_with(by_user, "join:\n- \"task:*\"\n- \"project:*\"\n", 3, "\"project\"");
    check_problem_with(by_user, "join:\n- {room: \"planet:{sub}\", if: {a: b}}\n", 2, "\"planet\"");
    check_problem_with(by_user, "connect: [\"review:finance\"]\n", 1, "allow.review");
    check_problem_with(NULL, "connect: []\nevents: [a]\n", 1, "no room is open");
    layout_free(by_user);
    struct layout *none = layout_of("none", "{}");
    check_problem_with(none, "events: [a]\n", 1, "no room is open");
    layout_free(none);
}
END_TEST

START_TEST(the_default_goes_with_every_layout)
{
    static const char *const presets[] = {"tenant", "user"};
    for (size_t i = 0; i < 2; i++) {
        struct layout *layout = layout_of(presets[i], "{review: [legal]}");
        struct policy *policy;
        struct problems problems = {0};
        ck_assert_int_eq(policy_new(NULL, layout, &policy, &problems), STATUS_OK);
        policy_free(policy);
        layout_free(layout);
    }
}
END_TEST

START_TEST(configuration_errors_have_a_place_and_a_reason)
{
    check_problem("connect: [\"{sub}\"]\n", 1, "begins with a kind");
    check_problem("connect:\n  - \"User:{sub}\"\n", 2, "begins with a kind");
    check_problem("connect: [\"task:*\"]\n", 1, "no meaning");
    check_problem("join: [\"task:*x\"]\n", 1, "at the end");
    check_problem("join: [\"task:{a\"]\n", 1, "without");
    check_problem("join: [\"task:a}\"]\n", 1, "without");
    check_problem("join: [\"task:{}\"]\n", 1, "name of a claim");
    check_problem("join: [\"task:{a}{b}\"]\n", 1, "between two claims");
    check_problem("join: [\"task:{a}.{b}.{c}.{d}\"]\n", 1, "more than 3");
    check_problem("join: [\"task:\"]\n", 1, "");
    check_problem("join: [7]\n", 1, "string");
    check_problem("join: {}\n", 1, "sequence");
    check_problem("join:\n- {if: {a: b}}\n", 2, "needs a room");
    check_problem("join:\n- {room: \"task:*\", if: {a: []}}\n", 2, "never");
    check_problem("join:\n- {room: \"task:*\", if: {a: {}}}\n", 2, "value of a claim");
    check_problem("join:\n- {room: \"task:*\", when: {a: b}}\n", 2, "when");
    check_problem("events: [subscribe]\n", 1, "own");
    check_problem("events: [\"a*b\"]\n", 1, "at the end");
    check_problem("events: [\"\"]\n", 1, "name of an event");
    check_problem("events:\n- {if: {a: b}}\n", 2, "needs an event");
    check_problem("rooms: []\n", 1, "rooms");
    check_problem("tenant_claim: sub\n", 1, "different");
    check_problem("user_claim: [a]\n", 1, "string");
}
END_TEST

TEST_PROGRAM("policy", the_default_is_what_concerns_the_user_and_the_queues_of_the_token,
             rooms_that_the_layout_does_not_have_are_a_problem, the_default_goes_with_every_layout,
             absent_claims_give_no_room, conditions_compare_as_text_and_all_must_hold,
             templates_combine_claims_with_text, a_claim_value_is_never_a_pattern,
             claims_are_found_by_exact_name_before_path, tenant_and_user_are_one_value_or_none,
             only_what_the_policy_names_is_kept, events_are_those_of_the_rules,
             bad_claims_are_refused, configuration_errors_have_a_place_and_a_reason)
