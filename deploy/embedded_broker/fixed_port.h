/* Gives librdkafka's mock broker a port of our choice. The mock cluster binds its listener to port
 * 0 of 127.0.0.1, asks for the port it got, and advertises that; it has no setting for it. So this
 * module interposes bind(2) in this one executable: the bind of an unnamed loopback port gets the
 * number asked for here, and what the broker then reads back and advertises is right. Not for
 * libraries or for the product's programs. */
#ifndef DEPLOY_FIXED_PORT_H
#define DEPLOY_FIXED_PORT_H

#include <stdint.h>

#include "status.h"

/* From now on a bind of 127.0.0.1:0 takes `port`; 0 leaves the choice to the kernel. Fails if the
 * port is taken: tried here, since a mock cluster that cannot bind ends in an assertion of its own.
 */
enum status fixed_port_set(uint16_t port, struct error *error) MUST_CHECK;

#endif
