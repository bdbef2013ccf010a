/* The table of refusals, which a document shows. */
#include "refusals.h"

#include <stdio.h>

#include "suite.h"

static struct buffer document;

static void read_document(void)
{
    FILE *file = fopen(DOCUMENT, "r");
    ck_assert_ptr_nonnull(file);
    uint8_t portion[4096];
    for (size_t got; (got = fread(portion, 1, sizeof(portion), file)) > 0;)
        buffer_append(&document, bytes_of(portion, got));
    fclose(file);
}

START_TEST(the_document_has_each_word_and_what_it_says)
{
    read_document();
    struct bytes text = buffer_peek(&document);
    for (unsigned i = 0; i < REFUSAL_OTHER; i++) {
        auto_buffer struct buffer row = {0};
        const char *word = refusal_word((enum refusal)i);
        buffer_append_format(&row, "\n| `%s` | %s |\n", word, refusal_message(word));
        ck_assert_msg(memmem(text.data, text.size, buffer_peek(&row).data, buffer_size(&row)),
                      "the document lacks%.*s", BYTES_PRINT(buffer_peek(&row)));
        ck_assert_uint_eq(refusal_of(word), i);
    }
    buffer_deinit(&document);
}
END_TEST

START_TEST(a_claim_that_is_missing_is_named)
{
    auto_buffer struct buffer out = {0};
    refusal_append_answer(&out, "tenant_missing", "org\"s", 0);
    buffer_append_byte(&out, 0);
    ck_assert_str_eq((const char *)buffer_peek(&out).data,
                     "{\"ok\":false,\"error\":{\"code\":\"tenant_missing\",\"message\":\"the token "
                     "says no tenant, which its rooms depend on (claim \\\"org\\\"s\\\")\"}}");
}
END_TEST

static const char *told;

static void tell(void *context, const struct refusal_note *note)
{
    (void)context;
    told = note->word;
}

START_TEST(what_stands_in_no_table_is_counted_as_other)
{
    struct refusals refusals = {.told = tell};
    refusals_note(&refusals, &(struct refusal_note){.transport = "http", .word = "restart"});
    refusals_note(&refusals, &(struct refusal_note){.transport = "http", .word = "new"});
    ck_assert_uint_eq(refusals.counts[REFUSAL_restart], 1);
    ck_assert_uint_eq(refusals.counts[REFUSAL_OTHER], 1);
    ck_assert_str_eq(told, "new");
    ck_assert_str_eq(refusal_message("new"), "refused");
    refusals_note(NULL, &(struct refusal_note){.transport = "http", .word = "new"});
}
END_TEST

TEST_PROGRAM("refusals", the_document_has_each_word_and_what_it_says,
             a_claim_that_is_missing_is_named, what_stands_in_no_table_is_counted_as_other)
