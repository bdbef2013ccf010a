/* Reviews from the alert to the decision, on a real broker, by stock clients over two gateways: two claim at once and one has it;
 * contrary decisions are one decision; while dispatchers are killed. Every screen has one and the same history, and the log
 * explains each step of it. The backend's side is the code of deploy/docs/reviews.md. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { SLOW, SOURCE_DIR } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const QUEUE = 'review:legal';
const RULES = `rules:
  - name: doubt
    when: {"event": ["task.completed"]}
    review: {queue: legal, reason: "is {taskId} right?", title: "Look at {taskId}", decisions: [approve, reject, edit]}
`;
const settings = {
    dispatcher: { review: { log: 'reviews.log', log_partitions: 4 } },
    gateway: {
        access: { events: [{ event: 'review.*', if: { role: 'reviewer' } }] },
        client_events: { review_log: 'reviews.log', rate: 1000, burst: 1000 },
        quotas: { user: { events: 10000 } },
    },
};
const open = (test) => World.open(test, 'reviews', { rules: RULES, settings });
const doubt = (taskId) => taskEvent({ taskId, n: 1, event: 'task.completed', userId: 'owner' });

/* What deploy/docs/reviews.md gives to a page and to a backend. */
const document = fs.readFileSync(path.join(SOURCE_DIR, 'deploy/docs/reviews.md'), 'utf8');
const code = (word) => {
    const found = [...document.matchAll(/^```js\n([^]*?)^```$/gm)].filter(([, text]) => text.includes(word));
    assert.equal(found.length, 1, `one block with ${word}`);
    return found[0][1];
};

/* A page of a reviewer: what it shows is what it was told, and never goes back. */
class Page {
    history = new Map(); // id: its updates, in order
    refused = [];

    constructor(client) {
        this.client = client;
        client.socket.on('review.updated', ({ reviewUpdate: update }) => {
            const updates = this.history.get(update.id) ?? [];
            if (update.version <= updates.length)
                return; // by another lane once more
            assert.equal(update.version, (updates.at(-1)?.version ?? 0) + 1, `versions of ${update.id}`);
            this.history.set(update.id, [...updates, update]);
        });
        client.socket.on('review.refused', ({ reviewRefusal: refusal }) => {
            if (!this.refused.some(({ id, command }) => id === refusal.id && command === refusal.command))
                this.refused.push(refusal);
        });
    }

    of(taskId) { return [...this.history.values()].find(([first]) => first.taskId === taskId) ?? []; }
    now(taskId) { return this.of(taskId).at(-1); }

    command(act, taskId, more = {}, id) {
        const { id: review, version } = this.now(taskId);
        return this.client.ask(`review.${act}`, { review, version, ...more }, { room: QUEUE, ...(id && { id }) });
    }
}

async function page(world, gateway, sub, claims = {}) {
    const client = await world.client(gateway, { claims: { sub, role: 'reviewer', reviewQueues: ['legal'], ...claims } });
    return new Page(client);
}

const shown = (pages, taskId, what) => eventually(() => pages.every((one) => what(one.now(taskId) ?? {})),
    { timeout: 60000 * SLOW, what: () => `${taskId} on every screen: ${JSON.stringify(pages.map((one) => one.now(taskId)))}` });

test('two claim at once, and one has it on every screen', { timeout: 240000 * SLOW }, async (t) => {
    const world = await open(t);
    await world.dispatcher();
    const [east, west] = [await world.gateway({ name: 'east' }), await world.gateway({ name: 'west' })];
    const backend = await world.backend();
    const pages = [await page(world, east, 'ann'), await page(world, west, 'bob'), await page(world, west, 'owner')];
    const [ann, bob, owner] = pages;
    const outsider = await page(world, east, 'ann', { tenant: 'other' });

    await backend.events([doubt('42')]);
    await shown(pages, '42', ({ state }) => state === 'open');
    const alert = ann.client.received.find(({ event }) => event === 'review.alert').notification.reviewAlert;
    const { id } = ann.now('42');
    assert.equal(alert.reviewId, id, 'the alert names the review');
    assert.deepEqual(ann.now('42'), {
        id, version: 1, state: 'open', queue: 'legal', reason: 'is 42 right?', priority: 'normal', title: 'Look at 42', taskId: '42',
        tenantId: 'acme', projectId: 'prj_test', userId: 'owner', type: 'extraction', decisions: ['approve', 'reject', 'edit'],
    });

    assert.deepEqual(await Promise.all([ann.command('claim', '42', {}, 'of-ann'), bob.command('claim', '42', {}, 'of-bob')]), [{ ok: true }, { ok: true }]);
    await shown(pages, '42', ({ version }) => version === 2);
    const { by, command } = ann.now('42');
    assert.equal(command, `of-${by}`, 'the winner knows his command by the update');
    const [winner, loser] = by === 'ann' ? [ann, bob] : [bob, ann];

    /* Wrong by itself is told; the task's user may not decide about himself. */
    await loser.command('decide', '42', { decision: 'approve' }, 'hasty');
    await winner.command('decide', '42', { decision: 'perhaps' }, 'unknown');
    await owner.command('claim', '42', { take: true }, 'own');
    await eventually(() => pages.every(({ refused }) => refused.length === 3), { what: () => `refusals: ${JSON.stringify(ann.refused)}` });
    assert.deepEqual(ann.refused.map((refusal) => [refusal.command, refusal.reason]).sort(), [['hasty', 'claimed'], ['own', 'own_task'], ['unknown', 'unknown_decision']]);

    /* What a gateway can know it says at once. */
    const refusal = async (act, payload, about) => (await ann.client.ask(act, payload, about)).error?.code;
    assert.equal(await refusal('review.claim', { review: id, version: 2 }, { room: 'task:42' }), 'not_allowed');
    assert.equal(await refusal('review.claim', { review: id, version: 2 }, {}), 'not_allowed');
    assert.equal(await refusal('review.claim', { review: 'x', version: 2 }, { room: QUEUE }), 'bad_request');
    assert.equal(await refusal('review.decide', { review: id, version: 2, comment: 'x'.repeat(4096) }, { room: QUEUE }), 'too_large');
    const nobody = await world.client(east, { claims: { sub: 'eve', reviewQueues: ['legal'] } });
    assert.equal((await nobody.ask('review.claim', { review: id, version: 2 }, { room: QUEUE })).error.code, 'not_allowed');
    /* Of another tenant the room has the same name, and is another. */
    await outsider.client.ask('review.claim', { review: id, version: 2, take: true }, { room: QUEUE });

    await loser.command('claim', '42', { take: true });
    await shown(pages, '42', ({ version }) => version === 3);
    assert.equal(ann.now('42').by, loser.client.sub ?? (loser === ann ? 'ann' : 'bob'), 'taken over, visibly');
    await loser.command('release', '42');
    await shown(pages, '42', ({ version, state }) => version === 4 && state === 'open');

    /* Who opens the page now sees what is open, by the state of the room. */
    await backend.events([doubt('43')]);
    await shown(pages, '43', ({ state }) => state === 'open');
    const late = await world.client(west, { claims: { sub: 'late', reviewQueues: ['legal'] } });
    const items = [];
    late.socket.on('state', (state) => items.push(...state.items));
    const answer = await late.ask('subscribe', QUEUE, { state: true });
    assert.equal(answer.ok, true);
    assert.deepEqual(items.map(({ event, data }) => [event, data.reviewUpdate.taskId, data.reviewUpdate.version, data.reviewUpdate.state]).sort(),
        [['review.updated', '42', 4, 'open'], ['review.updated', '43', 1, 'open']]);

    /* The backend may finish a task while people look at it. */
    await backend.events([taskEvent({ taskId: '43', n: 2, event: 'review.completed', userId: 'owner' })]);
    await shown(pages, '43', ({ state }) => state === 'closed');
    assert.deepEqual([...outsider.history], [], 'a tenant is a wall');
    /* The dispatcher counts what it has committed, a moment after others see it. */
    let alive;
    await eventually(async () => (alive = await world.metric(world.programs[0], 'smartstack_dispatcher_reviews_alive')) === 1,
        { what: () => `${alive} reviews alive, 1 expected` });
});

/* A log that somebody made with Kafka's default, where a record's time is its writer's word. */
test('a writer whose clock is ahead voids nobody\'s commands', { timeout: 240000 * SLOW }, async (t) => {
    const world = await open(t);
    const configEntries = [{ name: 'message.timestamp.type', value: 'CreateTime' }];
    await world.broker.admin((admin) => admin.createTopics({ topics: [{ topic: 'reviews.log', numPartitions: 4, replicationFactor: 1, configEntries }] }));
    await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const ann = await page(world, gateway, 'ann');
    const ahead = String(Date.now() + 600000);
    await backend.records([0, 1, 2, 3].map((partition) => ({ key: 'x', value: '{}', headers: { ce_type: 'review.tick' }, timestamp: ahead, partition })), 'reviews.log');
    await backend.events([doubt('42')]);
    await shown([ann], '42', ({ state }) => state === 'open');
    assert.deepEqual(await ann.command('claim', '42'), { ok: true });
    await shown([ann], '42', ({ state }) => state === 'claimed');
});

test('contrary decisions are one, while dispatchers are killed', { timeout: 400000 * SLOW }, async (t) => {
    const TASKS = Array.from({ length: 12 }, (_, i) => `task-${i}`);
    const world = await open(t);
    const dispatchers = [await world.dispatcher({ name: 'one' }), await world.dispatcher({ name: 'two' })];
    const [east, west] = [await world.gateway({ name: 'east' }), await world.gateway({ name: 'west' })];
    const backend = await world.backend();
    const pages = await Promise.all([page(world, east, 'ann'), page(world, west, 'bob')]);
    const [ann, bob] = pages;

    /* In the midst of what the commands lead to. */
    const kill = async (victim) => {
        await sleep(60 * Math.random());
        await victim.kill();
        victim.start();
    };
    for (const [i, taskId] of TASKS.entries()) {
        await backend.events([doubt(taskId)]);
        await shown(pages, taskId, ({ state }) => state === 'open');
        const decided = () => pages.every((one) => one.now(taskId).state === 'decided');
        /* Who is not heard for a while says it again: the same, and contrary. */
        for (let attempt = 0; attempt < 8 && !decided(); attempt++) {
            await Promise.all([
                ann.command('decide', taskId, { decision: 'approve', comment: 'fine' }, `ann-${taskId}`),
                bob.command('decide', taskId, { decision: 'reject' }, `bob-${taskId}`),
                ...(attempt === 0 && i % 2 === 0 ? [kill(dispatchers[(i / 2) % 2])] : []),
            ]);
            await eventually(decided, { timeout: 15000, what: 'a decision' }).catch(() => {});
        }
        await shown(pages, taskId, ({ state }) => state === 'decided');
    }
    const decisions = (await world.broker.read('reviews.decisions', { headers: true })).map(({ key, value, headers }) => ({ key: key.toString(), headers, ...JSON.parse(value) }));
    assert.deepEqual(decisions.map(({ key }) => key).sort(), [...TASKS].sort(), 'one decision for each task');
    for (const { key, headers, review, version, decision, by } of decisions) {
        const [first, second] = pages.map((one) => one.of(key));
        assert.deepEqual(first, second, `${key} on both screens`);
        assert.deepEqual(first.map(({ state }) => state), ['open', 'decided']);
        assert.deepEqual([headers.ce_type, headers.ce_id, headers.ce_taskid, headers.ce_userid], ['review.decided', `${review}.${version}`, key, 'owner']);
        assert.deepEqual([first[1].by, first[1].decision, first[1].command], [by, decision, `${by}-${key}`]);
        assert.equal(decision, by === 'ann' ? 'approve' : 'reject');
        assert.equal(first[1].comment, undefined, 'a comment stands in the decision alone');
    }

    /* Linear by the log: the first command about the version that each review had is the one that counted. */
    const log = (await world.broker.read('reviews.log', { headers: true })).map(({ value, headers }) => ({ headers, ...JSON.parse(value) }));
    for (const { key, review, by } of decisions) {
        const commands = log.filter((one) => one.review === review && one.version === 1);
        assert.ok(commands.length >= 1, `commands about ${key}`);
        /* The first may have been void, if nobody was there for 30 s. */
        if (commands.length === 2)
            assert.equal(commands[0].headers.ce_userid, by, `the first in the log decided ${key}`);
    }
    assert.equal(log.filter(({ headers }) => headers.ce_type === 'review.opened').length, TASKS.length);

    /* The consumer of the documents applies each once, also if it starts anew in the middle. */
    const applied = [];
    const AsyncFunction = (async () => {}).constructor;
    const run = new AsyncFunction('kafka', 'database', `${code('reviews.decisions')}\nreturn consumer;`);
    const rows = new Map();
    const database = {
        transaction: async (use) => use({
            insertIfAbsent: async (id) => !rows.has(id) && (rows.set(id), true),
            apply: async (taskId, decision) => applied.push([taskId, decision.decision]),
        }),
    };
    for (let start = 0; start < 2; start++) {

        const consumer = await run(world.broker.kafka(`consumer-${start}`), database);
        await eventually(() => applied.length === TASKS.length, { timeout: 60000 * SLOW, what: () => `${TASKS.length} decisions applied, ${applied.length} are` });
        await sleep(start ? 3000 : 0);
        await consumer.disconnect();
    }
    assert.deepEqual(applied.map(([taskId]) => taskId).sort(), [...TASKS].sort());
});

test('beyond the limit an alert comes without a life', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'reviews-limit', {
        rules: RULES, settings: { ...settings, dispatcher: { review: { log: 'reviews.log', log_partitions: 1, tasks: 2 } } },
    });
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const ann = await page(world, gateway, 'ann');
    const metric = (name) => world.metric(dispatcher, `smartstack_dispatcher_${name}`);
    const tasks = Array.from({ length: 6 }, (_, i) => `task-${i}`);
    await backend.events(tasks.map(doubt));
    await eventually(() => ann.refused.length === 4, { what: () => `four without a life: ${JSON.stringify(ann.refused)}` });
    assert.ok(ann.refused.every(({ reason, command }) => reason === 'limit' && !command));
    assert.equal(ann.history.size, 2);
    assert.equal(ann.client.received.filter(({ event }) => event === 'review.alert').length, 6, 'all are alerted');
    await eventually(async () => await metric('reviews_alive') === 2, { what: 'two alive' });

    /* What is longer than is kept of a review, and what no gateway wrote. */
    const refused = await metric('review_records_total');
    await backend.events([{ ...doubt('x'.repeat(5000)), id: 'long' }]);
    await backend.records([{ key: 'k', value: 'not JSON' }, { key: 'k', value: null }, { key: 'k', value: '{}', headers: { ce_type: 'review.claim' } }], 'reviews.log');
    await eventually(async () => await metric('review_records_total') >= refused + 4, { what: 'they are counted' });
    assert.equal((await world.broker.read('tasks.dead-letter')).length, 0, 'none is a dead letter');

    /* A place that is free is taken. */
    const [free] = [...ann.history.values()].map((updates) => updates[0].taskId);
    await ann.command('decide', free, { decision: 'reject' });
    await shown([ann], free, ({ state }) => state === 'decided');
    await backend.events([doubt('another')]);
    await shown([ann], 'another', ({ state }) => state === 'open');
});

/* By what is still to come when the claim is answered, and not by a clock. */
test('a claim does not wait behind a burst of events', { timeout: 240000 * SLOW }, async (t) => {
    const EVENTS = 8000;
    const world = await open(t);
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const ann = await page(world, gateway, 'ann');
    const judged = () => world.metric(dispatcher, 'smartstack_dispatcher_records_total');
    const batches = () => world.metric(dispatcher, 'smartstack_dispatcher_transactions_total');
    await backend.events([doubt('42')]);
    await shown([ann], '42', ({ state }) => state === 'open');
    const [before, batchesBefore] = [await judged(), await batches()];
    dispatcher.pause();
    for (let i = 0; i < EVENTS; i += 1000)
        await backend.events(Array.from({ length: 1000 }, (_, n) => taskEvent({ taskId: 'burst', n: i + n, event: 'task.progress' })));
    await ann.command('claim', '42');
    dispatcher.resume();
    await shown([ann], '42', ({ state }) => state === 'claimed');
    const done = await judged() - before;
    await eventually(async () => await judged() - before >= EVENTS + 1, { timeout: 120000 * SLOW, what: 'all events' });
    t.diagnostic(`the claim was answered after ${done} of ${EVENTS} events`);
    assert.ok(done < EVENTS / 2, `the claim was answered after ${done} of ${EVENTS} events`);

    /* Nor would the next one wait for a large batch: an eighth of the default's 2,000 events and those of the claim itself. */
    const count = await batches() - batchesBefore;
    t.diagnostic(`${count} batches`);
    assert.ok(count >= EVENTS / 500, `${count} batches for ${EVENTS} events`);
});
