/* A fresh token takes rooms, gives rooms, or both: in every transport, before, while and after the session goes to another gateway, behind
 * plain round robin. What a client is told and given is one log, and is held to what its tokens say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventSource } from 'eventsource';
import { token } from './lib/client.mjs';
import { SLOW } from './lib/places.mjs';
import { RoundRobin } from './lib/round_robin.mjs';
import { WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, World } from './lib/world.mjs';

const RULES = `rules:
  - name: project
    when: {"event": [{"prefix": "task."}]}
    notify: {type: task.status, rooms: ["project:{projectId}"]}
`;
const PROJECTS = ['kept', 'first', 'second'];
const BEFORE = ['kept', 'first'];
const AFTER = { down: ['kept'], up: ['kept', 'first', 'second'], sideways: ['kept', 'second'] };

const roomsOf = (projects) => projects.map((project) => `project:${project}`).sort();
const bearer = (sub, projects) => token({ sub, tenant: 'acme', projects }, SECRET);

const nameIn = (request) => new URL(request.url, 'http://here').searchParams.get('client');

/* Upgrades of a client that is named wait until they are let through; its last answer may be cut off. */
class Balancer extends RoundRobin {
    constructor(gateways) {
        super(gateways);
        this.held = new Map(); // name: what waits
        this.responses = new Map();
    }

    pass(request, response) {
        this.responses.set(nameIn(request), response);
        super.pass(request, response);
    }

    cut(name) { this.responses.get(name).destroy(); }

    hold(name) { this.held.set(name, []); }

    release(name) {
        const waiting = this.held.get(name) ?? [];
        this.held.delete(name);
        waiting.forEach((relay) => relay());
    }

    relay(request, ...rest) {
        const waiting = this.held.get(nameIn(request));
        if (waiting)
            waiting.push(() => super.relay(request, ...rest));
        else
            super.relay(request, ...rest);
    }
}

/* Of Socket.IO: long-polling, whose requests go to every gateway; WebSocket; and from one to the other. */
async function socketio(world, balancer, name, transports) {
    const log = [];
    const client = await world.client(balancer, { claims: { sub: name, projects: BEFORE }, options: { transports, query: { client: name } }, connect: false });
    client.keep = false;
    client.listeners.add(({ notification }) => log.push({ room: notification.rooms[0], n: notification.taskStatus.data.n }));
    client.socket.on('subscribed', ({ room }) => log.push({ room, told: true }));
    client.socket.on('unsubscribed', ({ room, reason }) => log.push({ room, told: false, reason }));
    let connects = 0;
    client.socket.on('connect', () => connects++);
    await client.connect();
    return {
        log,
        get connects() { return connects; },
        get transport() { return client.transport; },
        refresh: async (projects) => assert.equal((await client.ask('token', bearer(name, projects))).ok, true),
        send: (projects) => client.socket.emit('token', bearer(name, projects)),
        async move(projects) {
            const before = connects;
            client.socket.auth = { ...client.socket.auth, token: bearer(name, projects) };
            client.socket.io.engine.close();
            await eventually(() => connects > before && client.socket.recovered, { what: `the return of ${name}` });
        },
    };
}

async function raw(world, balancer, name, protocol) {
    const client = new WebSocketClient(balancer.url, { protocol, token: bearer(name, BEFORE) });
    const log = [];
    const take = client.take.bind(client);
    client.take = (message) => {
        take(message);
        if (message.type === 'notification')
            log.push({ room: message.data.rooms[0], n: message.data.taskStatus.data.n });
        else if (/subscribed$/.test(message.type))
            log.push({ room: message.room, told: message.type === 'subscribed', reason: message.reason });
    };
    world.clients.push(client);
    await client.connect();
    return {
        log,
        refresh: async (projects) => assert.equal((await client.ask({ type: 'token', token: bearer(name, projects) })).type, 'ack'),
        send: (projects) => client.send({ type: 'token', token: bearer(name, projects), id: ++client.lastId }),
        async move(projects) {
            const before = client.welcomes.length;
            client.token = bearer(name, projects);
            client.socket.terminate();
            await eventually(() => client.welcomes.length > before, { what: `the return of ${name}` });
            assert.equal(client.welcomes.at(-1).recovered, true);
        },
    };
}

/* The stock EventSource has no message to the server: a token counts from the next return on. */
async function events(world, balancer, name) {
    const log = [];
    let current = bearer(name, BEFORE), requests = 0, opened = 0;
    const source = new EventSource(`${balancer.url}/sse?client=${name}`, {
        fetch(input, init) {
            requests++;
            return fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${current}` } });
        },
    });
    world.clients.push({ disconnect: () => source.close() });
    source.addEventListener('task.status', ({ data }) => {
        const { rooms, taskStatus } = JSON.parse(data);
        log.push({ room: rooms[0], n: taskStatus.data.n });
    });
    for (const kind of ['subscribed', 'unsubscribed'])
        source.addEventListener(kind, ({ data }) => log.push({ ...JSON.parse(data), told: kind === 'subscribed' }));
    source.addEventListener('session', () => opened++);
    await eventually(() => opened, { what: `a session of ${name}` });
    return {
        log,
        async move(projects) {
            const before = requests;
            current = bearer(name, projects);
            balancer.cut(name);
            await eventually(() => requests > before, { what: `the return of ${name}` });
            assert.equal(opened, 1, 'it goes on with its session');
        },
    };
}

const kinds = {
    upgrade: (world, balancer, name) => socketio(world, balancer, name, ['polling', 'websocket']),
    polling: (world, balancer, name) => socketio(world, balancer, name, ['polling']),
    websocket: (world, balancer, name) => socketio(world, balancer, name, ['websocket']),
    json: (world, balancer, name) => raw(world, balancer, name, 'smartstack.v1.json'),
    protobuf: (world, balancer, name) => raw(world, balancer, name, 'smartstack.v1.protobuf'),
    events,
};

/* The session goes to another gateway in the middle of its stream, when its upgrade comes there; or the client returns there. */
const times = {
    upgrade: {
        async before(client, projects, balancer, name) {
            await client.refresh(projects);
            assert.equal(client.transport, 'polling');
            balancer.release(name);
        },
        async during(client, projects, balancer, name) {
            balancer.release(name);
            await client.refresh(projects);
        },
        async after(client, projects, balancer, name) {
            balancer.release(name);
            await eventually(() => client.transport === 'websocket', { what: `the upgrade of ${name}` });
            await client.refresh(projects);
        },
    },
    others: {
        async before(client, projects) {
            await client.refresh(projects);
            await client.move(projects);
        },
        async during(client, projects) {
            client.send(projects);
            await client.move(projects);
        },
        async after(client, projects) {
            await client.move(BEFORE);
            await client.refresh(projects);
        },
    },
    events: { during: (client, projects) => client.move(projects) },
};

/* Every room is told once when it is given or lost, nothing of a room comes unless the client is in it, and while it is, in order and whole. */
function assertLog(log, name, projects) {
    const inside = new Set(roomsOf(BEFORE));
    const last = new Map();
    for (const { room, n, told, reason } of log) {
        if (told !== undefined) {
            assert.equal(inside.has(room), !told, `${name} is told twice of ${room}`);
            assert.ok(told || reason === 'not_allowed', `${name}: ${reason}`);
            inside[told ? 'add' : 'delete'](room);
            last.delete(room);
            continue;
        }
        assert.ok(inside.has(room), `${name} was given ${n} of ${room}, which it is not in`);
        assert.equal(n, last.has(room) ? last.get(room) + 1 : n, `${name}: a hole or a double in ${room}`);
        last.set(room, n);
    }
    assert.deepEqual([...inside].sort(), roomsOf(projects), `${name}: its rooms are not those of its token`);
}

test('refresh: down, up and sideways; before, during and after another gateway', { timeout: 400000 * SLOW }, async (t) => {
    const settings = { gateway: { workers: 2, access: { connect: ['user:{sub}', 'project:{projects}'], join: [] } } };
    const world = await World.open(t, 'refresh', { rules: RULES, settings });
    await world.dispatcher();
    const gateways = [];
    for (let i = 0; i < 3; i++)
        gateways.push(await world.gateway({ name: `gateway-${i}` }));
    const balancer = await new Balancer(gateways).start();
    t.after(() => balancer.stop());
    const backend = await world.backend();
    let n = 0, over = false;
    const published = (async () => {
        for (; !over; await sleep(40)) {
            n++;
            await backend.events(PROJECTS.map((projectId) => ({ id: `${projectId}-${n}`, event: 'task.progress', time: new Date().toISOString(), tenantId: 'acme',
                userId: 'u', taskId: projectId, projectId, type: 'x', data: { n } })));
        }
    })();
    try {
        for (const kind of Object.keys(kinds)) {
            await t.test(kind, async () => {
                const table = Object.entries(times[kind] ?? times.others).flatMap(([time, run]) =>
                    Object.entries(AFTER).map(([way, projects]) => ({ name: `${kind}-${time}-${way}`, run, projects })));
                await Promise.all(table.map(async ({ name, run, projects }) => {
                    if (kind === 'upgrade')
                        balancer.hold(name);
                    const client = await kinds[kind](world, balancer, name);
                    await eventually(() => client.log.filter((entry) => entry.n).length >= 4, { what: `the first events of ${name}` });
                    await run(client, projects, balancer, name);
                    const now = n;
                    const reached = () => projects.filter((project) => client.log.some((entry) => entry.room === `project:${project}` && entry.n > now + 5));
                    await eventually(() => reached().length === projects.length, { timeout: 20000 * SLOW, what: () => `${name}: events of ${projects}, not only of ${reached()}` });
                    if (kind === 'upgrade') {
                        await eventually(() => client.transport === 'websocket', { what: `the upgrade of ${name}` });
                        assert.equal(client.connects, 1, `${name} never came back`);
                    }
                    assertLog(client.log, name, projects);
                }));
            });
        }
    } finally {
        over = true;
        await published;
    }
    assert.ok((await Promise.all(gateways.map((gateway) => world.metric(gateway, 'smartstack_gateway_takeovers_total')))).reduce((a, b) => a + b) > 2, 'sessions moved');
});
