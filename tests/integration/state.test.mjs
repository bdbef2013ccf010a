/* State on join, by stock clients on a real broker: a page that joins in the middle of the traffic shows what it would show if it had
 * been there all the time; so does one that is loaded again, with its gateway killed meanwhile. The pages run the
 * code of deploy/docs/state.md. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { decodeNotification, encodeNotification } from './lib/backend.mjs';
import { EVENTS, token } from './lib/client.mjs';
import { SLOW, SOURCE_DIR } from './lib/places.mjs';
import { EventClient, Switch, WebSocketClient } from './lib/streams.mjs';
import { freePort } from './lib/ports.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, taskEvent, World } from './lib/world.mjs';

const ROOM = 'project:1';
const ITEMS = 300;
const BEFORE = 2000;
const number = (notification) => notification.taskStatus.data.n;
const auth = (sub = 'usr_test') => ({ token: token({ sub, tenant: 'acme' }, SECRET) });

/* What the room shows, from what was published: the definition. */
class Publisher {
    constructor(backend) {
        this.backend = backend;
        this.shown = new Map();
        this.n = 0;
    }

    next() {
        const key = `task-${Math.floor(ITEMS * Math.random())}`;
        const removed = Math.random() < 0.3;
        const n = ++this.n;
        this.shown.delete(key);
        if (!removed)
            this.shown.set(key, n);
        return {
            key: 'acme',
            value: encodeNotification({
                id: `n${n}`, time: new Date().toISOString(), rooms: n % 3 ? [ROOM] : [ROOM, 'project:2'], eventId: `e${n}`, item: { key, removed },
                taskStatus: { event: 'task.progress', taskId: key, data: Buffer.from(JSON.stringify({ n, text: 'x'.repeat(400) })) },
            }),
        };
    }

    publish(count) { return this.backend.records(Array.from({ length: count }, () => this.next()), 'fanout.tenant'); }

    async run() {
        for (this.running = true; this.running; await sleep(20))
            await this.publish(5);
    }

    /* The last is about an item of its own: who shows it has had all. */
    async finish() {
        this.running = false;
        await this.done;
        await this.publish(1);
    }
}

/* An item of the protobuf subprotocol as the others have it. */
function stateItem(value) {
    const data = decodeNotification(value);
    data.taskStatus.data = JSON.parse(data.taskStatus.data);
    return { event: 'task.status', data };
}

/* A page's board, whatever the transport. */
class Board {
    rooms = new Map();
    states = [];
    last = 0;

    note({ room, first, items, bytes = JSON.stringify(items).length }) { this.states.push({ room, first, items: items.length, bytes }); }

    state({ room, first, items, bytes }) {
        this.note({ room, first, items, bytes });
        if (first)
            this.rooms.set(room, new Map());
        for (const { event, data } of items) {
            assert.equal(event, 'task.status');
            this.rooms.get(room).set(data.item.key, data);
        }
    }

    live(data) {
        this.last = number(data);
        for (const room of data.item ? data.rooms : [])
            if (data.item.removed)
                this.rooms.get(room)?.delete(data.item.key);
            else
                this.rooms.get(room)?.set(data.item.key, data);
    }

    numbers() { return Object.fromEntries([...this.rooms.get(ROOM) ?? []].map(([key, data]) => [key, number(data)]).sort()); }

    async shows({ shown, n }, what) {
        const expected = Object.fromEntries([...shown].sort());
        await eventually(() => this.last === n && this.rooms.has(ROOM), { timeout: 30000 * SLOW, what: () => `${what} at ${n}, it is at ${this.last}` });
        assert.deepEqual(this.numbers(), expected, what);
    }
}

/* The indented blocks of the document: a page, and what makes it go on after a reload. */
const [PAGE, RELOAD] = fs.readFileSync(path.join(SOURCE_DIR, 'deploy/docs/state.md'), 'utf8').split('\n\n').filter((part) => part.startsWith('    '));

/* A page of a stock client that is as the document says, and keeps itself over a reload. */
class Page {
    board = new Board();
    answers = [];

    constructor(url, storage, sub) {
        const around = {
            io: (to, options) => io(to, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, ...options }),
            url, auth: auth(sub), rooms: [ROOM], sessionStorage: storage, answered: (answer) => this.answers.push(answer),
            addEventListener: (name, listener) => { assert.equal(name, 'pagehide'); this.hide = listener; },
        };
        const connect = 'socket.connect();';
        assert.equal(PAGE.split(connect).length, 2);
        const code = `${PAGE.replace(connect, `${RELOAD}\n${connect}`)}\nreturn { socket, board };`;
        const { socket, board } = new Function(...Object.keys(around), code)(...Object.values(around));
        Object.assign(this, { socket, storage });
        this.board.rooms = board;
        this.board.last = storage.last ?? 0;
        socket.on('state', ({ room, first, items }) => this.board.note({ room, first, items }));
        for (const event of EVENTS)
            socket.on(event, (data) => { this.board.last = number(data); });
        socket.on('connect', () => Object.assign(this, { connected: true, recovered: socket.recovered }));
    }

    leave() {
        this.hide();
        this.storage.last = this.board.last;
        this.socket.disconnect();
    }
}

class Storage {
    kept = {};
    getItem(name) { return this.kept[name] ?? null; }
    setItem(name, text) { this.kept[name] = text; }
    removeItem(name) { delete this.kept[name]; }
}

test('state: what a room shows, then every change', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'state');
    const publisher = new Publisher(await world.backend());
    for (let i = 0; i < BEFORE; i += 100)
        await publisher.publish(100);
    const gateway = await world.gateway(); // whose ring is empty
    const way = await Switch.open(await freePort());
    way.to(gateway);
    publisher.done = publisher.run();

    const page = new Page(gateway.url, new Storage());
    const boards = { socketio: page.board };
    const websockets = {};
    for (const protocol of ['smartstack.v1.json', 'smartstack.v1.protobuf']) {
        const client = websockets[protocol] = new WebSocketClient(gateway.url, { ...auth(), protocol });
        const board = boards[protocol] = new Board();
        const take = client.take.bind(client);
        client.take = (message) => {
            if (message.type === 'state' && message.items)
                board.state(message);
            else if (message.type === 'state')
                board.state({ first: false, ...message, items: message.notifications.map(stateItem), bytes: Buffer.concat(message.notifications).length });
            else if (message.type === 'notification')
                board.live(message.data);
            take(message);
        };
        await client.connect();
        const { state } = await client.ask({ type: 'subscribe', rooms: [ROOM], state: true });
        assert.equal(state.count, board.states.reduce((sum, { items }) => sum + items, 0));
        assert.equal(state.complete, true);
    }
    const sse = new EventClient(way.url, { rooms: [ROOM], ...auth(), query: '&state=1' });
    const board = boards.sse = new Board();
    sse.source.addEventListener('state', ({ data }) => board.state(JSON.parse(data)));
    sse.source.addEventListener('task.status', ({ data }) => board.live(JSON.parse(data)));
    t.after(() => { page.socket.close(); sse.disconnect(); way.close(); Object.values(websockets).forEach((client) => client.disconnect()); });
    await sse.connect();
    await eventually(() => page.answers.length, { what: 'an answer' });
    const { ok, state } = page.answers[0];
    assert.ok(ok && state.complete && state.count === page.board.states.reduce((sum, { items }) => sum + items, 0), JSON.stringify(page.answers));
    const [session] = sse.sessions;
    assert.ok(session.state.complete && session.state.count === board.states.reduce((sum, { items }) => sum + items, 0), JSON.stringify(session));
    assert.equal((await page.socket.emitWithAck('subscribe', ROOM, { state: true, last: 1 })).error.code, 'bad_state');

    const states = board.states.length; // an EventSource asks by its URL each time, and has it
    way.close();
    const again = await Switch.open(Number(new URL(way.url).port));
    t.after(() => again.close());
    again.to(gateway);
    await eventually(() => sse.sessions.length === 2, { timeout: 30000 * SLOW, what: 'the EventSource to return' });
    assert.deepEqual([sse.sessions[1].recovered, sse.sessions[1].state, board.states.length], [true, undefined, states]);

    await publisher.finish();
    for (const [name, each] of Object.entries(boards)) {
        await each.shows(publisher, name);
        assert.ok(each.states.length > 1, `${name}: more than one chunk`);
        each.states.forEach(({ room, first, bytes }, index) => assert.ok(room === ROOM && first === (index === 0) && bytes < 17000, `${name}: chunk ${index} of ${bytes}`));
    }
    assert.ok(await world.metric(gateway, 'smartstack_gateway_states_total') === 4);
    assert.ok(await world.metric(gateway, 'smartstack_gateway_state_items_total') > 400);
});

test('state: a page that is loaded again goes on, also when its gateway is killed', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'state_reload', { settings: { gateway: { recovery: { keys: 'a-secret-of-the-cursors-0123456789abcdef' } } } });
    const publisher = new Publisher(await world.backend());
    await publisher.publish(100);
    let gateway = await world.gateway({ name: 'gateway-0' });
    const storage = new Storage();
    let page = new Page(gateway.url, storage);
    t.after(() => page.socket.close());
    await eventually(() => page.answers.length, { what: 'an answer' });
    publisher.done = publisher.run();
    for (let i = 1; i <= 4; i++) {
        await sleep(200);
        page.leave();
        const killed = i % 2 === 0;
        if (killed) {
            await gateway.kill();
            gateway = await world.gateway({ name: `gateway-${i}` });
        }
        page = new Page(gateway.url, storage);
        await eventually(() => page.connected, { timeout: 30000 * SLOW, what: 'the page to be back' });
        assert.deepEqual([page.recovered, page.answers, page.board.states], [true, [], []], `reload ${i}`);
    }
    await publisher.finish();
    await page.board.shows(publisher, 'after reloads');

    page.leave(); // another user at the same browser: nothing is resumed, and nothing stays
    page = new Page(gateway.url, storage, 'usr_other');
    await eventually(() => page.answers.length, { timeout: 30000 * SLOW, what: 'an answer' });
    assert.equal(page.recovered, false);
    assert.equal(page.board.states[0].first, true);
    assert.deepEqual(page.board.numbers(), Object.fromEntries([...publisher.shown].sort()));
});

const RULES = `rules:
  - name: show
    when: {"event": ["task.progress"]}
    notify: {type: task.status, rooms: ["project:{projectId}"], state: "{taskId}"}
  - name: over
    when: {"event": ["task.completed"]}
    notify: {type: task.status, rooms: ["project:{projectId}"], state: {item: "{taskId}", remove: true}}
`;

test('state: from a rule to the page', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'state_rules', { rules: RULES });
    await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const tell = (...events) => backend.events(events.map((event) => taskEvent({ projectId: '1', ...event })));
    const page = new Page(gateway.url, new Storage());
    t.after(() => page.socket.close());
    await eventually(() => page.answers.length, { what: 'an answer' });
    assert.deepEqual([page.board.states.length, page.board.numbers()], [1, {}], 'nothing is shown');

    await tell({ taskId: 'a', n: 1 }, { taskId: 'b', n: 2 }, { taskId: 'c', n: 3 });
    await eventually(() => page.board.rooms.get(ROOM).size === 3, { what: 'three tasks' });
    await tell({ taskId: 'b', n: 4, event: 'task.completed' }, { taskId: 'c', n: 5 });
    await eventually(() => page.board.numbers().c === 5 && !page.board.rooms.get(ROOM).has('b'), { what: () => `two, ${JSON.stringify(page.board.numbers())}` });

    const later = new Page((await world.gateway({ name: 'gateway-1' })).url, new Storage());
    t.after(() => later.socket.close());
    await eventually(() => later.answers.length, { what: 'an answer' });
    assert.deepEqual(later.answers[0], { ok: true, state: { count: 2, complete: true, since: 0 } });
    assert.deepEqual(later.board.numbers(), { a: 1, c: 5 });
    await tell({ taskId: 'a', n: 6, event: 'task.completed' });
    await eventually(() => [page, later].every(({ board }) => board.rooms.get(ROOM).size === 1), { what: 'one to be left' });
});
