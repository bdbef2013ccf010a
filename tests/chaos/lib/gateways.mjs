/* Gateways that stand behind one load balancer: each knows the others' network and secret, so a poll that reaches the
 * wrong one is passed on. */
import { freePort } from '../../integration/lib/ports.mjs';

const SECRET = 'what-the-gateways-of-one-installation-share';

/* `settings`: what else stands under `gateway`. */
export async function startGateways(world, count, settings = {}) {
    const gateways = [];
    for (let i = 0; i < count; i++) {
        const peers = { secret: SECRET, address: '127.0.0.1', port: await freePort(), network: ['127.0.0.0/8'] };
        gateways.push(await world.gateway({ name: `gateway-${i}`, settings: { gateway: { ...settings, peers } } }));
    }
    return gateways;
}
