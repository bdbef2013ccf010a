/* The pieces of Prometheus' text exposition format 0.0.4. Part of metrics.h. */
#ifndef COMMON_METRICS_PRIVATE_H
#define COMMON_METRICS_PRIVATE_H

#include "buffer.h"

/* [a-zA-Z_:][a-zA-Z0-9_:]* */
bool metrics_text_name_valid(const char *name);

/* "# HELP" and "# TYPE". */
void metrics_text_head(const char *name, const char *help, const char *type, struct buffer *out);

/* `name="value"`, escaped; what is not UTF-8 is replaced. Asserts that the name is one, and not
 * `le`. */
void metrics_text_label(const char *name, struct bytes value, struct buffer *out);

/* `name_suffix{labels} `, up to the value. */
void metrics_text_series(const char *name, const char *suffix, const char *labels,
                         struct buffer *out);

/* value / divisor, exactly; the divisor is a power of ten. */
void metrics_text_number(int64_t value, uint32_t divisor, struct buffer *out);

#endif
