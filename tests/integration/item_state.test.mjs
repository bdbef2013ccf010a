/* State topics: what a room shows by its lane it shows by the state of its lane, whatever befalls the dispatchers. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { decodeNotification } from './lib/backend.mjs';
import { token } from './lib/client.mjs';
import { PROGRAMS, SLOW } from './lib/places.mjs';
import { WebSocketClient } from './lib/streams.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { SECRET, taskEvent, World } from './lib/world.mjs';

const RULES = `rules:
  - name: show
    when: {"event": ["task.progress", "task.moved"]}
    notify: {rooms: ["task:{taskId}", "project:{projectId}"], state: "{taskId}"}
  - name: passing
    when: {"event": [{"prefix": "task."}]}
    rooms: ["tenant:{tenantId}"]
  - name: own
    when: {"event": ["task.assigned"]}
    notify: {rooms: ["project:{projectId}", "user:{userId}"], state: {item: "{taskId}"}}
  - name: over
    when: {"event": ["task.completed"]}
    notify: {rooms: ["task:{taskId}", "project:{projectId}"], state: {item: "{taskId}", remove: true}}
`;

/* By room and item the number of the last event that tells of it; what is removed stands there as such. */
function fold(records) {
    const state = new Map();
    for (const { value } of records) {
        const { item, rooms, taskStatus } = decodeNotification(value);
        for (const room of item ? rooms : [])
            state.set(`${taskStatus.tenantId} ${room} ${item.key}`, `${JSON.parse(taskStatus.data).n}${item.removed ? ' removed' : ''}`);
    }
    return new Map([...state].sort());
}
const read = async (world, topic) => fold(await world.broker.read(topic));
const number = (text) => Number(text.split(' ')[0]);

/* Events of tasks of two tenants, each task in the order of its numbers. */
class Tasks {
    n = 0;
    random = 12345;

    pick(list) {
        this.random = (this.random * 1103515245 + 12345) % 2147483648;
        return list[Math.floor(this.random / 65536) % list.length];
    }
    next() {
        this.n++;
        const taskId = `task-${this.pick([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])}`;
        return taskEvent({
            taskId, n: this.n, event: this.pick(['task.progress', 'task.progress', 'task.progress', 'task.moved', 'task.assigned', 'task.completed']),
            projectId: this.pick(['p1', 'p2']), tenantId: this.pick(['acme', 'globex']),
        });
    }
    batch(count) { return Array.from({ length: count }, () => this.next()); }
}

async function configOf(world, topic) {
    const { resources } = await world.broker.admin((admin) => admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] }));
    return Object.fromEntries(resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]));
}

test('state topics are made for what rules tell of items', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'item_state_topics', {
        topics: { 'tasks.events': 4 }, rules: RULES, settings: { state: { retention: '2d' }, rooms: { news: { topic: 'fanout.news', shared: true } } },
    });
    const dispatcher = await world.dispatcher();
    const made = (await world.broker.topics()).filter((name) => name.startsWith('fanout.')).sort();
    assert.deepEqual(made, ['fanout.news', 'fanout.review.legal', 'fanout.tenant', 'fanout.tenant.state']);
    const settings = await configOf(world, 'fanout.tenant.state');
    for (const [name, value] of Object.entries({
        'cleanup.policy': 'compact,delete', 'segment.bytes': '16777216', 'segment.ms': '600000', 'min.cleanable.dirty.ratio': '0.1',
        'max.compaction.lag.ms': '86400000', 'retention.ms': String(4 * 86400000),
    }))
        assert.equal(settings[name], value, name);
    assert.equal((await world.broker.ends('fanout.tenant.state')).length, 8);
    const config = world.writeConfiguration('checked', { dispatcherPort: 1 });
    const told = execFileSync(PROGRAMS.dispatcher, ['--config', config, '--check-config'], { encoding: 'utf8' });
    assert.match(told, /state in fanout\.tenant\.state, partitions: 8\n$/);
    assert.ok(!told.includes('review'));

    /* Rules that come later, and tell others: made when it is needed. */
    fs.writeFileSync(world.rulesFile, `${RULES}
  - {name: review, when: {"event": ["task.failed"]}, review: {queue: legal, reason: r, state: "{taskId}"}}\n`);
    await dispatcher.waitText(/rules reloaded/);
    const backend = await world.backend();
    await backend.events([taskEvent({ taskId: 'task-1', n: 1, event: 'task.failed' })]);
    await eventually(async () => (await world.broker.topics()).includes('fanout.review.legal.state'), { timeout: 20000 * SLOW });
    await eventually(async () => (await world.broker.read('fanout.review.legal.state')).length === 1, { timeout: 20000 * SLOW });
    assert.equal((await configOf(world, 'fanout.review.legal.state'))['cleanup.policy'], 'compact,delete');
});

test('without a retention there are none', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'item_state_none', { topics: { 'tasks.events': 4 }, rules: RULES, settings: { state: { retention: 0 } } });
    await world.dispatcher();
    const backend = await world.backend();
    await backend.events(new Tasks().batch(50));
    await eventually(async () => (await read(world, 'fanout.tenant')).size > 10, { timeout: 20000 * SLOW });
    assert.ok(!(await world.broker.topics()).some((name) => name.endsWith('.state')));
});

test('a room shows the same by its lane and by the state of its lane', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'item_state', { rules: RULES, settings: { dispatcher: { batch: { events: 20 } } } });
    const dispatchers = [await world.dispatcher({ name: 'first' }), await world.dispatcher({ name: 'second' })];
    const backend = await world.backend();
    const tasks = new Tasks();
    for (let round = 0; round < 12; round++) {
        await backend.events(tasks.batch(250));
        await sleep(round % 3 * 100);
        if (round % 2 === 0) {
            const dispatcher = dispatchers[round / 2 % 2];
            await dispatcher.kill();
            dispatcher.start();
        }
    }
    const told = async () => new Set((await world.broker.read('fanout.tenant')).map(({ value }) => decodeNotification(value).eventId)).size;
    await eventually(async () => await told() === tasks.n, { timeout: 90000 * SLOW, interval: 500, what: () => dispatchers.map((one) => one.tail()).join('\n') });
    const lane = await read(world, 'fanout.tenant');
    const state = await read(world, 'fanout.tenant.state');
    assert.ok(lane.size > 50 && [...lane.values()].some((value) => value.endsWith('removed')));
    assert.deepEqual(state, lane);

    /* Each is a record of the lane once more, with its headers, in the partition of the same number; there are fewer. */
    const byValue = new Map((await world.broker.read('fanout.tenant', { headers: true })).map((record) => [record.value.toString('hex'), record]));
    const kept = await world.broker.read('fanout.tenant.state', { headers: true });
    for (const { value, headers, partition } of kept) {
        const record = byValue.get(value.toString('hex'));
        assert.deepEqual(headers, record.headers);
        assert.equal(partition, record.partition);
    }
    const items = [...byValue.values()].filter(({ value }) => decodeNotification(value).item).length;
    t.diagnostic(`${items} records about items, ${kept.length} of them kept`);
    assert.ok(kept.length < items);
});

test('without transactions the state is ahead of its lane, and never behind', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'item_state_plain', { rules: RULES, settings: { dispatcher: { delivery: 'at-least-once', batch: { events: 20 } } } });
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const tasks = new Tasks();
    for (let round = 0; round < 6; round++) {
        const before = await world.broker.ends('fanout.tenant');
        await backend.events(tasks.batch(1000));
        await eventually(async () => (await world.broker.ends('fanout.tenant')).some((end, i) => end > before[i] + 100), { timeout: 30000 * SLOW, interval: 5 });
        await dispatcher.kill();
        const lane = await read(world, 'fanout.tenant');
        const state = await read(world, 'fanout.tenant.state');
        for (const [place, value] of lane)
            assert.ok(number(state.get(place) ?? '-1') >= number(value), `${place}: ${value} in the lane, ${state.get(place)} in the state`);
        dispatcher.start();
        await world.waitReady(dispatcher);
    }
    const told = async () => new Set((await world.broker.read('fanout.tenant')).map(({ value }) => decodeNotification(value).eventId)).size;
    await eventually(async () => await told() === tasks.n, { timeout: 90000 * SLOW, interval: 500, what: () => dispatcher.tail() });
    await eventually(async () => { // what was told again comes to an end
        assert.deepEqual(await read(world, 'fanout.tenant.state'), await read(world, 'fanout.tenant'));
        return true;
    }, { timeout: 20000 * SLOW, interval: 500 });
});

/* A page that joins a project with its state, and goes on with what is live. */
class Page {
    board = new Map();

    constructor(tenant, room) { Object.assign(this, { tenant, room }); }

    set({ item, taskStatus }) {
        this.board.delete(item.key);
        if (!item.removed)
            this.board.set(item.key, String(taskStatus.data.n));
    }

    async open(gateway) {
        this.client = new WebSocketClient(gateway.url, { token: token({ sub: 'usr_page', tenant: this.tenant }, SECRET) });
        const take = this.client.take.bind(this.client);
        this.client.take = (message) => {
            if (message.type === 'state' && message.first)
                this.board.clear();
            if (message.type === 'state')
                message.items.forEach(({ data }) => this.set(data));
            else if (message.type === 'notification' && message.data.item)
                this.set(message.data);
            take(message);
        };
        await this.client.connect();
        /* A dispatcher that was killed in a transaction keeps its lanes back: a page asks again. */
        for (this.refused = 0; !this.answer?.state; this.refused++) {
            this.answer = await this.client.ask({ type: 'subscribe', rooms: [this.room], state: true });
            assert.ok(this.answer.state || this.answer.error?.code === 'unavailable', JSON.stringify(this.answer));
        }
        return this;
    }

    /* What it should show, of the fold of all that was ever published. */
    expected(lane) {
        const prefix = `${this.tenant} ${this.room} `;
        return new Map([...lane].filter(([place, value]) => place.startsWith(prefix) && !value.endsWith('removed')).map(([place, value]) => [place.slice(prefix.length), value]));
    }
    async shows(lane, what) {
        const sorted = (map) => [...map].sort().join();
        await eventually(() => sorted(this.board) === sorted(this.expected(lane)), { timeout: 30000 * SLOW, what: () => `${what}: ${sorted(this.expected(lane))}, it shows ${sorted(this.board)}` });
    }
}
const PAGES = ['acme', 'globex'].flatMap((tenant) => ['project:p1', 'project:p2'].map((room) => [tenant, room]));

test('who joins is shown what the state topic keeps of a lane that has forgotten it', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'item_state_views', { rules: RULES, settings: { dispatcher: { batch: { events: 20 } }, gateway: { history: { bytes: '4KiB' }, recovery: { keys: 'a-secret-of-the-cursors-0123456789abcdef' } } } });
    const dispatchers = [await world.dispatcher({ name: 'first' }), await world.dispatcher({ name: 'second' })];
    const backend = await world.backend();
    const tasks = new Tasks();
    const lane = async (before = []) => [...before, ...await world.broker.read('fanout.tenant')];
    const all = async (before = []) => {
        const told = async () => new Set((await lane(before)).map(({ value }) => decodeNotification(value).eventId)).size;
        await eventually(async () => await told() === tasks.n, { timeout: 90000 * SLOW, interval: 500, what: () => dispatchers.map((one) => one.tail()).join('\n') });
        return lane(before);
    };
    const began = Date.now();
    await backend.events(tasks.batch(1500));
    const forgotten = await all();
    await world.broker.admin(async (admin) => {
        const ends = await admin.fetchTopicOffsets('fanout.tenant'); // with it, kafkajs knows the topic
        await admin.deleteTopicRecords({ topic: 'fanout.tenant', partitions: ends.map(({ partition, high }) => ({ partition, offset: high })) });
    });
    assert.equal((await lane()).length, 0);

    const gateways = [await world.gateway({ name: 'gateway-0' }), await world.gateway({ name: 'gateway-1' })];
    const pages = [];
    const open = async (count, what) => {
        for (const [i, [tenant, room]] of [...PAGES, ...PAGES].slice(0, count).entries())
            pages.push(await new Page(tenant, room).open(gateways[i % 2]));
        t.diagnostic(`${what}: ${count} pages, ${pages.slice(-count).reduce((sum, { refused }) => sum + refused - 1, 0)} were asked to come again`);
    };
    t.after(() => pages.forEach(({ client }) => client.disconnect()));
    await open(8, 'cold');
    for (const page of pages) {
        const { state } = page.answer;
        assert.equal(state.count, page.expected(fold(forgotten)).size);
        assert.equal(state.complete, false, 'the topic does not know what was before it');
        assert.ok(state.since >= began && state.since <= Date.now(), `since ${state.since}`);
        await page.shows(fold(forgotten), 'a page of a lane that was forgotten');
    }
    assert.ok(pages.some(({ board }) => board.size > 2));
    const metric = (gateway, name) => world.metric(gateway, `smartstack_gateway_${name}`);
    assert.equal(await metric(gateways[0], 'states_of_views_total'), 4);
    assert.ok(await metric(gateways[0], 'view_loads_total') <= 2, 'one load for a lane, whoever asks');
    assert.ok(await metric(gateways[0], 'view_bytes') > 1000);

    for (let round = 0; round < 8; round++) { // late joiners, beside kills of dispatchers and of a gateway
        await backend.events(tasks.batch(150));
        const dispatcher = dispatchers[round % 2];
        await dispatcher.kill();
        if (round === 3) {
            await gateways[1].kill();
            gateways[1].start();
            await world.waitReady(gateways[1]);
        }
        dispatcher.start();
        await open(2, `round ${round}`);
    }
    const shown = fold(await all(forgotten));
    for (const [i, page] of pages.entries())
        await page.shows(shown, `page ${i}`);
    assert.ok(pages.every(({ client }) => client.welcomes.slice(1).every(({ recovered }) => recovered)), 'who comes back is recovered');
    assert.ok(await metric(gateways[0], 'states_of_views_total') >= 12);
});
