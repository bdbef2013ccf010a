/* Templates of topic names and record keys: literal text and {placeholders}. Part of layout.h. */
#ifndef COMMON_LAYOUT_TEMPLATE_H
#define COMMON_LAYOUT_TEMPLATE_H

#include "layout.h"

enum layout_place {
    LAYOUT_PLACE_LITERAL,
    LAYOUT_PLACE_KIND,
    LAYOUT_PLACE_KEY,
    LAYOUT_PLACE_ROOM,
    LAYOUT_PLACE_TENANT,
    LAYOUT_PLACE_USER,
    LAYOUT_PLACE_COUNT,
};

#define LAYOUT_USES(place) (1u << (place))

enum { LAYOUT_PARTS_LIMIT = 16, LAYOUT_TEMPLATE_LIMIT = 249 };

struct layout_part {
    enum layout_place place;
    struct bytes literal; /* of LAYOUT_PLACE_LITERAL, into the template's text */
};

struct layout_template {
    char *text; /* owned */
    struct layout_part parts[LAYOUT_PARTS_LIMIT];
    size_t count;
    unsigned uses; /* LAYOUT_USES() of its placeholders */
};

/* What stands for each placeholder. */
struct layout_values {
    struct bytes of[LAYOUT_PLACE_COUNT];
};

/* Copies and splits; `error` says what is wrong. */
enum status layout_template_init(struct layout_template *made, struct bytes text,
                                 struct error *error) MUST_CHECK;
void layout_template_deinit(struct layout_template *made);

/* "tenant" for LAYOUT_PLACE_TENANT. */
const char *layout_place_text(enum layout_place place);

/* Writes the expansion; false: it is longer than `limit`. */
bool layout_template_expand(const struct layout_template *made, const struct layout_values *values,
                            uint8_t *out, size_t limit, size_t *size) MUST_CHECK;

#endif
