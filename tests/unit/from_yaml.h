/* Layouts and policies from YAML, as an operator writes it. In tests: what is wrong there is a fault
 * of the test, and ends it. */
#ifndef TESTS_UNIT_FROM_YAML_H
#define TESTS_UNIT_FROM_YAML_H

#include <assert.h>

#include "document.h"
#include "layout.h"
#include "policy.h"

static inline struct document *document_from_yaml(const char *yaml)
{
    struct document *document = NULL;
    enum status status = document_parse(bytes_of_string(yaml), NULL, &document, NULL);
    assert(status == STATUS_OK);
    (void)status;
    return document;
}

/* Either may be NULL: the default rooms, and none allowed. */
static inline struct layout *layout_from_yaml(const char *rooms, const char *allow)
{
    auto_problems struct problems problems = {0};
    struct layout *layout = NULL;
    struct document *of_rooms = rooms ? document_from_yaml(rooms) : NULL;
    struct document *of_allow = allow ? document_from_yaml(allow) : NULL;
    struct layout_source source = {.rooms = of_rooms ? document_root(of_rooms) : NULL,
                                   .allow = of_allow ? document_root(of_allow) : NULL};
    enum status status = layout_new(&source, &layout, &problems);
    assert(status == STATUS_OK);
    (void)status;
    document_free(of_rooms);
    document_free(of_allow);
    return layout;
}

static inline struct policy *policy_from_yaml(const char *access)
{
    auto_problems struct problems problems = {0};
    struct policy *policy = NULL;
    struct document *of_access = document_from_yaml(access);
    enum status status = policy_new(document_root(of_access), NULL, &policy, &problems);
    assert(status == STATUS_OK);
    (void)status;
    document_free(of_access);
    return policy;
}

#endif
