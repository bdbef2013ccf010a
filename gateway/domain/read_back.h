/* Reading back: when a lane's scan starts, what its records bring to those who read along, and
 * where they go on when it is over. The scan's own state is scan.h's. */
#ifndef GATEWAY_DOMAIN_READ_BACK_H
#define GATEWAY_DOMAIN_READ_BACK_H

#include "hub_state.h"

/* A record of the lane's scan; false: pause. */
bool read_back_record(struct lane *lane, const struct lane_record *record);
void read_back_ended(struct lane *lane, enum status status, int64_t first);
/* Ends whatever is read, and is kept of it. */
void read_back_forget(struct lane *lane);
/* Starts, resumes and cancels scans; after transports have taken what they could. */
void read_back_run(struct hub *hub);
/* When read_back_run() is due. */
int64_t read_back_deadline(const struct hub *hub);

#endif
