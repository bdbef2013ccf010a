/* Gzip for answers to polls. One stream for all of them, reset for each: making one costs 256
 * KiB and more time than a short answer takes. Fast rather than small, since it is done for each
 * client anew. */
#include <assert.h>

#include <zlib.h>

#include "engineio_private.h"
#include "mem.h"

struct poll_compressor {
    z_stream stream;
    struct buffer out;
};

struct poll_compressor *poll_compressor_new(void)
{
    struct poll_compressor *compressor = mem_new(struct poll_compressor);
    enum { WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 8 };
    int result = deflateInit2(&compressor->stream, Z_BEST_SPEED, Z_DEFLATED, WINDOW_BITS_GZIP,
                              MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    assert(result == Z_OK);
    return compressor;
}

void poll_compressor_free(struct poll_compressor *compressor)
{
    if (!compressor)
        return;
    deflateEnd(&compressor->stream);
    buffer_deinit(&compressor->out);
    free(compressor);
}

struct bytes poll_compressor_run(struct poll_compressor *compressor, struct bytes body)
{
    z_stream *stream = &compressor->stream;
    int result = deflateReset(stream);
    assert(result == Z_OK);
    union {
        const uint8_t *in;
        Bytef *zlib; /* zlib does not write to its input, but says so only with ZLIB_CONST */
    } input = {body.data};
    buffer_clear(&compressor->out);
    size_t most = deflateBound(stream, body.size);
    stream->next_in = input.zlib;
    stream->avail_in = (uInt)body.size;
    stream->next_out = buffer_reserve(&compressor->out, most);
    stream->avail_out = (uInt)most;
    result = deflate(stream, Z_FINISH);
    assert(result == Z_STREAM_END);
    buffer_commit(&compressor->out, most - stream->avail_out);
    return buffer_peek(&compressor->out);
}
