/* The rules file on disk: read at the start, read again when it changes or somebody says so. A file
 * that is wrong leaves the rules in force. Not what rules mean. */
#ifndef DISPATCHER_INFRA_RULES_FILE_H
#define DISPATCHER_INFRA_RULES_FILE_H

#include "rule_set.h"

/* Reads and checks a file, or stdin if the path is "-". Problems have their places; STATUS_IO: it cannot be read (one problem).
 */
enum status rules_file_read(const char *path, const struct layout *layout, struct rule_set **set,
                            struct problems *problems) MUST_CHECK;

struct rules_file;

/* Reads the rules; STATUS_INVALID or STATUS_IO with problems: no object. `path` and `layout` are
 * borrowed. */
enum status rules_file_open(const char *path, const struct layout *layout, struct rules_file **file,
                            struct problems *problems) MUST_CHECK;
void rules_file_close(struct rules_file *file);

/* The rules in force; they live until the next rules_file_reload() that changes them. */
const struct rule_set *rules_file_rules(const struct rules_file *file);

/* Whether the file (or what a symbolic link to it leads to) is another than the one last read. */
bool rules_file_changed(const struct rules_file *file);

enum rules_reload { RULES_SAME, RULES_NEW, RULES_BAD };

/* Reads it again. RULES_NEW: `old` (may not be NULL) gets the rules that were in force, which the
 * caller frees once nothing uses them. RULES_BAD: problems. */
enum rules_reload rules_file_reload(struct rules_file *file, struct rule_set **old,
                                    struct problems *problems);

#endif
