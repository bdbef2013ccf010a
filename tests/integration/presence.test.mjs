/* Who is in a room, over three gateways and all transports: who comes and goes, tabs, moves, gateways that are killed or
 * stopped, and a topic that is compacted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { token } from './lib/client.mjs';
import { EventClient, WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, TOPICS, World } from './lib/world.mjs';

const TOPIC = 'smartstack.presence';
const settings = { gateway: { presence: { rooms: ['task'] }, quotas: { user: { connects: 0 } } } };
const bearer = (claims) => token({ tenant: 'acme', ...claims }, SECRET);

/* What a client of any transport knows of a room: `users` now, and all that it was told. */
class View {
    constructor() {
        this.told = [];
        this.users = null;
    }

    take(news) {
        this.told.push(news);
        if (news.users) {
            this.users = new Set(news.users);
        } else {
            assert.ok(this.users, 'changes before a snapshot');
            for (const user of news.joined)
                assert.ok(!this.users.has(user) && this.users.add(user), `${user} joins twice`);
            for (const user of news.left)
                assert.ok(this.users.delete(user), `${user} leaves and was not there`);
        }
        assert.equal(news.count, this.users.size, JSON.stringify(news));
    }

    get names() { return this.users ? [...this.users].sort().join(' ') : 'nothing'; }

    is(...names) { return eventually(() => this.names === names.sort().join(' '), { what: () => `${names} in the room, not ${this.names}` }); }

    /* Whether anybody was told to have left since then. */
    left(from) { return this.told.slice(from).flatMap(({ left }) => left ?? []); }
}

const transports = {
    polling: (...all) => socketio(['polling'], ...all),
    websocket: (...all) => socketio(['websocket'], ...all),
    raw: (...all) => raw('smartstack.v1.json', ...all),
    protobuf: (...all) => raw('smartstack.v1.protobuf', ...all),
    sse,
};

async function socketio(names, world, gateway, claims, room = 'task:1') {
    const client = await world.client(gateway, { claims, options: { transports: names } });
    const view = new View();
    client.socket.on('presence', (news) => { if (news.room === room) view.take(news); });
    assert.deepEqual(await client.ask('subscribe', { room }, { presence: true }), { ok: true });
    return { view, socket: client.socket, close: () => client.disconnect() };
}

async function raw(protocol, world, gateway, claims, room = 'task:1') {
    const client = new WebSocketClient(gateway.url, { protocol, token: bearer(claims) });
    world.clients.push(client);
    const view = new View();
    const take = client.take.bind(client);
    client.take = (message) => {
        take(message);
        if (message.type === 'presence' && message.room === room)
            view.take(plain(message));
    };
    await client.connect();
    assert.equal((await client.ask({ type: 'subscribe', rooms: [room], presence: true })).type, 'ack');
    return { view, client, close: () => client.disconnect() };
}

/* Protobuf leaves empty lists and false out, and has news of two kinds. */
function plain({ snapshot, change, ...message }) {
    if (snapshot)
        return { ...message, users: [], ...snapshot };
    return change ? { ...message, joined: [], left: [], ...change } : message;
}

async function sse(world, gateway, claims, room = 'task:1') {
    const client = new EventClient(gateway.url, { token: bearer(claims), rooms: [room], query: '&presence=1' });
    world.clients.push(client);
    const view = new View();
    client.source.addEventListener('presence', ({ data }) => { if (JSON.parse(data).room === room) view.take(JSON.parse(data)); });
    await client.connect();
    return { view, close: () => client.disconnect() };
}

/* In the room, and it hears of nobody. */
async function sit(world, gateway, claims, room = 'task:1') {
    const client = await world.client(gateway, { claims, rooms: [room], options: { transports: ['websocket'] } });
    return { client, close: () => client.disconnect() };
}

async function open(t, name, more = {}) {
    const world = await World.open(t, name, { topics: { ...TOPICS, [TOPIC]: 1 }, settings, ...more });
    const gateways = await Promise.all(['one', 'two', 'three'].map((gateway) => world.gateway({ name: gateway })));
    for (const gateway of gateways)
        await eventually(async () => await world.metric(gateway, 'smartstack_gateway_presence_workers') === gateways.length,
            { what: `${gateway.name} to hear of the others` });
    return { world, gateways };
}

test('who comes and goes, in every transport, at every gateway', async (t) => {
    const { world, gateways: [one, two, three] } = await open(t, 'presence-transports');
    for (const [name, watch] of Object.entries(transports)) {
        await t.test(name, async () => {
            const room = `task:${name}`;
            const ann = await watch(world, one, { sub: 'ann' }, room);
            await ann.view.is('ann');
            assert.ok(ann.view.told[0].users, 'the first is a snapshot');
            const bob = await watch(world, two, { sub: 'bob' }, room);
            await ann.view.is('ann', 'bob');
            await bob.view.is('ann', 'bob');
            const tab = await watch(world, three, { sub: 'bob' }, room);
            await tab.view.is('ann', 'bob');
            // Of two tabs, one is closed; and then moves to another gateway.
            const told = ann.view.told.length;
            bob.close();
            const moved = await watch(world, one, { sub: 'bob' }, room);
            tab.close();
            await sleep(3500);
            assert.deepEqual(ann.view.left(told), [], 'bob was there all the time');
            await moved.view.is('ann', 'bob');
            moved.close();
            await ann.view.is('ann');
            ann.close();
        });
    }
    await t.test('a reader without a change is told once', async () => {
        const ann = await transports.websocket(world, one, { sub: 'ann' });
        await ann.view.is('ann');
        await sleep(1500);
        assert.equal(ann.view.told.length, 1, JSON.stringify(ann.view.told));
        assert.equal(ann.view.told[0].complete, true);
        ann.close();
    });
});

test('equal names of two tenants are two rooms, and rights decide who hears', async (t) => {
    const { world, gateways: [one, two] } = await open(t, 'presence-tenants');
    const ann = await transports.websocket(world, one, { sub: 'ann' });
    const other = await transports.websocket(world, two, { sub: 'zoe', tenant: 'umbrella' });
    const same = await sit(world, two, { sub: 'ann', tenant: 'umbrella' });
    await ann.view.is('ann');
    await other.view.is('ann', 'zoe');
    same.close();
    await other.view.is('zoe');
    await sleep(1000);
    assert.equal(ann.view.names, 'ann');
    assert.deepEqual(ann.view.left(0), []);

    const { client } = await sit(world, one, { sub: 'dan' });
    assert.equal((await client.ask('subscribe', 'project:1', { presence: true })).error.code, 'no_presence');
    assert.equal((await client.ask('subscribe', 'secret:1', { presence: true })).error.code, 'no_presence');
    // Who leaves the room hears no more of it.
    await ann.view.is('ann', 'dan');
    const told = ann.view.told.length;
    assert.deepEqual(await new Promise((resolve) => ann.socket.emit('unsubscribe', 'task:1', resolve)), { ok: true });
    client.disconnect();
    await sleep(3500);
    assert.equal(ann.view.told.length, told);
});

test('a client that comes back is told anew, without asking', async (t) => {
    const { world, gateways: [one, two] } = await open(t, 'presence-return');
    const ann = await transports.websocket(world, one, { sub: 'ann' });
    const raws = await transports.raw(world, one, { sub: 'rae' });
    await ann.view.is('ann', 'rae');
    await raws.view.is('ann', 'rae');
    const told = [ann.view.told.length, raws.view.told.length];
    ann.socket.io.engine.close();
    raws.client.socket.terminate();
    const bob = await sit(world, two, { sub: 'bob' });
    await ann.view.is('ann', 'bob', 'rae');
    await raws.view.is('ann', 'bob', 'rae');
    assert.ok(ann.socket.recovered && raws.client.welcomes.at(-1).recovered);
    assert.ok(ann.view.told[told[0]].users && raws.view.told[told[1]].users, 'a snapshot first');
    assert.deepEqual(ann.view.left(told[0]), [], 'nobody has left');
    bob.close();
});

test('a gateway that is killed, and one that is stopped', async (t) => {
    const { world, gateways: [one, two, three] } = await open(t, 'presence-faults');
    const ann = await transports.websocket(world, one, { sub: 'ann' });
    const both = [await sit(world, two, { sub: 'bob' }), await sit(world, three, { sub: 'bob' })];
    const cid = await sit(world, two, { sub: 'cid' });
    cid.client.socket.io.reconnection(false); // he is gone with his gateway
    both[0].client.socket.io.reconnection(false);
    await ann.view.is('ann', 'bob', 'cid');

    await t.test('kill -9: right within ten seconds', async () => {
        const began = performance.now();
        await two.kill();
        await ann.view.is('ann', 'bob');
        const took = Math.round(performance.now() - began);
        t.diagnostic(`right ${took} ms after the kill`);
        assert.ok(took < 10000, `${took} ms`);
        assert.deepEqual(ann.view.left(0), ['cid']);
    });

    await t.test('one that starts knows who is there, and of the dead nobody', async () => {
        const four = await world.gateway({ name: 'four' });
        const dan = await transports.websocket(world, four, { sub: 'dan' });
        await dan.view.is('ann', 'bob', 'dan');
        await ann.view.is('ann', 'bob', 'dan');
        assert.ok(dan.view.told.every(({ users = [], joined = [] }) => ![...users, ...joined].includes('cid')), JSON.stringify(dan.view.told));
        dan.close();
        await ann.view.is('ann', 'bob');
    });

    await t.test('SIGSTOP for ten seconds, and going on', async () => {
        three.pause();
        await ann.view.is('ann');
        await sleep(3000);
        three.resume();
        await ann.view.is('ann', 'bob');
    });

    await t.test('one that was stopped itself takes nobody for gone', async () => {
        const told = ann.view.told.length;
        one.pause();
        await sleep(10000);
        one.resume();
        await sleep(4000);
        await ann.view.is('ann', 'bob');
        assert.deepEqual(ann.view.left(told), []);
    });
});

test('a broker that is away makes nobody leave', async (t) => {
    const { world, gateways: [one, two] } = await open(t, 'presence-broker', { broker: 'own' });
    const ann = await transports.websocket(world, one, { sub: 'ann' });
    const bob = await sit(world, two, { sub: 'bob' });
    await ann.view.is('ann', 'bob');
    const told = ann.view.told.length;
    await world.broker.kill();
    await sleep(9000);
    await world.broker.start();
    const cid = await sit(world, two, { sub: 'cid' });
    await ann.view.is('ann', 'bob', 'cid');
    assert.deepEqual(ann.view.left(told), []);
    bob.close();
    cid.close();
});
