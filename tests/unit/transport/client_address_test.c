/* Whose address a request is from, when proxies pass it on, and when somebody pretends. */
#include "client_address.h"

#include <stdio.h>

#include "suite.h"

static struct trusted_proxies trusted;

static void trust(void)
{
    static const char *const networks[] = {"10.0.0.0/8", "fd00::/8"};
    for (trusted.count = 0; trusted.count < 2; trusted.count++)
        ck_assert(peer_network_parse(networks[trusted.count], &trusted.networks[trusted.count]));
}

static void is(const char *peer_text, const char *fields, const char *expected)
{
    char text[PEER_IP_TEXT_SIZE];
    struct peer_address peer = {0};
    struct http_request request = {.fields = bytes_of_string(fields)};
    ck_assert(peer_address_parse(peer_text, &peer));
    struct peer_address client = client_address_of(&request, &peer, &trusted);
    peer_address_print_ip(&client, text);
    ck_assert_msg(strcmp(text, expected) == 0, "%s, \"%s\": %s, not %s", peer_text, fields, text,
                  expected);
    ck_assert_uint_eq(client.port, 0);
}

#define PROXY "10.0.0.1"
#define LIST "X-Forwarded-For: "
#define NAMED "Forwarded: "

START_TEST(who_is_no_proxy_is_himself)
{
    trust();
    is("192.0.2.9", "", "192.0.2.9");
    is("192.0.2.9", LIST "198.51.100.1\r\n", "192.0.2.9");
    is("192.0.2.9", NAMED "for=198.51.100.1\r\n", "192.0.2.9");
    is("192.0.2.9", LIST "10.0.0.2\r\n", "192.0.2.9");
    is("::ffff:192.0.2.9", LIST "198.51.100.1\r\n", "192.0.2.9");
    trusted.count = 0;
    is(PROXY, LIST "198.51.100.1\r\n", PROXY);
}
END_TEST

START_TEST(a_list_is_read_from_the_right)
{
    static const struct {
        const char *fields, *client;
    } rows[] = {
        {"", PROXY},
        {"Host: a\r\nx-forwarded-for:192.0.2.1\r\nAccept: b\r\n", "192.0.2.1"},
        {LIST "192.0.2.1, 10.0.0.2, fd00::1\r\n", "192.0.2.1"},
        {LIST "192.0.2.1,\t10.0.0.2 , \r\n", "192.0.2.1"},
        {LIST "10.0.0.3, 10.0.0.2\r\n", PROXY}, /* nobody from outside */
        {LIST "\r\n", PROXY},
        {LIST ",,\r\n", PROXY},
        /* with ports, and in brackets */
        {LIST "192.0.2.1:4711\r\n", "192.0.2.1"},
        {LIST "2001:db8::1\r\n", "2001:db8::1"},
        {LIST "[2001:db8::1]\r\n", "2001:db8::1"},
        {LIST "[2001:db8::1]:65535\r\n", "2001:db8::1"},
        {LIST "::ffff:192.0.2.1\r\n", "192.0.2.1"},
        /* what a client has written itself stands on the left */
        {LIST "127.0.0.1, 192.0.2.1\r\n", "192.0.2.1"},
        {LIST "10.0.0.7, 192.0.2.1\r\n", "192.0.2.1"},
        {LIST "junk \"[, 192.0.2.1\r\n", "192.0.2.1"},
        {LIST "127.0.0.1\r\n" LIST "192.0.2.1\r\n", "192.0.2.1"},
        {LIST "127.0.0.1\r\nHost: a\r\n" LIST "192.0.2.1\r\n" LIST "10.0.0.2\r\n", "192.0.2.1"},
        {LIST "junk\r\n" LIST "192.0.2.1\r\n", "192.0.2.1"},
        /* where the client should be there is none */
        {LIST "junk\r\n", PROXY},
        {LIST "192.0.2.1, unknown\r\n", PROXY},
        {LIST "192.0.2.1, unknown, 10.0.0.2\r\n", PROXY},
        {LIST "192.0.2.1\r\n" LIST "junk\r\n", PROXY},
        {LIST "192.0.2.1 192.0.2.2\r\n", PROXY},
        {LIST "192.0.2\r\n", PROXY},
        {LIST "192.0.2.01\r\n", PROXY},
        {LIST "192.0.2.1:\r\n", PROXY},
        {LIST "192.0.2.1:65536\r\n", PROXY},
        {LIST "192.0.2.1:000080\r\n", PROXY},
        {LIST "192.0.2.1:8x\r\n", PROXY},
        {LIST "192.0.2.1/24\r\n", PROXY},
        {LIST "[192.0.2.1]\r\n", PROXY},
        {LIST "[192.0.2.1]:1:2\r\n", PROXY},
        {LIST "[2001:db8::1\r\n", PROXY},
        {LIST "[2001:db8::1]80\r\n", PROXY},
        {LIST "[2001:db8::1]:\r\n", PROXY},
        {LIST "[]::\r\n", PROXY},
        {LIST "2001:db8::1%eth0\r\n", PROXY},
        {LIST ":\r\n", PROXY},
        {LIST "for=192.0.2.1\r\n", PROXY},
        {LIST "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb\r\n", PROXY},
    };
    trust();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is(PROXY, rows[i].fields, rows[i].client);
}
END_TEST

START_TEST(forwarded_is_read_strictly)
{
    static const struct {
        const char *fields, *client;
    } rows[] = {
        {NAMED "for=192.0.2.1\r\n", "192.0.2.1"},
        {"FORWARDED: By=10.0.0.1;FOR=192.0.2.1;proto=https;host=\"a:1\"\r\n", "192.0.2.1"},
        {NAMED "for=\"192.0.2.1:4711\"; proto=https\r\n", "192.0.2.1"},
        {NAMED "for=\"[2001:db8::1]\"\r\n", "2001:db8::1"},
        {NAMED "for=\"[2001:db8::1]:80\" , for=10.0.0.2\r\n", "2001:db8::1"},
        {NAMED ";for=192.0.2.1;,\r\n", "192.0.2.1"},
        {NAMED "host=\"a, for=127.0.0.1; \\\" \";for=192.0.2.1\r\n", "192.0.2.1"},
        /* what a client has written itself */
        {NAMED "for=127.0.0.1, for=192.0.2.1\r\n", "192.0.2.1"},
        {NAMED "for=_hidden, for=192.0.2.1\r\n", "192.0.2.1"},
        {NAMED "for=127.0.0.1\r\n" NAMED "for=192.0.2.1\r\n", "192.0.2.1"},
        {NAMED "for=\"\r\n" NAMED "for=192.0.2.1\r\n", "192.0.2.1"},
        /* an open quote hides what the proxy has added: nobody knows, so it is the proxy */
        {NAMED "for=\"127.0.0.1, for=192.0.2.1\r\n", PROXY},
        {NAMED "for=127.0.0.1;x=\", for=192.0.2.1\r\n", PROXY},
        {NAMED "for=127.0.0.1;x=\"\\\", for=192.0.2.1\r\n", PROXY},
        /* both: one of them is the client's */
        {NAMED "for=127.0.0.1\r\n" LIST "192.0.2.1\r\n", PROXY},
        {LIST "127.0.0.1\r\n" NAMED "for=192.0.2.1\r\n", PROXY},
        /* where the client should be there is none */
        {NAMED "for=192.0.2.1, for=unknown\r\n", PROXY},
        {NAMED "for=192.0.2.1, for=_hidden\r\n", PROXY},
        {NAMED "for=192.0.2.1, proto=https\r\n", PROXY},
        {NAMED "for=192.0.2.1;for=192.0.2.2\r\n", PROXY},
        {NAMED "for=192.0.2.1 for=192.0.2.2\r\n", PROXY},
        {NAMED "for=192.0.2.1:80\"\r\n", PROXY},
        {NAMED "for=[2001:db8::1]\r\n", PROXY},
        {NAMED "for=2001:db8::1\r\n", PROXY},
        {NAMED "for=\"2001:db8::1\"\r\n", PROXY},
        {NAMED "for=\"192.0.2.1:_port\"\r\n", PROXY},
        {NAMED "for=\"192.0.2.\\1\"\r\n", PROXY},
        {NAMED "for = 192.0.2.1\r\n", PROXY},
        {NAMED "for=\r\n", PROXY},
        {NAMED "=192.0.2.1\r\n", PROXY},
        {NAMED "for\r\n", PROXY},
        {NAMED "for=\"\\\r\n", PROXY},
        {NAMED "192.0.2.1\r\n", PROXY},
        {NAMED "\r\n", PROXY},
    };
    trust();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        is(PROXY, rows[i].fields, rows[i].client);
}
END_TEST

TEST_PROGRAM("client_address", who_is_no_proxy_is_himself, a_list_is_read_from_the_right,
             forwarded_is_read_strictly)
