/* An eventfd: wakes the event loop from another thread, or in its next turn from itself. */
#ifndef GATEWAY_THREADS_EVENT_DESCRIPTOR_H
#define GATEWAY_THREADS_EVENT_DESCRIPTOR_H

#include "status.h"

/* Not blocking, closed on exec; closed with close(). */
enum status event_descriptor_open(int *descriptor, struct error *error) MUST_CHECK;
/* Makes it readable. Any thread. */
void event_descriptor_signal(int descriptor);
/* Makes it unreadable; before looking at what it told about. */
void event_descriptor_clear(int descriptor);

#endif
