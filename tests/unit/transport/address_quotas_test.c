/* Sessions and connects of one address, over every transport; the wires' peer, 192.0.2.1, is a
 * proxy that is trusted. */
#include "address_quotas.h"

#include <stdio.h>

#include "adapter_fixture.h"
#include "suite.h"

#define POLL "/socket.io/?EIO=4&transport=polling"
#define WEBSOCKET "/socket.io/?EIO=4&transport=websocket"

static struct address_quotas *quotas;

static void start(uint32_t sessions, uint32_t connects)
{
    struct trusted_proxies trusted = {.count = 1};
    struct quotas_config config = {
        .limits = {[QUOTA_ADDRESS] = {[QUOTA_SESSIONS] = sessions, [QUOTA_CONNECTS] = connects}},
        .burst_s = 1,
        .quiet_most = 4,
        .seed = 7};
    ck_assert(peer_network_parse("192.0.2.1", &trusted.networks[0]));
    quotas = address_quotas_new(&config, &trusted);
    fake_http.addresses = quotas;
    fixture_start(false);
}

static void stop(void)
{
    fixture_stop();
    address_quotas_free(quotas); /* asserts that each place was left */
    fake_http.addresses = NULL;
}

/* Sends a request that begins a session, from this address; upgrades if `upgrade` names fields. */
static struct fake_wire *come(const char *address, const char *target, const char *upgrade)
{
    char fields[512];
    snprintf(fields, sizeof(fields), "X-Forwarded-For: 127.0.0.1, %s\r\n%s", address,
             upgrade ? upgrade : "");
    fake_fields = fields;
    struct fake_wire *wire =
        upgrade ? fake_upgrade(target, NULL) : fake_request("GET", target, NULL);
    fake_fields = "";
    return wire;
}

static void is_let_in(const char *address, const char *target)
{
    struct fake_wire *wire = come(address, target, NULL);
    ck_assert_ptr_nonnull(strstr(fake_answer(wire, 200), "sid"));
    fake_cut(wire);
}

static void is_refused(struct fake_wire *wire, const char *retry)
{
    const char *text = fake_take(wire);
    ck_assert_msg(strncmp(text, "HTTP/1.1 429 ", 13) == 0, "not refused: %s", text);
    ck_assert_ptr_nonnull(strstr(text, retry));
    ck_assert_ptr_nonnull(strstr(text, "\"code\":\"rate_limited\",\"message\":\""));
    ck_assert(wire->closed);
}

START_TEST(so_many_sessions_of_all_transports)
{
    start(3, 0);
    is_let_in("198.51.100.7", POLL);
    struct fake_wire *raw =
        come("198.51.100.7", "/ws", "Sec-WebSocket-Protocol: smartstack.v1.json\r\n");
    struct fake_wire *stream =
        come("198.51.100.7", "/sse", "Accept: text/event-stream\r\nAuthorization: Bearer good\r\n");
    is_refused(come("198.51.100.7", POLL, NULL), "Retry-After: 5\r\n");
    is_refused(come("198.51.100.7", WEBSOCKET, ""), "Retry-After: 5\r\n");
    is_refused(come("198.51.100.7", "/ws", "Sec-WebSocket-Protocol: smartstack.v1.json\r\n"),
               "Retry-After: 5\r\n");
    is_refused(come("198.51.100.7", "/sse", NULL), "Retry-After: 5\r\n");
    /* To an EventSource any other answer than a stream is final. */
    struct fake_wire *source = come("198.51.100.7", "/sse", "Accept: text/event-stream\r\n");
    ck_assert_ptr_nonnull(strstr(fake_take(source), "event: unavailable\ndata: {\"error\":"));
    ck_assert_uint_eq(address_quotas_stats(quotas)->refused[QUOTA_SESSIONS], 5);
    is_let_in("198.51.100.8", POLL);
    fake_cut(raw);
    fake_cut(stream);
    struct fake_wire *socket = come("198.51.100.7", WEBSOCKET, "");
    is_let_in("198.51.100.7", POLL);
    is_refused(come("198.51.100.7", POLL, NULL), "Retry-After: 5\r\n");
    fake_cut(socket);
    is_let_in("198.51.100.7", POLL);
    stop();
}
END_TEST

START_TEST(a_request_that_opens_no_session_takes_no_place)
{
    start(1, 0);
    for (int i = 0; i < 3; i++) {
        struct fake_wire *wire = come("198.51.100.7", "/sse?last=x", NULL);
        (void)fake_answer(wire, 400);
        fake_cut(wire);
        wire = come("198.51.100.7", "/ws", "Sec-WebSocket-Protocol: unknown\r\n");
        (void)fake_answer(wire, 400);
    }
    is_let_in("198.51.100.7", POLL);
    stop();
}
END_TEST

START_TEST(so_many_connects_a_second)
{
    start(0, 2);
    is_let_in("198.51.100.7", POLL);
    is_let_in("198.51.100.7", POLL);
    is_refused(come("198.51.100.7", POLL, NULL), "Retry-After: 1\r\n");
    ck_assert_uint_eq(address_quotas_stats(quotas)->refused[QUOTA_CONNECTS], 1);
    fake_pass(500);
    is_let_in("198.51.100.7", POLL);
    is_refused(come("198.51.100.7", POLL, NULL), "Retry-After: 1\r\n");
    stop();
}
END_TEST

START_TEST(addresses_of_one_network_count_as_one)
{
    start(1, 0);
    is_let_in("2001:db8:0:1::1", POLL);
    is_refused(come("[2001:db8:0:1:ffff::2]:80", POLL, NULL), "Retry-After: 5\r\n");
    is_let_in("2001:db8:0:2::1", POLL);
    /* IPv4 is not cut off, in whatever form it is written. */
    is_let_in("198.51.100.7", POLL);
    is_refused(come("::ffff:198.51.100.7", POLL, NULL), "Retry-After: 5\r\n");
    is_let_in("198.51.100.8", POLL);
    /* Nobody who could be told from the proxy. */
    is_let_in("unknown", POLL);
    is_refused(come("junk", POLL, NULL), "Retry-After: 5\r\n");
    stop();
}
END_TEST

TEST_PROGRAM("address_quotas", so_many_sessions_of_all_transports,
             a_request_that_opens_no_session_takes_no_place, so_many_connects_a_second,
             addresses_of_one_network_count_as_one)
