#include "engineio_server.h"

#include <stdio.h>

#include "base64.h"
#include "fake_peers.h"
#include "suite.h"

/* ---- An echo ---- */

static struct engineio_session *last_session;
static unsigned messages, closes;

static void *opened(void *application, struct engineio_session *session, int64_t now_ms)
{
    (void)application, (void)now_ms;
    last_session = session;
    return session;
}

static void message(void *connection, struct bytes data, bool binary, int64_t now_ms)
{
    (void)now_ms;
    messages++;
    engineio_session_send(connection, binary, &data, 1);
}

static bool pull(void *connection, struct engineio_writer *writer, int64_t now_ms)
{
    (void)connection, (void)writer, (void)now_ms;
    return false;
}

static void closed(void *connection, enum engineio_close reason, int64_t now_ms)
{
    (void)connection, (void)reason, (void)now_ms;
    closes++;
}

static const struct engineio_application_ops ops = {
    .opened = opened, .message = message, .pull = pull, .closed = closed};

#define BOTH_FEEDS(...)                                \
    for (int bytewise = 0; bytewise < 2; bytewise++) { \
        fake_peers_start(&ops, bytewise);              \
        messages = closes = 0;                         \
        __VA_ARGS__                                    \
        fake_peers_stop();                             \
    }

static char url[192];

/* A polling session of gateway 0. */
static void open_polling(void)
{
    char sid[64];
    fake_at(0);
    snprintf(url, sizeof(url), "/engine.io/?EIO=4&transport=polling&sid=%s", fake_handshake(sid));
}

static const char *marked(const char *mark)
{
    static char target[256];
    snprintf(target, sizeof(target), "%s&t=%s", url, mark);
    return target;
}

static void expect_unknown(struct fake_wire *wire)
{
    ck_assert_str_eq(fake_answer(wire, 400), "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

/* ---- Tests ---- */

START_TEST(polls_reach_their_session_through_any_gateway){BOTH_FEEDS({
    open_polling();
    for (unsigned at = 0; at < FAKE_GATEWAYS; at++) {
        fake_at(at);
        ck_assert_str_eq(fake_ask("POST", url,
                                  "4one\x1e"
                                  "bAQIDBA==",
                                  200),
                         "ok");
        fake_at((at + 1) % FAKE_GATEWAYS);
        ck_assert_str_eq(fake_ask("GET", url, NULL, 200), "4one\x1e"
                                                          "bAQIDBA==");
    }
    ck_assert_uint_eq(messages, 6);
    ck_assert_uint_eq(closes, 0);
    ck_assert_uint_eq(engineio_server_stats(gateways[1].engineio)->forwards, 2);
})} END_TEST

    START_TEST(a_poll_is_held_as_long_as_at_home){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        ck_assert_str_eq(fake_take(poll), "");
        fake_pass(290);
        ck_assert_str_eq(fake_take(poll), "");
        fake_pass(20);
        ck_assert_str_eq(fake_answer(poll, 200), "2");
        fake_at(2);
        ck_assert_str_eq(fake_ask("POST", url, "3", 200), "ok");
        fake_at(1);
        poll = fake_request("GET", url, NULL);
        fake_at(2);
        ck_assert_str_eq(fake_ask("POST", url, "4event", 200), "ok");
        ck_assert_str_eq(fake_answer(poll, 200), "4event");
        ck_assert_uint_eq(closes, 0);
    })} END_TEST

    START_TEST(a_poll_that_its_client_gives_up_ends_the_session){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        ck_assert_uint_eq(closes, 0);
        fake_cut(poll);
        ck_assert_uint_eq(closes, 1);
        ck_assert_uint_eq(peer_client_stats(gateways[1].client)->connections, 0);
        expect_unknown(fake_request("GET", url, NULL));
    })} END_TEST

    START_TEST(a_poll_goes_on_by_another_gateway_when_its_bearer_dies){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        struct fake_wire *poll = fake_request("GET", marked("g1"), NULL);
        fake_kill(1);
        fake_take(poll);
        fake_at(2);
        poll = fake_request("GET", marked("g1"), NULL); /* a load balancer tries again */
        fake_pass(100);
        fake_ask("POST", marked("p1"), "4x", 200);
        ck_assert_str_eq(fake_answer(poll, 200), "4x");
        ck_assert_uint_eq(closes, 0);
    })} END_TEST

    START_TEST(a_half_sent_post_reaches_nobody){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        struct fake_wire *wire = fake_open();
        char text[300];
        snprintf(text, sizeof(text),
                 "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4half", url);
        fake_send(wire, bytes_of_string(text));
        fake_cut(wire);
        ck_assert_uint_eq(gateways[1].dials, 0);
        ck_assert_uint_eq(messages, 0);
    })} END_TEST

    START_TEST(a_dead_gateway_takes_its_sessions_with_it){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_kill(0);
        expect_unknown(poll);
        expect_unknown(fake_request("POST", url, "4x"));
        expect_unknown(fake_request("GET", url, NULL));
        ck_assert_uint_eq(engineio_server_stats(gateways[1].engineio)->forwards_failed, 3);
        fake_boot(0); /* the same address, another boot */
        expect_unknown(fake_request("GET", url, NULL));
        fake_at(0);
        unsigned dials = gateways[0].dials;
        expect_unknown(fake_request("GET", url, NULL));
        ck_assert_uint_eq(gateways[0].dials, dials);
    })} END_TEST

    START_TEST(a_gateway_that_says_nothing_is_waited_for_only_so_long){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        gateways[0].stopped = true;
        struct fake_wire *post = fake_request("POST", url, "4x");
        struct fake_wire *poll = fake_request("GET", url, NULL);
        fake_pass(99);
        ck_assert_str_eq(fake_take(post), "");
        fake_pass(2);
        expect_unknown(post);
        ck_assert_str_eq(fake_take(poll), "");
        fake_pass(300);
        expect_unknown(poll);
        ck_assert_uint_eq(peer_client_stats(gateways[1].client)->timeouts, 2);
        gateways[0].stopped = false;
        fake_turn();
        ck_assert_uint_eq(messages, 0);
    })} END_TEST

    START_TEST(a_repeated_request_is_answered_alike_and_done_once){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        fake_ask("POST", marked("p1"), "4x", 200);
        fake_at(2);
        fake_ask("POST", marked("p1"), "4x", 200);
        ck_assert_uint_eq(messages, 1);
        ck_assert_str_eq(fake_ask("GET", marked("g1"), NULL, 200), "4x");
        fake_at(1);
        ck_assert_str_eq(fake_ask("GET", marked("g1"), NULL, 200), "4x");
        fake_at(0);
        ck_assert_str_eq(fake_ask("GET", marked("g1"), NULL, 200), "4x");
        /* One that is held moves to its new bearer. */
        fake_at(1);
        struct fake_wire *first = fake_request("GET", marked("g2"), NULL);
        fake_at(2);
        struct fake_wire *second = fake_request("GET", marked("g2"), NULL);
        expect_unknown(first);
        fake_ask("POST", marked("p2"), "4y", 200);
        ck_assert_str_eq(fake_answer(second, 200), "4y");
        ck_assert_uint_eq(closes, 0);
    })} END_TEST

    START_TEST(nobody_is_asked_for_an_id_that_we_did_not_sign){BOTH_FEEDS({
        open_polling();
        fake_at(1);
        char *prefix = strstr(url, "sid=") + 4;
        for (size_t i = 0; i < strlen(gateways[0].identity.prefix); i++) {
            char right = prefix[i];
            prefix[i] = right == 'A' ? 'B' : 'A';
            expect_unknown(fake_request("GET", url, NULL));
            prefix[i] = right;
        }
        ck_assert_uint_eq(gateways[1].dials, 0);
        ck_assert_str_eq(fake_ask("POST", url, "4x", 200), "ok");
    })} END_TEST

    START_TEST(nobody_outside_the_network_is_asked)
{
    fake_network = "10.0.0.2/31";
    BOTH_FEEDS({
        open_polling();
        fake_at(1);
        expect_unknown(fake_request("GET", url, NULL));
        ck_assert_uint_eq(gateways[1].dials, 0);
    })
    fake_network = "10.0.0.0/24";
}
END_TEST

START_TEST(who_does_not_know_the_secret_is_refused){BOTH_FEEDS({
    open_polling();
    fake_at(0);
    struct http_server *http = world.http;
    world.http = gateways[0].peer_http;
    char target[256];
    snprintf(target, sizeof(target), "/peer/poll?%s", strchr(url, '?') + 1);
    fake_ask("GET", target, NULL, 401);
    fake_ask("POST", target, "4x", 401);
    fake_fields = "x-smartstack-peer: not the secret of these\r\n";
    fake_ask("POST", target, "4x", 401);
    fake_fields = "";
    world.http = http;
    ck_assert_uint_eq(messages, 0);
    ck_assert_uint_eq(engineio_server_stats(gateways[0].engineio)->peer_refused, 3);
})} END_TEST

    START_TEST(held_polls_leave_connections_to_the_others)
{
    char urls[12][192];
    struct fake_wire *polls[12];
    fake_peers_start(&ops, false);
    for (unsigned i = 0; i < 12; i++) {
        open_polling();
        strcpy(urls[i], url);
    }
    fake_at(1);
    for (unsigned i = 0; i < 12; i++)
        polls[i] = fake_request("GET", urls[i], NULL);
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->connections, 7);
    expect_unknown(polls[11]); /* four may wait */
    for (unsigned i = 0; i < 11; i++)
        ck_assert_str_eq(fake_ask("POST", urls[i], "4x", 200), "ok");
    for (unsigned i = 0; i < 11; i++)
        ck_assert_str_eq(fake_answer(polls[i], 200), "4x");
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->connections, 8);
    fake_pass(30001);
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->connections, 0);
    fake_peers_stop();
}
END_TEST

START_TEST(what_waits_to_go_to_others_is_bounded_by_bytes)
{
    static char body[4000] = "4";
    memset(body + 1, 'x', sizeof(body) - 2);
    fake_peer_buffered = 3000;
    fake_peers_start(&ops, false);
    open_polling();
    fake_at(1);
    expect_unknown(fake_request("POST", url, body)); /* as if its gateway were away */
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->refused, 1);
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->buffered, 0);
    body[2000] = '\0';
    ck_assert_str_eq(fake_ask("POST", url, body, 200), "ok");
    ck_assert_uint_eq(peer_client_stats(gateways[1].client)->buffered, 0);
    fake_peers_stop();
    fake_peer_buffered = 0;
}
END_TEST

START_TEST(a_gateway_that_ends_gives_back_the_polls_that_it_holds_for_others){BOTH_FEEDS({
    open_polling();
    fake_at(1);
    struct fake_wire *poll = fake_request("GET", url, NULL);
    engineio_server_release_forwards(gateways[1].engineio);
    fake_turn();
    ck_assert_str_eq(fake_answer(poll, 200), "6");
    fake_at(2);
    poll = fake_request("GET", url, NULL);
    ck_assert_str_eq(fake_take(poll), "");
    fake_ask("POST", url, "4x", 200);
    ck_assert_str_eq(fake_answer(poll, 200), "4x");
    ck_assert_uint_eq(closes, 0);
})} END_TEST

    START_TEST(so_many_are_sent_away_as_asked_and_told_through_any_gateway){BOTH_FEEDS({
        char urls[3][192];
        struct fake_wire *polls[3];
        for (unsigned i = 0; i < 3; i++) {
            open_polling();
            strcpy(urls[i], url);
            fake_at(1);
            polls[i] = fake_request("GET", urls[i], NULL);
        }
        ck_assert_uint_eq(engineio_server_send_away(gateways[0].engineio, 2), 2);
        fake_turn();
        ck_assert_str_eq(fake_answer(polls[0], 200), "1");
        ck_assert_str_eq(fake_answer(polls[1], 200), "1");
        ck_assert_str_eq(fake_take(polls[2]), "");
        ck_assert_uint_eq(engineio_server_send_away(gateways[0].engineio, 2), 1);
        fake_turn();
        ck_assert_str_eq(fake_answer(polls[2], 200), "1");
        ck_assert_uint_eq(closes, 3);
    })} END_TEST

    START_TEST(networks_and_addresses_are_read)
{
    struct peer_network network;
    struct peer_address address = {.port = 1};
    ck_assert(peer_network_parse("10.1.0.0/16", &network));
    ck_assert(peer_address_parse("10.1.255.255", &address) && peer_network_has(&network, &address));
    ck_assert(peer_address_parse("::ffff:10.1.2.3", &address) &&
              peer_network_has(&network, &address));
    ck_assert(peer_address_parse("10.2.0.0", &address) && !peer_network_has(&network, &address));
    ck_assert(peer_network_parse("fd00::/9", &network));
    ck_assert(peer_address_parse("fd7f::1", &address) && peer_network_has(&network, &address));
    ck_assert(peer_address_parse("fd80::1", &address) && !peer_network_has(&network, &address));
    ck_assert(peer_network_parse("0.0.0.0/0", &network) && !peer_network_has(&network, &address));
    ck_assert(!peer_network_parse("10.0.0.0/33", &network) &&
              !peer_network_parse("10.0.0.0/", &network) &&
              !peer_network_parse("10.0.0.0/8x", &network) &&
              !peer_network_parse("host", &network) && !peer_network_parse("", &network));
    ck_assert(!peer_address_parse("localhost", &address));
}
END_TEST

START_TEST(a_new_secret_is_accepted_before_it_is_used)
{
    struct peer_identity before = {.network_count = 1}, after = {.network_count = 1};
    const struct bytes old = BYTES_LITERAL("old"),
                       both[] = {BYTES_LITERAL("new"), BYTES_LITERAL("old")};
    const uint8_t boot[PEER_BOOT_BYTES] = {1};
    struct peer_address address, found;
    ck_assert(peer_network_parse("::/0", &before.networks[0]));
    after.networks[0] = before.networks[0];
    ck_assert(peer_address_parse("fd00::1", &before.own) &&
              peer_address_parse("fd00::2", &after.own));
    before.own.port = after.own.port = 8081;
    peer_identity_init(&before, &old, 1, boot);
    peer_identity_init(&after, both, 2, boot);
    ck_assert_int_eq(peer_identity_locate(&after, bytes_of_string(before.prefix), &found),
                     STATUS_OK);
    address = before.own;
    ck_assert_mem_eq(&found, &address, sizeof(address));
    ck_assert_int_eq(peer_identity_locate(&before, bytes_of_string(after.prefix), &found),
                     STATUS_DENIED);
    ck_assert(peer_identity_knows(&after, bytes_of_string(before.tokens[0])));
    ck_assert(!peer_identity_knows(&before, bytes_of_string(after.tokens[0])));
    ck_assert_int_eq(peer_identity_locate(&after, BYTES_LITERAL("no prefix at all"), &found),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(peer_identity_locate(&after, bytes_of_string(after.prefix), &found),
                     STATUS_NOT_FOUND);
}
END_TEST

static struct peer_identity identity_at(const char *address, uint8_t boot)
{
    struct peer_identity identity = {.own = {.port = 8081}, .network_count = 1};
    const struct bytes secret = BYTES_LITERAL("old");
    const uint8_t boot_id[PEER_BOOT_BYTES] = {1, 2, 3, 4, 5, boot};
    ck_assert(peer_address_parse(address, &identity.own) &&
              peer_network_parse("::/0", &identity.networks[0]));
    peer_identity_init(&identity, &secret, 1, boot_id);
    return identity;
}

/* Clients see session ids. */
START_TEST(an_id_shows_nobody_where_its_gateway_is)
{
    static const char *const addresses[] = {"10.0.0.7", "fd00::7"};
    struct peer_identity other = identity_at("10.0.0.8", 0);
    struct peer_address found;
    for (size_t i = 0; i < 2; i++) {
        struct peer_identity identity = identity_at(addresses[i], 6), again;
        size_t skipped = i ? 0 : 12; /* of the mapped form */
        auto_buffer struct buffer packed = {0};
        char text[PEER_PREFIX_SIZE];
        memcpy(text, identity.prefix, sizeof(text));
        for (char *c = text; *c; c++)
            *c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
        ck_assert(base64_decode(bytes_of_string(text), &packed) == STATUS_OK);
        ck_assert_ptr_null(memmem(buffer_peek(&packed).data, buffer_size(&packed),
                                  identity.own.ip + skipped, sizeof(identity.own.ip) - skipped));
        ck_assert_ptr_null(memmem(buffer_peek(&packed).data, buffer_size(&packed), "\x1f\x91", 2));
        ck_assert_int_eq(peer_identity_locate(&other, bytes_of_string(identity.prefix), &found),
                         STATUS_OK);
        ck_assert_mem_eq(&found, &identity.own, sizeof(found));
        again = identity_at(addresses[i], 7); /* nor that two are of one gateway */
        ck_assert(strncmp(again.prefix + 10, identity.prefix + 10, 8) != 0);
    }
}
END_TEST

/* While gateways are changed one by one. */
START_TEST(ids_of_gateways_before_they_were_sealed_are_read)
{
    struct peer_identity identity = identity_at("10.0.0.8", 0);
    struct peer_address found, address = {.port = 8081};
    ck_assert(peer_address_parse("10.0.0.7", &address));
    ck_assert_int_eq(
        peer_identity_locate(&identity, BYTES_LITERAL("FAoAAAcfkQECAwQFBs3YY7amla0z"), &found),
        STATUS_OK);
    ck_assert_mem_eq(&found, &address, sizeof(found));
    ck_assert_int_eq(
        peer_identity_locate(&identity, BYTES_LITERAL("FAoAAAcfkQECAwQFBs3YY7amla0A"), &found),
        STATUS_DENIED);
}
END_TEST

/* It stands in requests to them. */
START_TEST(nothing_but_an_id_reaches_peers)
{
    static const char *const behind[] = {" HTTP/1.1\r\nX: y", "\r\n", "&sid=x", "%41", "+", "/"};
    struct peer_identity identity = identity_at("10.0.0.8", 0), other = identity_at("10.0.0.7", 1);
    struct peer_address found;
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
        char sid[128];
        snprintf(sid, sizeof(sid), "%s%s", other.prefix, behind[i]);
        ck_assert_int_eq(peer_identity_locate(&identity, bytes_of_string(sid), &found),
                         STATUS_DENIED);
    }
}
END_TEST

TEST_PROGRAM("engineio_peers", an_id_shows_nobody_where_its_gateway_is,
             ids_of_gateways_before_they_were_sealed_are_read, nothing_but_an_id_reaches_peers,
             polls_reach_their_session_through_any_gateway, a_poll_is_held_as_long_as_at_home,
             a_poll_that_its_client_gives_up_ends_the_session, a_half_sent_post_reaches_nobody,
             a_dead_gateway_takes_its_sessions_with_it,
             a_gateway_that_says_nothing_is_waited_for_only_so_long,
             a_repeated_request_is_answered_alike_and_done_once,
             a_poll_goes_on_by_another_gateway_when_its_bearer_dies,
             nobody_is_asked_for_an_id_that_we_did_not_sign, nobody_outside_the_network_is_asked,
             who_does_not_know_the_secret_is_refused, held_polls_leave_connections_to_the_others,
             what_waits_to_go_to_others_is_bounded_by_bytes,
             a_gateway_that_ends_gives_back_the_polls_that_it_holds_for_others,
             so_many_are_sent_away_as_asked_and_told_through_any_gateway,
             networks_and_addresses_are_read, a_new_secret_is_accepted_before_it_is_used)
