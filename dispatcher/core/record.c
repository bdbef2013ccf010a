#include "record.h"

#include <strings.h>

bool record_find_header(const struct record *record, const char *name, struct bytes *value)
{
    size_t size = strlen(name);
    for (size_t i = record->header_count; i > 0; i--) {
        const struct record_header *header = &record->headers[i - 1];
        if (header->name.size == size &&
            strncasecmp((const char *)header->name.data, name, size) == 0) {
            *value = header->value;
            return true;
        }
    }
    return false;
}
