#include "url.h"

#include "suite.h"

START_TEST(user_and_password_of_a_url_are_not_shown)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"https://user:secret@host/keys", "https://***@host/keys"},
        {"https://token@host:8443", "https://***@host:8443"},
        {"https://u:p@ss:w@rd@host/a@b", "https://***@host/a@b"},
        {"x http://a:b@c: refused, then ftp://d:e@f?g",
         "x http://***@c: refused, then ftp://***@f?g"},
        {"https://host/path?to=a@b", "https://host/path?to=a@b"},
        {"https://host and mail@example.org", "https://host and mail@example.org"},
        {"mail@example.org", "mail@example.org"},
        {"a:b:://x:y@z", "a:b:://***@z"},
        {"https://@host", "https://@host"},
        {"https://user:secret@", "https://***@"},
        {"://", "://"},
        {":", ":"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auto_buffer struct buffer out = {0};
        url_redact(bytes_of_string(cases[i].text), &out);
        ck_assert_msg(bytes_equal_string(buffer_peek(&out), cases[i].shown), "%s -> %.*s",
                      cases[i].text, BYTES_PRINT(buffer_peek(&out)));
    }
}
END_TEST

TEST_PROGRAM("url", user_and_password_of_a_url_are_not_shown)
