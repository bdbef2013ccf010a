/* Reads a file or a URL whole: where keys come from. Blocks; for start-up and worker threads. */
#ifndef GATEWAY_AUTH_TOKEN_KEY_READER_H
#define GATEWAY_AUTH_TOKEN_KEY_READER_H

#include "buffer.h"
#include "status.h"

enum { TOKEN_KEY_READ_LIMIT = 1 << 20, TOKEN_KEY_READ_TIMEOUT_MS = 5000 };

/* Replaces `out`. STATUS_IO or STATUS_TOO_LARGE with the reason. */
enum status token_key_read_file(const char *path, struct buffer *out,
                                struct error *error) MUST_CHECK;
/* Only http: and https:, no redirects, certificates checked. */
enum status token_key_read_url(const char *url, struct buffer *out, struct error *error) MUST_CHECK;
/* Once, before threads start. */
void token_key_reader_prepare(void);

#endif
