#include "layout.h"

#include "murmur2.h"
#include "suite.h"

struct made {
    struct document *document;
    struct layout *layout;
    struct problems problems;
};

/* A layout from a text that has `layout`, `rooms`, `large_tenants` and `allow`. */
static struct made make(const char *text)
{
    struct made made = {0};
    struct error error;
    ck_assert_msg(document_parse(bytes_of_string(text), NULL, &made.document, &error) == STATUS_OK,
                  "%s", text);
    const struct document_node *root = document_root(made.document);
    const struct document_node *preset = document_find(root, "layout");
    struct layout_source source = {.preset = preset ? preset->text : bytes_of(NULL, 0),
                                   .rooms = document_find(root, "rooms"),
                                   .large_tenants = document_find(root, "large_tenants"),
                                   .allow = document_find(root, "allow")};
    enum status status = layout_new(&source, &made.layout, &made.problems);
    ck_assert_int_eq(status == STATUS_OK, problems_empty(&made.problems));
    ck_assert_int_eq(status == STATUS_OK, made.layout != NULL);
    return made;
}

static void drop(struct made *made)
{
    layout_free(made->layout);
    document_free(made->document);
    problems_deinit(&made->problems);
}

static struct made good(const char *text)
{
    struct made made = make(text);
    ck_assert_msg(made.layout != NULL, "%s", made.problems.items[0].text);
    return made;
}

static enum status lane_of(const struct made *made, const char *name, const char *tenant,
                           const char *user, struct lane_name *lane)
{
    struct room_name room;
    ck_assert_int_eq(room_parse(bytes_of_string(name), &room, NULL), STATUS_OK);
    struct room_owner owner = {bytes_of_string(tenant), bytes_of_string(user)};
    struct error error;
    return layout_lane(made->layout, &room, &owner, lane, &error);
}

static void has_problem(const char *text, unsigned line, const char *part)
{
    struct made made = make(text);
    bool found = false;
    for (size_t i = 0; i < made.problems.count; i++)
        found = found ||
                (made.problems.items[i].line == line && strstr(made.problems.items[i].text, part));
    ck_assert_msg(found, "%s gives %s", text,
                  made.problems.count ? made.problems.items[0].text : "no problem");
    drop(&made);
}

START_TEST(by_default_a_tenant_is_one_lane)
{
    struct made made = good("allow: {review: [legal]}");
    static const char *const names[] = {"tenant:acme", "project:1", "user:7", "task:42"};
    struct lane_name first, lane;
    ck_assert_int_eq(lane_of(&made, names[0], "acme", NULL, &first), STATUS_OK);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(lane_of(&made, names[i], "acme", NULL, &lane), STATUS_OK);
        ck_assert(lane_name_same(&first, &lane));
    }
    ck_assert_str_eq(lane.topic, "fanout.tenant");
    ck_assert(bytes_equal_string(lane_name_key(&lane), "acme"));
    ck_assert(bytes_equal_string(lane_name_scope(&lane), "acme"));
    ck_assert_int_eq(lane.partition_count, 8);
    ck_assert_int_eq(lane.partition, murmur2_partition(BYTES_LITERAL("acme"), 8));
    ck_assert_int_eq(lane_of(&made, "review:legal", "acme", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.review.legal");
    ck_assert_int_eq(lane.partition_count, 1);
    ck_assert(bytes_equal_string(lane_name_scope(&lane), "acme"));
    ck_assert_uint_eq(layout_topic_count(made.layout), 2);
    ck_assert_str_eq(layout_topic_at(made.layout, 0)->name, "fanout.review.legal");
    ck_assert_str_eq(layout_topic_at(made.layout, 1)->name, "fanout.tenant");
    drop(&made);
}
END_TEST

static uint64_t kinds_in(const struct made *made, const char *topic)
{
    const struct layout_topic *found = layout_topic_find(made->layout, bytes_of_string(topic));
    ck_assert_ptr_nonnull(found);
    return found->kinds;
}

START_TEST(a_topic_knows_the_kinds_that_can_live_there)
{
    struct made made = good("allow: {review: [legal]}\n"
                            "rooms: {news: {topic: fanout.news, shared: true}}\n"
                            "large_tenants: {acme: {topic: fanout.acme, partitions: 4}}\n");
    uint64_t tenant = 0;
    const uint64_t review = layout_kind_bit(made.layout, BYTES_LITERAL("review"));
    const uint64_t news = layout_kind_bit(made.layout, BYTES_LITERAL("news"));
    static const char *const kinds[] = {"tenant", "project", "user", "task"};
    for (int i = 0; i < 4; i++)
        tenant |= layout_kind_bit(made.layout, bytes_of_string(kinds[i]));
    ck_assert_int_eq(__builtin_popcountll(tenant | review | news), 6);
    ck_assert_uint_eq(layout_kind_bit(made.layout, BYTES_LITERAL("planet")), 0);
    ck_assert_uint_eq(kinds_in(&made, "fanout.tenant"), tenant);
    ck_assert_uint_eq(kinds_in(&made, "fanout.review.legal"), review);
    ck_assert_uint_eq(kinds_in(&made, "fanout.news"), news);
    /* What has a topic for each of its keys has it for a large tenant as well. */
    ck_assert_uint_eq(kinds_in(&made, "fanout.acme"), tenant);
    drop(&made);
}
END_TEST

START_TEST(no_lane_is_where_a_state_is_kept)
{
    has_problem("rooms:\n"
                "  news: {topic: fanout.tenant.state, key: \"{tenant}\"}\n",
                2, "in the topic fanout.tenant.state the state of fanout.tenant is kept");
    has_problem("allow: {review: ['*']}\n"
                "rooms:\n"
                "  news: {topic: fanout.review.legal.state, key: \"{tenant}\"}\n",
                3, "the state of fanout.review.* is kept");
    has_problem("allow: {chat: ['st*']}\n"
                "rooms:\n"
                "  board: {topic: fanout.board, key: \"{tenant}\"}\n"
                "  chat: {topic: \"fanout.board.{key}\", key: \"{tenant}\"}\n",
                4, "in the topic fanout.board.state the state of fanout.board is kept");
    struct made made = good("rooms: {news: {topic: news.state, key: \"{tenant}\"}}");
    drop(&made);
}
END_TEST

START_TEST(what_a_lane_needs_must_be_there_and_allowed)
{
    struct made made = good("allow: {review: [legal, 'team-*']}");
    struct lane_name lane = {.partition = 77};
    ck_assert_int_eq(lane_of(&made, "task:42", NULL, "7", &lane), STATUS_INVALID);
    ck_assert_int_eq(lane_of(&made, "task:42", "a\nb", "7", &lane), STATUS_INVALID);
    ck_assert_int_eq(lane_of(&made, "planet:42", "acme", "7", &lane), STATUS_NOT_FOUND);
    ck_assert_int_eq(lane_of(&made, "review:other", "acme", "7", &lane), STATUS_DENIED);
    ck_assert_int_eq(lane_of(&made, "review:team-a.b", "acme", "7", &lane), STATUS_DENIED);
    ck_assert_int_eq(lane_of(&made, "review:../x", "acme", "7", &lane), STATUS_DENIED);
    ck_assert_int_eq(lane.partition, 77);
    ck_assert_int_eq(lane_of(&made, "review:team-a", "acme", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.review.team-a");
    drop(&made);
    made = good("");
    ck_assert_int_eq(lane_of(&made, "review:legal", "acme", "7", &lane), STATUS_DENIED);
    drop(&made);
}
END_TEST

START_TEST(the_user_layout_is_by_tenant_and_user)
{
    struct made made = good("layout: user");
    struct lane_name lane;
    ck_assert_int_eq(lane_of(&made, "task:42", NULL, "7", &lane), STATUS_INVALID);
    ck_assert_int_eq(lane_of(&made, "task:42", "acme", NULL, &lane), STATUS_INVALID);
    ck_assert_int_eq(lane_of(&made, "task:42", "acme", "7", &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.user");
    ck_assert(bytes_equal_string(lane_name_key(&lane), "acme\x1f"
                                                       "7"));
    ck_assert(bytes_equal(lane_name_scope(&lane), lane_name_key(&lane)));
    ck_assert_int_eq(lane_of(&made, "tenant:acme", "acme", "7", &lane), STATUS_NOT_FOUND);
    drop(&made);
}
END_TEST

/* Every kind of every layout, and both ways to say where a room's lane is. */
START_TEST(equal_names_of_two_tenants_are_two_rooms)
{
    static const char *const layouts[] = {
        "layout: tenant",
        "layout: user",
        "layout: none\nrooms: {task: {topic: t}, user: {topic: t}, tenant: {topic: t}}",
        "layout: none\nrooms: {task: {topic: t, key: all}, project: {topic: p, key: '{user}'}}",
        "layout: none\nrooms: {task: {topic: 't.{key}', key: '{kind}.{key}'}}\nallow: {task: [x]}",
        "rooms: {review: {topic: 'r.{key}', key: '{user}'}}\nallow: {review: [x]}",
        "allow: {review: [x]}\nlarge_tenants: {acme: {topic: a}, globex: {topic: b, key: all}}",
    };
    static const char *const names[] = {"task:x", "user:x", "project:x", "tenant:x", "review:x"};
    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        struct made made = good(layouts[i]);
        unsigned rooms = 0;
        for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
            struct lane_name acme, globex;
            enum status status = lane_of(&made, names[j], "acme", "u", &acme);
            ck_assert_int_eq(lane_of(&made, names[j], "globex", "u", &globex), status);
            if (status != STATUS_OK)
                continue;
            rooms++;
            ck_assert_int_eq(lane_of(&made, names[j], NULL, "u", &acme), STATUS_INVALID);
            ck_assert_msg(!bytes_equal(lane_name_scope(&acme), lane_name_scope(&globex)), "%s",
                          names[j]);
            ck_assert(bytes_start_with(lane_name_key(&acme), lane_name_scope(&acme)));
            struct bytes scope;
            ck_assert(lane_scope_take(acme.scope, lane_name_key(&acme), &scope));
            ck_assert(bytes_equal(scope, lane_name_scope(&acme)));
        }
        ck_assert_uint_gt(rooms, 0);
        drop(&made);
    }
}
END_TEST

START_TEST(no_tenant_makes_the_key_of_another)
{
    struct made made = good("layout: user");
    struct lane_name lane;
    ck_assert_int_eq(lane_of(&made, "task:1",
                             "a\x1f"
                             "b",
                             "c", &lane),
                     STATUS_INVALID);
    ck_assert_int_eq(lane_of(&made, "task:1", "a",
                             "b\x1f"
                             "c",
                             &lane),
                     STATUS_INVALID);
    drop(&made);
    struct bytes scope;
    ck_assert(!lane_scope_take(LANE_SCOPE_TENANT, BYTES_LITERAL("acme"), &scope));
    ck_assert(!lane_scope_take(LANE_SCOPE_TENANT, bytes_of(NULL, 0), &scope));
}
END_TEST

START_TEST(what_is_shared_by_tenants_says_so)
{
    struct made made = good("rooms: {review: {shared: true}, news: {topic: n, shared: true}}\n"
                            "allow: {review: [legal]}");
    struct lane_name acme, globex;
    ck_assert_int_eq(lane_of(&made, "review:legal", "acme", NULL, &acme), STATUS_OK);
    ck_assert_int_eq(lane_of(&made, "review:legal", NULL, NULL, &globex), STATUS_OK);
    ck_assert_str_eq(acme.topic, "fanout.review.legal");
    ck_assert(bytes_equal_string(lane_name_key(&acme), "review:legal"));
    ck_assert_int_eq(acme.scope, LANE_SCOPE_NONE);
    ck_assert_uint_eq(lane_name_scope(&acme).size, 0);
    ck_assert(bytes_equal(lane_name_key(&acme), lane_name_key(&globex)));
    ck_assert_int_eq(lane_of(&made, "news:1", NULL, NULL, &acme), STATUS_OK);
    ck_assert_int_eq(lane_of(&made, "task:1", NULL, "7", &acme), STATUS_INVALID);
    drop(&made);
    made = good("layout: user\nrooms: {user: {shared: true}, task: {shared: true}}");
    ck_assert_int_eq(lane_of(&made, "task:1", "acme", "7", &acme), STATUS_OK);
    ck_assert(bytes_equal_string(lane_name_scope(&acme), "7"));
    drop(&made);
}
END_TEST

START_TEST(a_large_tenant_has_a_topic_of_its_own)
{
    struct made made = good("large_tenants: {acme: {topic: fanout.acme, partitions: 32}}\n"
                            "allow: {review: [legal]}");
    struct lane_name lane;
    ck_assert_int_eq(lane_of(&made, "task:42", "acme", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.acme");
    ck_assert(bytes_equal_string(lane_name_key(&lane), "acme\x1ftask:42"));
    ck_assert_int_eq(lane.partition, murmur2_partition(BYTES_LITERAL("acme\x1ftask:42"), 32));
    ck_assert(bytes_equal_string(lane_name_scope(&lane), "acme"));
    ck_assert_int_eq(lane_of(&made, "task:42", "globex", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.tenant");
    ck_assert_int_eq(lane_of(&made, "review:legal", "acme", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.review.legal");
    const struct layout_topic *topic = layout_topic_find(made.layout, BYTES_LITERAL("fanout.acme"));
    ck_assert(topic && topic->scope == LANE_SCOPE_TENANT && topic->partition_count == 32);
    drop(&made);
}
END_TEST

START_TEST(kinds_are_added_changed_and_removed)
{
    struct made made = good("rooms:\n"
                            "  task: {partitions: 16}\n"
                            "  user: null\n"
                            "  document: {topic: 'fanout.{kind}.{key}', partitions: 2}\n"
                            "  device: {topic: fanout.device, key: '{kind}/{key}'}\n"
                            "allow: {document: [a, 7, 'x*']}\n");
    struct lane_name lane;
    ck_assert_int_eq(lane_of(&made, "task:1", "acme", NULL, &lane), STATUS_OK);
    ck_assert_int_eq(lane.partition_count, 16);
    ck_assert_int_eq(lane_of(&made, "tenant:acme", "acme", NULL, &lane), STATUS_OK);
    ck_assert_int_eq(lane.partition_count, 16);
    ck_assert_int_eq(lane_of(&made, "user:1", "acme", "1", &lane), STATUS_NOT_FOUND);
    ck_assert(!layout_has_kind(made.layout, BYTES_LITERAL("user")));
    ck_assert_int_eq(lane_of(&made, "document:7", "acme", NULL, &lane), STATUS_OK);
    ck_assert_str_eq(lane.topic, "fanout.document.7");
    ck_assert_int_eq(lane.partition_count, 2);
    ck_assert_int_eq(lane_of(&made, "device:d", "acme", NULL, &lane), STATUS_OK);
    ck_assert(bytes_equal_string(lane_name_key(&lane), "acme\x1f"
                                                       "device/d"));
    const struct layout_topic *topic =
        layout_topic_find(made.layout, BYTES_LITERAL("fanout.document.xyz"));
    ck_assert(topic && topic->pattern && topic->partition_count == 2);
    topic = layout_topic_find(made.layout, BYTES_LITERAL("fanout.document.a"));
    ck_assert(topic && !topic->pattern);
    ck_assert_ptr_null(layout_topic_find(made.layout, BYTES_LITERAL("fanout.document.x.y")));
    ck_assert_ptr_null(layout_topic_find(made.layout, BYTES_LITERAL("fanout.document.b")));
    drop(&made);
}
END_TEST

START_TEST(problems_are_told_in_their_place)
{
    has_problem("layout: planet", 0, "tenant, user or none");
    has_problem("rooms: [a]", 1, "expected a mapping");
    has_problem("rooms:\n  Task: {topic: x}", 2, "a kind is");
    has_problem("rooms:\n  x: {key: a}", 2, "no topic");
    has_problem("rooms:\n  x: {topic: a, colour: b}", 2, "unknown key \"colour\"");
    has_problem("rooms:\n  x: {topic: a}\n  x: {topic: b}", 3, "twice");
    has_problem("rooms:\n  x: {topic: a, partitions: 0}", 2, "from 1 to");
    has_problem("rooms:\n  x: {topic: a, partitions: many}", 2, "from 1 to");
    has_problem("rooms:\n  x: {topic: 'a{room}'}", 2, "{kind}.{key}");
    has_problem("rooms:\n  x: {topic: 'a{planet}'}", 2, "unknown placeholder {planet}");
    has_problem("rooms:\n  x: {topic: 'a{key'}", 2, "partner");
    has_problem("rooms:\n  x: {topic: 'a}'}", 2, "partner");
    has_problem("rooms:\n  x: {topic: '{key}'}", 2, "begins with literal");
    has_problem("rooms:\n  x: {topic: __consumer_offsets}", 2, "reserved");
    has_problem("rooms:\n  x: {topic: 'a/b'}", 2, "made of");
    has_problem("rooms:\n  x: {topic: a, key: '{tenant}{user}'}", 2, "not both");
    has_problem("rooms:\n  x: {topic: a, key: '{tenant}/{room}'}", 2, "not from both");
    has_problem("rooms:\n  x: {topic: 'a.{key}'}", 2, "allow.x");
    has_problem("rooms:\n  x: {topic: 'a.{tenant}'}", 2, "allow.tenant");
    has_problem("rooms:\n  x: {topic: fanout.tenant}", 2, "different keys");
    has_problem("rooms:\n  x: {topic: fanout.tenant, key: '{tenant}', partitions: 9}\n"
                "  task: {partitions: 10}",
                3, "different partition counts");
    has_problem("rooms:\n  x: {topic: 'fanout.{key}'}\nallow: {x: ['*']}", 2, "different keys");
    has_problem("rooms:\n  x: {topic: 'a.{key}', key: all}\n  y: {topic: 'a.b{key}'}\n"
                "allow: {x: ['*'], y: ['*']}",
                3, "different keys");
    has_problem("rooms:\n  x: {topic: a, key: '{tenant}', shared: true}", 2,
                "neither in its topic");
    has_problem("rooms:\n  x: {topic: 'a.{tenant}', shared: true}\nallow: {tenant: [b]}", 2,
                "neither in its topic");
    has_problem("rooms:\n  x: {topic: a, shared: 1}", 2, "true or false");
    has_problem("rooms:\n  x: {topic: a, shared: true}\n  y: {topic: a}", 3, "only x is shared");
    has_problem("large_tenants:\n  acme: {topic: a, shared: true}", 2, "unknown key");
    has_problem("large_tenants:\n  acme: {topic: 'a.{key}'}", 2, "no placeholders");
    has_problem("large_tenants:\n  acme: {topic: fanout.tenant}", 2, "of its own");
    has_problem("large_tenants:\n  a: {topic: x}\n  b: {topic: x}", 3, "of its own");
    has_problem("allow:\n  planet: [x]", 2, "neither a kind");
    has_problem("allow:\n  review: legal", 2, "expected a list");
    has_problem("allow:\n  review: [legal, a.b]", 2, "a value is");
    has_problem("allow:\n  review: [legal, legal]", 2, "twice");
}
END_TEST

START_TEST(too_many_topics_are_a_problem)
{
    auto_buffer struct buffer text = {0};
    buffer_append_string(&text, "rooms: {x: {topic: 'a.{tenant}.{key}'}}\nallow:\n");
    for (int list = 0; list < 2; list++) {
        buffer_append_string(&text, list ? "  tenant: [" : "  x: [");
        for (int i = 0; i < 100; i++)
            buffer_append_format(&text, "v%d, ", i);
        buffer_append_string(&text, "]\n");
    }
    buffer_append_byte(&text, '\0');
    has_problem((const char *)buffer_peek(&text).data, 0, "more than 4096 topics");
}
END_TEST

START_TEST(the_revision_is_that_of_the_mapping_and_not_of_its_writing)
{
    static const char *const same[] = {
        "", "layout: tenant", "allow: {review: [legal]}",
        "layout: none\n"
        "rooms:\n"
        "  task: {topic: fanout.tenant, key: '{tenant}', partitions: 8}\n"
        "  review: {topic: 'fanout.review.{key}', key: '{tenant}'}\n"
        "  user: {key: '{tenant}', topic: fanout.tenant}\n"
        "  project: {topic: fanout.tenant, key: '{tenant}'}\n"
        "  tenant: {topic: fanout.tenant, key: '{tenant}'}\n"
        "allow: {review: [a, b]}\n"};
    static const char *const other[] = {"layout: user", "rooms: {task: {partitions: 9}}",
                                        "rooms: {project: null}",
                                        "rooms: {review: {shared: true}}\nallow: {review: [a]}",
                                        "large_tenants: {acme: {topic: x}}"};
    uint64_t revision = 0;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct made made = good(same[i]);
        if (i == 0)
            revision = layout_revision(made.layout);
        ck_assert_msg(layout_revision(made.layout) == revision, "%s", same[i]);
        drop(&made);
    }
    ck_assert_uint_ne(revision, 0);
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        struct made made = good(other[i]);
        ck_assert_msg(layout_revision(made.layout) != revision, "%s", other[i]);
        drop(&made);
    }
}
END_TEST

TEST_PROGRAM("layout", a_topic_knows_the_kinds_that_can_live_there,
             no_lane_is_where_a_state_is_kept, by_default_a_tenant_is_one_lane,
             what_a_lane_needs_must_be_there_and_allowed, the_user_layout_is_by_tenant_and_user,
             equal_names_of_two_tenants_are_two_rooms, no_tenant_makes_the_key_of_another,
             what_is_shared_by_tenants_says_so, a_large_tenant_has_a_topic_of_its_own,
             kinds_are_added_changed_and_removed, problems_are_told_in_their_place,
             too_many_topics_are_a_problem,
             the_revision_is_that_of_the_mapping_and_not_of_its_writing)
