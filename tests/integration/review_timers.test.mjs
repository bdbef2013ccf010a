/* Timers of reviews, on a real broker: one that is late is an event that rules route, and is told to be late again; a claim ends. Each
 * once, and none before its time, while dispatchers are killed, stopped for longer than their session, and join. Who is no member
 * of the group any more commits nothing, and whose clock is not the broker's fires nothing. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { decodeNotification } from './lib/backend.mjs';
import { BUILD_DIR, PROGRAMS, SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, TOPICS, World } from './lib/world.mjs';

const run = promisify(execFile);
const QUEUE = 'review:legal';
const RULES = `rules:
  - name: doubt
    when: {"event": ["task.completed"]}
    review: {queue: legal, reason: doubt, title: "Look at {taskId}", due: "{data.due}"}
  - name: late
    when: {"event": ["review.late"], "source": ["reviews"]}
    notify: {type: notification, rooms: ["review:{data.queue}"], title: "{data.title}: late {data.times}, {data.by|nobody}"}
`;
const settings = {
    dispatcher: { review: { log: 'reviews.log', log_partitions: 4, timers: true, claim_time: '3s', remind: '2s', reminders: 1 } },
    gateway: {
        access: { events: [{ event: 'review.*', if: { role: 'reviewer' } }] },
        client_events: { review_log: 'reviews.log', rate: 1000, burst: 1000 },
    },
};
const doubt = (taskId, due) => taskEvent({ taskId, n: 1, event: 'task.completed', userId: 'owner', data: { due } });

/* All that the log has of timers, in its order. */
async function timers(world) {
    const records = await world.broker.read('reviews.log', { headers: true });
    return records.filter(({ headers }) => ['review.late', 'review.lapsed'].includes(headers.ce_type))
        .map(({ timestamp, value, headers }) => ({ type: headers.ce_type, id: headers.ce_id, task: headers.ce_taskid, timestamp, fired: Date.parse(headers.ce_time), ...JSON.parse(value) }));
}

test('the broker refuses who is no member any more', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'producer-fence', { topics: {} });
    await world.broker.admin((admin) => admin.createTopics({ topics: ['input', 'output'].map((topic) => ({
        topic, numPartitions: 1, configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }] })) }));
    const program = world.program('producer_fence_test', path.join(BUILD_DIR, 'tests/integration/producer_fence_test'), [], {
        environment: { CK_FORK: 'no', SMARTSTACK_TEST_KAFKA: world.broker.address },
    }).start();
    const end = await program.waitEnd(230000 * SLOW);
    assert.equal(end.code, 0, program.tail(40));
});

test('a review is late, and late again; a claim ends', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'review-timers', { rules: RULES, settings });
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const ann = await world.client(gateway, { claims: { sub: 'ann', role: 'reviewer', reviewQueues: ['legal'] } });
    const updates = [], told = [];
    ann.socket.on('review.updated', ({ reviewUpdate }) => updates.push(reviewUpdate));
    ann.socket.on('notification', ({ clientNotification }) => told.push(clientNotification.title));
    const state = (n) => eventually(() => updates.length >= n, { timeout: 60000 * SLOW, what: () => `update ${n}: ${JSON.stringify(updates)}` });

    await backend.events([doubt('42', '8s')]);
    await state(1);
    const [{ id }] = updates;
    await ann.ask('review.claim', { review: id, version: 1 }, { room: QUEUE, id: 'mine' });
    await state(3);
    assert.deepEqual(updates.map(({ version, state: what, by, command }) => [version, what, by, command]),
        [[1, 'open', undefined, undefined], [2, 'claimed', 'ann', 'mine'], [3, 'open', undefined, undefined]]);
    await eventually(() => told.length === 2, { timeout: 60000 * SLOW, what: () => `told late twice: ${told}` });
    assert.deepEqual(told, ['Look at 42: late 1, nobody', 'Look at 42: late 2, nobody']);
    /* Late as it is, it has the version that ann saw. */
    await ann.ask('review.decide', { review: id, version: 3, decision: 'approve' }, { room: QUEUE });
    await state(4);
    assert.equal(updates[3].state, 'decided');

    const fired = await timers(world);
    assert.deepEqual(fired.map(({ type, version, times }) => [type, version, times]),
        [['review.lapsed', 2, undefined], ['review.late', 3, 1], ['review.late', 3, 2]]);
    const [{ dueTime }] = updates;
    assert.ok(fired[1].timestamp >= Date.parse(dueTime), 'not before it is due');
    /* By the times at which they fired: how long a record was on its way to the log is another matter. */
    assert.ok(fired[2].fired >= fired[1].fired + 2000, 'nor is it told again too soon');
    const metrics = await (await fetch(`${dispatcher.operations}/metrics`)).text();
    assert.match(metrics, /reviews_total\{event="late"\} 2$/m);
    assert.match(metrics, /reviews_total\{event="lapsed"\} 1$/m);
    assert.match(metrics, /review_clock_differs 0$/m);
    await eventually(async () => await world.metric(dispatcher, 'smartstack_dispatcher_review_timers') === 0, { what: 'no timer is left' });
});

test('each fires once, while dispatchers are killed, stopped and join', { timeout: 400000 * SLOW }, async (t) => {
    const COUNT = 400, SPAN_S = 40;
    const world = await World.open(t, 'review-timers-once', { rules: RULES, settings: { ...settings, dispatcher: { review: { ...settings.dispatcher.review, remind: '0s' } } } });
    const dispatchers = [await world.dispatcher({ name: 'one' }), await world.dispatcher({ name: 'two' })];
    const backend = await world.backend();
    const tasks = Array.from({ length: COUNT }, (_, i) => `task-${i}`);
    await backend.events(tasks.map((taskId, i) => doubt(taskId, `${5 + Math.floor(i * SPAN_S / COUNT)}s`)));
    const [one, two] = dispatchers;

    await sleep(6000);
    await one.kill();
    one.start();
    await sleep(4000);
    dispatchers.push(await world.dispatcher({ name: 'three' })); // takes partitions of the others
    await sleep(3000);
    two.signal('SIGSTOP'); // for longer than its session: others have its partitions when it goes on
    await sleep(16000);
    two.signal('SIGCONT');
    await sleep(4000);
    await dispatchers[2].kill();
    await sleep(500);
    dispatchers[2].start();

    let late = [];
    await eventually(async () => (late = (await timers(world)).filter(({ type }) => type === 'review.late')).length >= COUNT,
        { timeout: 120000 * SLOW, interval: 1000, what: () => `${COUNT} are late, ${late.length} of them are told` });
    await sleep(5000);
    late = (await timers(world)).filter(({ type }) => type === 'review.late');
    assert.deepEqual(late.map(({ task }) => task).sort(), [...tasks].sort(), 'each has one record of the log');
    assert.deepEqual(late.filter(({ timestamp, dueTime }) => timestamp < Date.parse(dueTime)), [], 'none before its time');
    await eventually(async () => {
        const told = (await world.broker.read('fanout.review.legal')).map(({ value }) => decodeNotification(value)).filter(({ clientNotification }) => clientNotification);
        assert.ok(told.length <= COUNT, `${told.length} of ${COUNT} are told`);
        return told.length === COUNT && new Set(told.map(({ eventId }) => eventId)).size === COUNT;
    }, { timeout: 60000 * SLOW, interval: 1000, what: 'rules route each once' });
});

test('whose clock is not the broker\'s fires nothing, and says so', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'review-timers-clock', { rules: RULES, settings });
    const environment = {
        LD_PRELOAD: path.join(BUILD_DIR, 'tests/integration/libshifted_clock.so'), SHIFTED_CLOCK_MS: '60000',
        ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`,
    };
    const wrong = await world.dispatcher({ name: 'wrong', environment });
    const backend = await world.backend();
    await backend.events([doubt('42', '2s')]);
    await eventually(async () => await world.metric(wrong, 'smartstack_dispatcher_review_clock_differs') === 1, { timeout: 60000 * SLOW, what: () => `it says so\n${wrong.tail()}` });
    assert.match(wrong.text(), /timers of reviews do not fire here/);
    await sleep(5000);
    assert.deepEqual(await timers(world), []);
    await wrong.stop();
    await world.dispatcher({ name: 'right' });
    await eventually(async () => (await timers(world)).length >= 1, { timeout: 60000 * SLOW, interval: 500, what: 'another fires it' });

    /* A log that somebody made without it does not tell the broker's time. */
    await world.broker.admin((admin) => admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: 'reviews.log', configEntries: [{ name: 'message.timestamp.type', value: 'CreateTime' }] }] }));
    const mute = await world.dispatcher({ name: 'mute' });
    await world.programs.find(({ name }) => name === 'right').stop();
    await backend.events([doubt('43', '1s')]);
    await eventually(() => mute.text().includes('message.timestamp.type=LogAppendTime'), { timeout: 60000 * SLOW, what: () => `it says so\n${mute.tail()}` });
});

test('settings that say nothing without another are refused', async (t) => {
    const world = await World.open(t, 'review-timers-settings', { broker: 'none', rules: RULES });
    const problems = async (review) => {
        const file = world.writeConfiguration('odd', {}, { dispatcher: { review } });
        const { stdout, stderr } = await run(PROGRAMS.dispatcher, ['--config', file, '--check-config']).catch((error) => error);
        return `${stdout}${stderr}`;
    };
    assert.match(await problems({ timers: true }), /review\.timers: reviews have none without dispatcher\.review\.log/);
    assert.match(await problems({ log: 'reviews.log', claim_time: '1h' }), /review\.timers: without it/);
    assert.match(await problems({ log: 'reviews.log', remind: '1h' }), /review\.timers: without it/);
    assert.doesNotMatch(await problems({ log: 'reviews.log', timers: true, claim_time: '1h', remind: '1h' }), /review\.timers/);
});

test('their least and their greatest values work', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'review-timers-extremes', { rules: RULES, topics: TOPICS });
    for (const [claim_time, remind, reminders] of [['0s', '0s', 0], ['316224000s', '316224000s', 1000]]) {
        const review = { log: 'reviews.log', log_partitions: 1, timers: true, claim_time, remind, reminders };
        const dispatcher = await world.dispatcher({ name: 'extreme', settings: { dispatcher: { review } } });
        assert.equal((await dispatcher.stop()).code, 0);
    }
});
