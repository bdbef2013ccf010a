/* The body of /livez and /readyz, the same for both programs: one line of JSON, so that a probe
 * reads the code of the answer and a person the reason, with curl alone. Pure: the checks are made
 * by the caller, who also decides which of them a probe asks.
 *
 *     {"status":"failed","checks":{"kafka":{"status":"failed","detail":"no broker answers"}}} */
#include "health.h"

#include "json.h"

static const char *status_word(bool healthy)
{
    return healthy ? "ok" : "failed";
}

bool health_render(const struct health_check *checks, size_t count, struct buffer *out)
{
    bool healthy = true;
    for (size_t i = 0; i < count; i++)
        healthy = healthy && checks[i].healthy;
    buffer_append_format(out, "{\"status\":\"%s\",\"checks\":{", status_word(healthy));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buffer_append_byte(out, ',');
        json_write_string(out, bytes_of_string(checks[i].name));
        buffer_append_format(out, ":{\"status\":\"%s\"", status_word(checks[i].healthy));
        if (checks[i].detail) {
            buffer_append_string(out, ",\"detail\":");
            json_write_string(out, bytes_of_string(checks[i].detail));
        }
        buffer_append_byte(out, '}');
    }
    buffer_append_string(out, "}}\n");
    return healthy;
}
