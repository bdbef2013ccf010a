/* Gateways behind a load balancer are killed and stopped, clients' connections cut, the broker restarted: every client's
 * log of every room of its is exactly 1..K, and every return is a recovery. */
import http from 'node:http';
import { Client, token } from '../../integration/lib/client.mjs';
import { eventually, sleep } from '../../integration/lib/wait.mjs';
import { SECRET, World } from '../../integration/lib/world.mjs';
import { freeze, inflict, killAndRestart, restartBroker } from '../lib/faults.mjs';
import { startLoadBalancer } from '../lib/haproxy.mjs';
import { Stream } from '../lib/stream.mjs';

export const description = 'gateways killed and stopped, connections cut, the broker restarted: every log is exactly 1..K';
export const faults = 200;
export const options = {
    clients: { default: 300, help: 'stock clients' },
    gateways: { default: 3, help: 'gateways behind the load balancer' },
    rooms: { default: 100, help: 'rooms in all; each client is in five' },
    rate: { default: 500, help: 'notifications per second' },
    transports: { default: 'mixed', help: 'websocket, polling, both (the default transports) or mixed' },
    pause: { default: 1, help: 'seconds between faults, on average' },
};

const ROOMS_PER_CLIENT = 5;
const KINDS = { 'kill -9': 4, stop: 3, cut: 10, 'broker restart': 1 };
const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], both: ['polling', 'websocket'] };

/* A client that checks as it goes: which number of a room comes next. */
class Witness {
    constructor(url, i, transports, rooms) {
        this.rooms = rooms;
        this.next = new Map(rooms.map((room) => [room, 1]));
        this.lost = 0;
        this.doubled = 0;
        this.alien = 0;
        this.returns = 0;
        this.fresh = 0;
        this.agent = new http.Agent({ keepAlive: true });
        this.client = new Client(url, {
            auth: { token: token({ sub: `usr_${i}`, tenant: 'acme' }, SECRET) },
            options: { transports, agent: this.agent, reconnectionDelay: 100, reconnectionDelayMax: 1000, timeout: 5000 },
        });
        this.client.keep = false;
        this.client.listeners.add(({ notification }) => this.take(notification));
    }

    take({ rooms, taskStatus }) {
        const room = rooms[0];
        const expected = this.next.get(room);
        const { n } = taskStatus.data;
        if (expected === undefined)
            this.alien++;
        else if (n < expected)
            this.doubled++;
        else {
            this.lost += n - expected;
            this.next.set(room, n + 1);
        }
    }

    async open() {
        await this.client.connect(30000);
        await this.client.subscribe(...this.rooms);
        this.client.socket.on('connect', () => {
            this.returns++;
            if (!this.client.socket.recovered)
                this.fresh++;
        });
    }

    /* As if the network were gone: no packet says goodbye. */
    cut() {
        const transport = this.client.socket.io.engine?.transport;
        transport?.ws?._socket?.destroy();
        this.agent.destroy();
    }
}

async function publish({ world, count, rate, over }) {
    const stream = new Stream(world.broker);
    const numbers = Array.from({ length: count }, () => 0);
    const started = performance.now();
    let total = 0;
    while (!over()) {
        const due = ((performance.now() - started) / 1000) * rate;
        const batch = [];
        for (; total < due; total++) {
            const room = total % count;
            batch.push({ id: `event-${total}`, event: 'task.progress', tenantId: 'acme', taskId: `r${room}`, type: 'extraction', data: { n: ++numbers[room] } });
        }
        if (batch.length)
            await stream.write(batch);
        await sleep(10);
    }
    await stream.close();
    return numbers;
}

export async function run({ random, report, faults: count, values }) {
    const pause_ms = Number(values.pause) * 1000;
    const roomCount = Number(values.rooms);
    await World.use('chaos-kill', {}, async (world) => {
        await world.dispatcher();
        const gateways = [];
        for (let i = 0; i < Number(values.gateways); i++)
            gateways.push(await world.gateway({ name: `gateway-${i}` }));
        const balancer = await startLoadBalancer(world, gateways);

        const witnesses = Array.from({ length: Number(values.clients) }, (_, i) => {
            const kind = values.transports === 'mixed' ? Object.keys(TRANSPORTS)[i % 3] : values.transports;
            const rooms = Array.from({ length: ROOMS_PER_CLIENT }, (_, j) => `task:r${(i * ROOMS_PER_CLIENT + j) % roomCount}`);
            const witness = new Witness(balancer.url, i, TRANSPORTS[kind], rooms);
            world.clients.push(witness.client);
            return witness;
        });
        for (let i = 0; i < witnesses.length; i += 20)
            await Promise.all(witnesses.slice(i, i + 20).map((witness) => witness.open()));
        report.say(`${witnesses.length} clients are connected`);

        let over = false;
        const publishing = publish({ world, count: roomCount, rate: Number(values.rate), over: () => over });
        const busy = new Set();
        await inflict({ random, count, pause_ms: [0.2 * pause_ms, 1.8 * pause_ms] }, async () => {
            const kind = random.weighted(KINDS);
            const delay_ms = random.between(0, 2000);
            const stop_ms = random.between(1000, 10000);
            const hard = random.fraction() < 0.5;
            if (kind === 'cut') {
                const i = random.integer(0, witnesses.length);
                report.fault(kind, `client ${i}`);
                witnesses[i].cut();
                return;
            }
            const free = (kind === 'broker restart' ? ['broker'] : gateways.map((_, i) => i)).filter((victim) => !busy.has(victim));
            if (!free.length)
                return;
            const victim = random.pick(free);
            busy.add(victim);
            report.fault(kind, victim === 'broker' ? (hard ? '-9' : 'in good order') : `gateway ${victim}${kind === 'stop' ? ` for ${(stop_ms / 1000).toFixed(1)} s` : ''}`);
            if (kind === 'broker restart')
                await restartBroker(world.broker, { hard, delay_ms });
            else if (kind === 'stop')
                await freeze(gateways[victim], stop_ms);
            else
                await killAndRestart(gateways[victim], delay_ms);
            busy.delete(victim);
        });
        over = true;
        const last = await publishing;
        report.say(`${last.reduce((sum, n) => sum + n, 0)} notifications are published`);

        const behind = () => witnesses.flatMap((witness) => witness.rooms.filter((room) => witness.next.get(room) <= last[Number(room.slice(6))]));
        await eventually(() => behind().length === 0, { timeout: 60000, what: 'all logs to be complete' }).catch(() => {});
        await sleep(2000);
        const sum = (field) => witnesses.reduce((total, witness) => total + witness[field], 0);
        report.say(`${sum('returns')} returns, ${sum('fresh')} of them fresh sessions`);
        report.check('every log reaches its end', behind().length === 0, `${behind().length} of ${witnesses.length * ROOMS_PER_CLIENT} do not`);
        report.check('nothing is lost', sum('lost') === 0, String(sum('lost')));
        report.check('nothing is doubled', sum('doubled') === 0, String(sum('doubled')));
        report.check('nothing comes to the wrong client', sum('alien') === 0, String(sum('alien')));
        report.check('every return is a recovery', sum('fresh') === 0, `${sum('fresh')} of ${sum('returns')} are not`);
        report.check('the faults made clients return', count === 0 || sum('returns') > 0);
    });
}
