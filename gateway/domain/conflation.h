/* Which notifications are progress: of those that a client has missed, only the latest of a task is
 * worth sending. Configuration (`gateway.conflate`), a list of `event` or `event/status`, with `*`
 * for any:
 *
 *     conflate: [task.progress, "task.updated/running"]
 *
 * Updates of a task's status are meant, and custom events about a task or an item. A client at the
 * head of its lanes gets each of them; one that is behind is not given those that a later one of the
 * same task, in the same rooms, has made out of date, unless something else of that task lies
 * between the two. A custom event gives way to the next of the same name, task and item, whatever
 * lies between. Pure. */
#ifndef GATEWAY_DOMAIN_CONFLATION_H
#define GATEWAY_DOMAIN_CONFLATION_H

#include "notification.h"
#include "problems.h"
#include "status.h"

struct conflation;
struct conflation_table;
struct lane;
struct message;
struct place;

enum { CONFLATION_RULES_LIMIT = 64 };

/* The items are copied; *conflation, NULL if there are none, is the caller's to free. Every problem
 * is added; then STATUS_INVALID. */
enum status conflation_new(char *const *items, size_t count, struct conflation **conflation,
                           struct problems *problems) MUST_CHECK;
void conflation_free(struct conflation *conflation);

/* Whether the notification may give way to a later one. NULL: none may. */
bool conflation_names(const struct conflation *conflation, const struct notification *notification);

/* --- in the hub --- */

/* A record that has been offered to its rooms, live (and goes into the ring) or by a scan: the
 * message before it of its task may now be out of date. */
void conflation_note(struct lane *lane, struct message *message);
void conflation_note_scanned(struct lane *lane, struct message *message);
/* The log, or the scan, has ended. Sets *table to NULL. */
void conflation_table_free(struct conflation_table **table);
/* Whether the session has missed the message and need not have it any more. */
bool conflation_skips(const struct place *place, const struct message *message);

#endif
