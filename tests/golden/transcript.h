/* Reads the Markdown of a golden transcript. Nothing of it is known to the codecs. */
#ifndef TESTS_GOLDEN_TRANSCRIPT_H
#define TESTS_GOLDEN_TRANSCRIPT_H

#include "buffer.h"

/* A section: a heading, a block of bytes of some kind, and the block of the packets in it. */
struct section {
    struct bytes title;
    struct bytes kind;
    struct buffer bytes;  /* decoded */
    struct bytes packets; /* lines, each with its line end */
};

/* The text of a file, NUL-terminated; aborts the test if there is none. The caller's to free. */
char *transcript_read(const char *path);

/* Takes the next section off the text. False at the end; a malformed file aborts the test. */
bool transcript_next(struct bytes *text, struct section *section);

/* Appends the spelling of bytes that blocks use, without line ends. */
void transcript_escape(struct buffer *out, struct bytes bytes);

#endif
