/* A gateway with thousands of clients is killed, and all come back at another one that has read nothing of their lane, while
 * a backlog is written that none has seen: soon, with what they missed, for the price of one reading of the backlog, and
 * without harm to the clients that the other gateway has already. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from '../../integration/lib/client.mjs';
import { eventually } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { hears, hearsState, laneOf, LOAD_SETTINGS, receivedFromBroker, startLoad, takeLatencies } from '../lib/load.mjs';

export const description = 'a gateway with 10,000 clients is killed: all recover on a second one, for one reading of the backlog';
export const faults = 1;
export const options = {
    clients: { default: 9900, help: 'lean clients' },
    stock: { default: 100, help: 'stock clients among them' },
    rooms: { default: 5000, help: 'rooms; each client is in two' },
    rate: { default: 500, help: 'notifications per second' },
    backlog: { default: 20000, help: 'notifications at once when the gateway is dead' },
    size: { default: 512, help: 'bytes of one' },
    before: { default: 10, help: 'seconds before the kill' },
    pace: { default: 2500, help: 'connections that a gateway accepts in a second; 0: as many as come' },
    within: { default: 10, help: 'seconds in which all must have recovered' },
};

const TENANT = 'bench';
const OWN = { clients: 100, rooms: 10, rate: 50, messages: 1000000 };

/* A stock client in one of the rooms, which comes back at another address. */
class Stock {
    constructor(world, from, to, i, room) {
        Object.assign(this, { room, last: 0, lost: 0, doubled: 0, returns: 0, fresh: 0 });
        this.client = new Client(from, {
            auth: { tenant: TENANT, sub: `stock-${i}` },
            options: { transports: ['websocket'], reconnectionDelay: 1000, reconnectionDelayMax: 5000 }, // the client's own defaults
        });
        world.clients.push(this.client);
        this.client.keep = false;
        this.client.listeners.add(({ notification }) => this.#take(Number(notification.taskStatus.data.b.split(':')[1])));
        this.client.socket.on('disconnect', () => { this.client.socket.io.uri = to; });
    }

    #take(n) {
        this.doubled += n <= this.last;
        this.lost += Math.max(0, n - this.last - 1);
        this.last = Math.max(n, this.last);
    }

    async open() {
        await this.client.connect(60000);
        await this.client.subscribe(`task:bench-${this.room}`);
        this.client.socket.on('connect', () => {
            this.returns++;
            this.fresh += !this.client.socket.recovered;
        });
    }
}

/* Records of the lane in [from, end): their number and the bytes of their values, by kcat. */
function held(broker, { topic, partition }, from, end) {
    const text = execFileSync('kcat', ['-C', '-b', broker.address, '-t', topic, '-p', String(partition), '-o', String(from), '-e', '-q', '-f', '%o %S\n'],
        { encoding: 'utf8', maxBuffer: 1 << 28 });
    const sizes = text.trim().split('\n').map((line) => line.split(' ').map(Number)).filter(([offset]) => offset < end);
    return { records: sizes.length, bytes: sizes.reduce((sum, [, size]) => sum + size, 0) };
}

/* Bytes of the lane's log, as the broker keeps it. */
function logBytes(world, { topic, partition }) {
    const text = execFileSync('find', [world.data, '-path', `*/${topic}-${partition}/*.log`, '-printf', '%s\n'], { encoding: 'utf8' });
    return text.trim().split('\n').reduce((sum, size) => sum + Number(size), 0);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

async function fetched(world, gateway) {
    return {
        scanned: await world.metric(gateway, 'smartstack_gateway_scan_bytes_total'),
        live: await world.metric(gateway, 'smartstack_gateway_kafka_record_bytes_total'),
        wire: receivedFromBroker(gateway, world.broker),
    };
}

function checkStock(report, stock, produced, rooms) {
    const complete = ({ room, last }) => last === Math.floor(produced / rooms) + (room < produced % rooms);
    const sum = (field) => stock.reduce((total, one) => total + one[field], 0);
    report.check('all stock clients return once', stock.every(({ returns }) => returns === 1), `${sum('returns')} of ${stock.length}`);
    report.check('stock clients: every return is a recovery', sum('fresh') === 0, String(sum('fresh')));
    report.check('stock clients: nothing is lost, doubled or out of order', sum('lost') + sum('doubled') === 0 && stock.every(complete),
        `${sum('lost')} lost, ${sum('doubled')} doubled, ${stock.filter((one) => !complete(one)).length} incomplete`);
}

function checkFetched(report, world, lane, before, after, { oldest, end }) {
    const backlog = held(world.broker, lane, oldest, end);
    const share = logBytes(world, lane) * backlog.records / held(world.broker, lane, 0, end).records;
    const scanned = after.scanned - before.scanned, live = after.live - before.live, wire = after.wire - before.wire;
    report.say(`backlog from the oldest cursor: ${backlog.records} records, ${backlog.bytes} bytes of values, about ${Math.round(share)} of log; `
        + `read back ${scanned}, read live ${live} (values, own clients included), ${wire} received from the broker`);
    report.check('bytes fetched are at most 1.2 times the backlog', scanned + live <= 1.2 * backlog.bytes, percent((scanned + live) / backlog.bytes));
    report.check('so says the kernel: bytes received, against the log', wire <= 1.2 * share, percent(wire / share));
}

export async function run({ report, values }) {
    const number = (name) => Number(values[name]);
    const lane = laneOf(TENANT);
    const own = ['own-a', 'own-b', 'own-c', 'own-d'].find((tenant) => laneOf(tenant).partition !== lane.partition);
    const settings = { gateway: { ...LOAD_SETTINGS.gateway, http: { accepts_per_second: number('pace') } } };
    const brokerEnvironment = { KAFKA_FULL_JIT: '1', KAFKA_HEAP_MB: '1024' };
    await World.use('chaos-storm', { settings, brokerEnvironment }, async (world) => {
        const first = await world.gateway({ name: 'gateway-first' });
        const second = await world.gateway({ name: 'gateway-second' });
        const fast = startLoad(world, 'own', { gateway: second, nice: -10, ...OWN, tenant: own, 'room-prefix': 'task:own-', auth: `{"tenant":"${own}","sub":"user-%u"}` });
        const storm = startLoad(world, 'storm', {
            gateway: first, standby: second, nice: 10, clients: number('clients'), rooms: number('rooms'), 'rooms-each': 2, tenant: TENANT, rate: number('rate'),
            size: number('size'), before: number('before'), backlog: number('backlog'),
        });
        await hearsState(storm, 'ready', 240000);
        os.setPriority(10); // it has the stock clients
        const stock = Array.from({ length: number('stock') }, (_, i) => new Stock(world, first.url, second.url, i, i * 7 % number('rooms')));
        for (let i = 0; i < stock.length; i += 20)
            await Promise.all(stock.slice(i, i + 20).map((one) => one.open()));
        report.say(`${number('clients') + stock.length} clients are connected`);
        const start = await fetched(world, second);
        await takeLatencies(fast);
        storm.signal('SIGUSR1');
        await hearsState(storm, 'killed', 1000 * number('before') + 30000);
        report.fault('kill -9', first.name);
        const quiet = await takeLatencies(fast);
        await hearsState(storm, 'recovered', 300000);
        const meanwhile = await takeLatencies(fast);
        const result = await hears(storm, ({ oldest }) => oldest !== undefined, 60000, 'what the storm found');
        await eventually(() => stock.every(({ returns }) => returns), { timeout: 30000, what: 'stock clients' }).catch(() => {});
        const end = await fetched(world, second);
        fs.writeFileSync(path.join(world.logs, 'metrics.txt'), await (await fetch(`${second.operations}/metrics`)).text());
        report.say(JSON.stringify(result));
        report.check('all recover in time', result.recovered_s <= number('within') && result.recovered === result.clients,
            `${result.recovered} of ${result.clients} in ${result.recovered_s} s, connected after ${result.connected_s} s`);
        report.check('no session is fresh', result.fresh === 0, String(result.fresh));
        report.check('nothing is lost, doubled or out of order', result.lost + result.doubled + result.wrong_room === 0 && result.deliveries === result.expected,
            `${result.lost} lost, ${result.doubled} doubled, ${result.deliveries} of ${result.expected} deliveries`);
        checkStock(report, stock, result.produced, number('rooms'));
        report.say(`${await world.metric(second, 'smartstack_gateway_scans_total')} scans, the loop was late ${await world.metric(second, 'smartstack_gateway_loop_gaps_total')} times`);
        checkFetched(report, world, lane, start, end, result);
        report.check('live delivery to its own clients: p99 at most doubled', meanwhile.p99_ms <= 2 * quiet.p99_ms,
            `${quiet.p99_ms} ms before (${quiet.count}), ${meanwhile.p99_ms} ms meanwhile (${meanwhile.count})`);
    });
}
