/* Plain round robin and default transports: no request is refused for having reached another gateway, all clients
 * upgrade, none is lost; also with a load balancer that sends a request again. */
import { eventually } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { balancerStatistics, startLoadBalancer } from '../lib/haproxy.mjs';
import { openWitnesses } from '../lib/witness.mjs';

export const description = 'thousands of connects by default transports through plain round robin: none refused, all upgraded';
export const faults = 0;
export const options = {
    connects: { default: 3000, help: 'connects in each of two rounds' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
};

async function round(world, report, balancer, connects, name) {
    let connected = 0;
    let upgraded = 0;
    const batch = 300; // open at once
    for (let i = 0; i < connects; i += batch) {
        const count = Math.min(batch, connects - i);
        const witnesses = await openWitnesses(world, balancer.url, { count, rooms: 50, transports: 'both' });
        connected += witnesses.filter(({ client }) => client.socket.connected).length;
        await eventually(() => witnesses.every(({ client }) => client.transport === 'websocket'), { timeout: 15000, what: 'upgrades' }).catch(() => {});
        upgraded += witnesses.filter(({ client }) => client.transport === 'websocket').length;
        witnesses.forEach(({ client }) => client.disconnect());
        world.clients.splice(0);
    }
    const { refused, failed } = await balancerStatistics(balancer);
    report.check(`${name}: all connect`, connected === connects, `${connected} of ${connects}`);
    report.check(`${name}: all upgrade`, upgraded === connects, `${upgraded} of ${connects}`);
    report.check(`${name}: no answer 4xx`, refused === 0, String(refused));
    report.check(`${name}: no answer 5xx`, failed === 0, String(failed));
}

export async function run({ report, values }) {
    await World.use('chaos-balance', {}, async (world) => {
        await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        for (const [name, retry] of [['round robin', false], ['round robin that retries', true]]) {
            const balancer = await startLoadBalancer(world, gateways, { retry });
            await round(world, report, balancer, Number(values.connects), name);
            await balancer.stop();
        }
    });
}
