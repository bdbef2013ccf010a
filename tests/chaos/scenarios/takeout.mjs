/* A load balancer takes gateways out and lets them back in, with clients that poll through it, any poll at any gateway: what it cuts off and what
 * it sends elsewhere is noticed by the client at once, and not by the silence of a session that nobody polls any more. */
import { Stream } from '../../integration/lib/stream.mjs';
import { awaitedLater, eventually, sleep } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { startGateways } from '../lib/gateways.mjs';
import { setServerState, shutSessions, startLoadBalancer } from '../lib/haproxy.mjs';
import { openWitnesses, publish, sum } from '../lib/witness.mjs';

export const description = 'a load balancer takes gateways out under long-polling: no client falls silent';
export const faults = 60;
export const options = {
    clients: { default: 90, help: 'clients, two thirds of them long-polling, the others upgrading' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rate: { default: 200, help: 'notifications per second' },
    silence: { default: 10, help: 'seconds for which no client may hear nothing' },
};

const ROOMS = 20, LOOK_MS = 100, OUT_MS = [100, 3000], IN_MS = [500, 2000];

export async function run({ random, report, faults: count, values }) {
    await World.use('chaos-takeout', {}, async (world) => {
        await world.dispatcher();
        const gateways = await startGateways(world, Number(values.gateways));
        const balancer = await startLoadBalancer(world, gateways, { retry: true });
        let over = false;
        const publishing = awaitedLater(publish({ stream: new Stream(world.broker), rooms: ROOMS, rate: Number(values.rate), over: () => over }));
        const clients = Math.floor(Number(values.clients) / 3);
        const witnesses = [
            ...await openWitnesses(world, balancer.url, { count: 2 * clients, rooms: ROOMS, transports: 'polling', late: true }),
            ...await openWitnesses(world, balancer.url, { count: clients, rooms: ROOMS, transports: 'both', late: true })];
        await eventually(() => witnesses.every(({ at }) => at), { what: 'everybody to hear something' });
        const silences = new Map(witnesses.map((witness) => [witness, 0]));
        const looking = setInterval(() => witnesses.forEach((witness) => silences.set(witness, Math.max(silences.get(witness), performance.now() - witness.at))), LOOK_MS);
        for (let i = 0; i < count; i++) {
            const gateway = random.pick(gateways);
            const cuts = random.fraction() < 0.5;
            report.fault(cuts ? 'out, connections cut' : 'out', gateway.name);
            await setServerState(balancer, gateway, 'maint');
            if (cuts)
                await shutSessions(balancer, gateway);
            await sleep(random.between(...OUT_MS));
            await setServerState(balancer, gateway, 'ready');
            await sleep(random.between(...IN_MS));
        }
        await sleep(Number(values.silence) * 1000 + 1000);
        clearInterval(looking);
        over = true;
        await publishing;
        const [silent, silence] = [...silences].sort(([, a], [, b]) => b - a)[0];
        report.check(`nobody hears nothing for ${values.silence} s`, silence < values.silence * 1000, `${Math.round(silence)} ms: ${silent.describe()}`);
        report.check('nothing is lost', sum(witnesses, 'lost') === 0, String(sum(witnesses, 'lost')));
        report.check('nothing is doubled', sum(witnesses, 'doubled') === 0, String(sum(witnesses, 'doubled')));
        report.check('every return is recovered', sum(witnesses, 'fresh') === 0, `${sum(witnesses, 'fresh')} of ${sum(witnesses, 'returns')} are not`);
    });
}
