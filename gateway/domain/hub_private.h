/* What hub*.c have in common, and nobody else calls. */
#ifndef GATEWAY_DOMAIN_HUB_PRIVATE_H
#define GATEWAY_DOMAIN_HUB_PRIVATE_H

#include "hub_state.h"

/* Everything under way for the lane is over. */
void hub_stop_lane(struct lane *lane);

#endif
