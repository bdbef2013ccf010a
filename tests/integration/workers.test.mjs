/* One gateway of several worker processes on one port: clients and operators see one gateway. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { test } from 'node:test';
import { assertConsecutive } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const WORKERS = 4;
const TASKS = Array.from({ length: 40 }, (_, i) => `task-${i}`);
const alone = { gateway: { workers: WORKERS, peers: undefined } };

async function withWorkers(t, name, settings, run) {
    const world = await World.open(t, name);
    await world.dispatcher();
    const gateway = await world.gateway({ settings });
    await eventually(async () => await figure(gateway, 'workers') === WORKERS, { timeout: 20000 * SLOW, what: 'all workers' });
    await run({ world, gateway, backend: await world.backend() });
}

const workersOf = (program) => fs.readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8').trim().split(' ').map(Number);

/* On a connection of its own, so that any worker may answer. */
const get = (gateway, path) => new Promise((resolve, reject) => {
    http.get(`${gateway.operations}${path}`, { agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve({ code: response.statusCode, text }));
    }).on('error', reject);
});

async function figure(gateway, name) {
    const { text } = await get(gateway, '/metrics');
    const at = text.split('\n').filter((line) => line.startsWith(`smartstack_gateway_${name} `));
    assert.equal(at.length, 1, name);
    return Number(at[0].split(' ').at(-1));
}

/* As many askers as it takes to meet every worker: each tells the others once a second. */
function eventuallyAll(gateway, name, expected) {
    let figures;
    return eventually(async () => {
        figures = await Promise.all(Array.from({ length: 6 * WORKERS }, () => figure(gateway, name)));
        return figures.every((value) => value === expected);
    }, { interval: 250, what: () => `${name} ${expected} from all: ${figures}` });
}

async function connectAll(world, gateway, options = {}) {
    const clients = await Promise.all(TASKS.map((taskId) => world.client(gateway, { rooms: [`task:${taskId}`], options })));
    clients.forEach((client) => {
        client.connects = [];
        client.socket.on('connect', () => client.connects.push(client.socket.recovered));
    });
    return clients;
}

async function publish(backend, first, last, pause = 20) {
    for (let n = first; n <= last; n++) {
        await backend.events(TASKS.map((taskId) => taskEvent({ taskId, n })));
        await sleep(pause);
    }
}

async function expectAll(clients, last) {
    const received = () => clients.reduce((sum, client) => sum + client.received.length, 0);
    await eventually(() => received() >= TASKS.length * last, { timeout: 60000 * SLOW, what: () => `all events, ${received()} came` });
    await sleep(500);
    clients.forEach((client, i) => assertConsecutive(client.received,
        { last, number: ({ notification }) => notification.taskStatus.data.n, what: TASKS[i] }));
}

test('default transports on one port; whoever is asked counts for all', { timeout: 180000 * SLOW }, (t) => withWorkers(t, 'workers', alone,
    async ({ world, gateway, backend }) => {
        const clients = await connectAll(world, gateway);
        await publish(backend, 1, 30);
        await eventually(() => clients.every(({ transport }) => transport === 'websocket'), { timeout: 20000 * SLOW, what: 'all upgrades' });
        await expectAll(clients, 30);
        assert.ok(clients.every(({ connects }) => connects.length === 0), 'nobody came back');
        for (const [name, expected] of [['sessions', TASKS.length], ['engineio_sessions{transport="websocket"}', TASKS.length],
            ['engineio_sessions{transport="polling"}', 0], ['deliveries_total', TASKS.length * 30], ['workers', WORKERS],
            ['kafka_up', 1], ['takeovers_total{outcome="failed"}', 0]])
            await eventuallyAll(gateway, name, expected);
        await eventually(async () => await figure(gateway, 'takeovers_total{outcome="done"}') > TASKS.length / 4, { what: 'sessions that moved' });
        for (const path of ['/livez', '/readyz'])
            assert.match((await get(gateway, path)).text, /"workers":\{"status":"ok","detail":"4 of 4"\}/);
    }));

test('long-polling alone', { timeout: 180000 * SLOW }, (t) => withWorkers(t, 'workers-polling', alone,
    async ({ world, gateway, backend }) => {
        const clients = await connectAll(world, gateway, { transports: ['polling'] });
        await publish(backend, 1, 20);
        await expectAll(clients, 20);
        assert.ok(clients.every(({ connects }) => connects.length === 0), 'nobody came back');
        await eventually(async () => await figure(gateway, 'forwards_total{outcome="passed_on"}') > TASKS.length, { what: 'polls that were passed on' });
        assert.equal(await figure(gateway, 'forwards_total{outcome="failed"}'), 0);
    }));

test('a worker that is killed: its clients go on elsewhere, and it comes back', { timeout: 180000 * SLOW }, (t) => withWorkers(t, 'workers-kill', alone,
    async ({ world, gateway, backend }) => {
        const clients = await connectAll(world, gateway);
        const published = publish(backend, 1, 150);
        for (let i = 0; i < 2; i++) {
            await sleep(1200);
            const before = await figure(gateway, 'deliveries_total');
            process.kill(workersOf(gateway)[i], 'SIGKILL');
            let after; // a connection that the dying one still holds is reset
            await eventually(async () => (after = await figure(gateway, 'deliveries_total').catch(() => undefined)) !== undefined);
            assert.ok(after >= before, 'a sum does not fall');
        }
        await published;
        await expectAll(clients, 150);
        assert.ok(clients.some(({ connects }) => connects.length > 0), 'some came back');
        assert.ok(clients.every(({ connects }) => connects.every(Boolean)), 'all of them recovered');
        await eventually(async () => await figure(gateway, 'workers') === WORKERS, { timeout: 20000 * SLOW, what: 'all workers again' });
        await eventuallyAll(gateway, 'worker_starts_total', WORKERS + 2);
        await eventuallyAll(gateway, 'sessions', TASKS.length);
        assert.match(gateway.text(), /a worker died, it is started again.*signal=9/);
    }));

test('a worker that hangs is seen', { timeout: 120000 * SLOW }, (t) => withWorkers(t, 'workers-hang', alone,
    async ({ gateway }) => {
        const [hanging] = workersOf(gateway);
        process.kill(hanging, 'SIGSTOP');
        const ask = (path) => Promise.race([get(gateway, path), sleep(500).then(() => null)]); // some connections are its own
        try {
            await eventually(async () => (await ask('/livez'))?.code === 503, { what: '/livez tells' });
            assert.ok((await Promise.all(Array.from({ length: 12 }, () => ask('/readyz')))).every((answer) => !answer || answer.code === 503));
        } finally {
            process.kill(hanging, 'SIGCONT');
        }
        await eventually(async () => (await ask('/livez'))?.code === 200, { timeout: 20000 * SLOW, what: 'all is well again' });
    }));

test('SIGTERM sends clients away at one pace for all, and all end', { timeout: 120000 * SLOW }, (t) => withWorkers(t, 'workers-drain',
    { gateway: { ...alone.gateway, drain: { grace: '200ms', per_second: 20 }, shutdown_timeout: '20s' } },
    async ({ world, gateway }) => {
        const clients = await connectAll(world, gateway, { reconnection: false });
        const gone = [];
        clients.forEach(({ socket }) => socket.on('disconnect', () => gone.push(performance.now())));
        const workers = workersOf(gateway);
        const began = performance.now();
        gateway.signal('SIGTERM');
        process.kill(workers[0], 'SIGTERM'); // as systemd does: to every process
        assert.deepEqual(await gateway.waitEnd(25000 * SLOW), { code: 0, signal: null }, gateway.tail());
        await eventually(() => gone.length === TASKS.length, { what: () => `all told, ${gone.length} were` });
        /* One of the workers has a quarter of them or more, and a quarter of the pace. */
        const took = gone.at(-1) - began;
        assert.ok(took > 1000 * (TASKS.length - WORKERS) / 20, `${TASKS.length} clients in ${took} ms, at 20 a second`);
        assert.ok(workers.every((pid) => !fs.existsSync(`/proc/${pid}`)), 'all have ended');
    }));

test('the supervisor dies: no worker stays', { timeout: 120000 * SLOW }, (t) => withWorkers(t, 'workers-orphans', alone,
    async ({ gateway }) => {
        const workers = workersOf(gateway);
        assert.equal(workers.length, WORKERS);
        await gateway.kill();
        const isGone = (pid) => !fs.existsSync(`/proc/${pid}`) || / [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
        await eventually(() => workers.every(isGone), { what: 'all have ended' });
    }));

test('what no worker can start with ends the gateway', { timeout: 60000 * SLOW }, async (t) => {
    const world = await World.open(t, 'workers-refused', { broker: 'none' });
    const first = await world.gateway({ ready: false, settings: alone });
    await eventually(async () => (await get(first, '/livez')).code === 200, { timeout: 20000 * SLOW, what: 'it is there' });
    const expectRefusal = async (name, settings, message) => {
        const program = await world.gateway({ name, ready: false, settings });
        assert.deepEqual(await program.waitEnd(20000 * SLOW), { code: 1, signal: null });
        assert.match(program.text(), message);
        assert.doesNotMatch(program.text(), /started again/);
    };
    const port = Number(new URL(first.url).port);
    await expectRefusal('second', { gateway: { ...alone.gateway, http: { port } } }, /cannot listen.*Address already in use/);
    await expectRefusal('page', { gateway: { ...alone.gateway, http: { static_directory: '/nowhere' } } }, /static_directory: \/nowhere: No such file/);
});
