/* Events that come out of order, and a dispatcher that is killed among them: a room shows of each item what the event of the
 * greatest order says, and never goes back on the way there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNotification } from './lib/backend.mjs';
import { SLOW } from './lib/places.mjs';
import { awaitedLater, eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const TASKS = 12;
const EVENTS = 120; // of each task
const KILLS = 3;

const RULES = `rules:
  - name: show
    when: {"event": ["task.progress"]}
    notify:
      - {rooms: ["project:{projectId}"], state: {item: "{taskId}", order: "{seq}"}}
      - {rooms: ["tenant:{tenantId}"], state: {item: "{taskId}", order: "{seq}", late: mark}}
  - name: over
    when: {"event": ["task.completed"]}
    notify: {rooms: ["project:{projectId}"], state: {item: "{taskId}", order: "{seq}", remove: true}}
  - name: by-time
    when: {"event": ["task.clocked"]}
    notify: {rooms: ["task:{taskId}"], state: {item: "at:{taskId}", order: "{time}"}}
`;

let random = 20261130;
function pick(below) {
    random = (random * 1103515245 + 12345) % 2147483648;
    return Math.floor(random / 65536) % below;
}

/* Nearly in order, as events are that several processes of a backend tell of. */
function shuffled(list) {
    const result = [...list];
    for (let i = 0; i < result.length; i++) {
        const k = Math.min(result.length - 1, i + pick(7));
        [result[i], result[k]] = [result[k], result[i]];
    }
    return result;
}

/* Each third task is over in the end; what comes behind that is older. */
const streams = Array.from({ length: TASKS }, (_, task) => shuffled(Array.from({ length: EVENTS }, (_, i) => {
    const over = task % 3 === 0 && i === EVENTS - 1;
    return { ...taskEvent({ taskId: `task-${task}`, n: i + 1, event: over ? 'task.completed' : 'task.progress' }), seq: i + 1 };
})));

/* What is told of a stream: each that is not older than one before it. */
function inTime(stream) {
    let last = 0;
    return stream.filter(({ seq }) => seq > last && (last = seq));
}

const seqOf = ({ taskStatus }) => taskStatus.data.n;
const ofTask = (list, task) => list.filter(({ taskStatus }) => taskStatus.taskId === `task-${task}`);

/* The page of deploy/docs/state.md. */
function fold(board, notification) {
    if (notification.item?.removed)
        board.delete(notification.item.key);
    else if (notification.item)
        board.set(notification.item.key, seqOf(notification));
    return board;
}
const sorted = (board) => Object.fromEntries([...board].sort());
const BY_ORDER = Object.fromEntries(streams.map((_, task) => [`task-${task}`, EVENTS]).filter((_, task) => task % 3 !== 0).sort());

test('what is late is left out, or marked, whatever befalls the dispatcher', { timeout: 240000 * SLOW }, async (t) => {
    const world = await World.open(t, 'order', { rules: RULES, settings: { dispatcher: { batch: { events: 20 } } } });
    const dispatcher = await world.dispatcher();
    const gateway = await world.gateway();
    const backend = await world.backend();
    const board = await world.client(gateway, { rooms: ['project:prj_test'] });
    const log = await world.client(gateway, { rooms: ['tenant:acme'] });
    const project = () => board.room('project:prj_test').map(({ notification }) => notification);
    const tenant = () => log.room('tenant:acme').map(({ notification }) => notification);
    const marked = streams.flat().filter(({ event }) => event === 'task.progress').length;

    const produced = awaitedLater((async () => {
        for (let i = 0; i < EVENTS; i++) {
            await backend.events(streams.map((stream) => stream[i]));
            await sleep(30);
        }
    })());
    for (let kill = 1; kill <= KILLS; kill++) {
        await eventually(() => tenant().length >= kill * marked / (KILLS + 1),
            { timeout: 60000 * SLOW, what: () => `enough before kill ${kill}, ${tenant().length} of ${marked} came\n${dispatcher.tail()}` });
        await dispatcher.kill();
        dispatcher.start();
    }
    await produced;
    const expected = streams.map(inTime);
    const count = expected.flat().length;
    await eventually(() => tenant().length >= marked && project().length >= count, { timeout: 90000 * SLOW,
        what: () => `all: ${tenant().length} of ${marked}, ${project().length} of ${count}\n${dispatcher.tail()}` });
    await sleep(1000); // for what should not come

    t.diagnostic(`${streams.flat().length} events, ${streams.flat().length - count} of them late`);
    assert.ok(count < streams.flat().length * 0.8, 'the streams are out of order');
    streams.forEach((stream, task) => {
        assert.deepEqual(ofTask(project(), task).map(seqOf), expected[task].map(({ seq }) => seq), `task ${task}, left out`);
        const told = ofTask(tenant(), task);
        const progress = stream.filter(({ event }) => event === 'task.progress');
        assert.deepEqual(told.map(seqOf), progress.map(({ seq }) => seq), `task ${task}, marked`);
        const late = new Set(progress.filter((event) => !expected[task].includes(event)).map(({ seq }) => seq));
        told.forEach((notification) => assert.deepEqual([notification.late, notification.item], late.has(seqOf(notification))
            ? [true, undefined] : [undefined, { key: `task-${task}` }], `task ${task}, ${seqOf(notification)}`));
    });
    assert.deepEqual(sorted(project().reduce(fold, new Map())), BY_ORDER, 'the page that was there all the time');

    /* Who comes later sees the same. */
    const later = await world.client(gateway);
    const state = new Map();
    later.socket.on('state', ({ items }) => items.forEach(({ data }) => fold(state, data)));
    const answer = await later.ask('subscribe', 'project:prj_test', { state: true });
    assert.deepEqual([answer.ok, answer.state?.complete], [true, true], JSON.stringify(answer));
    assert.deepEqual(sorted(state), BY_ORDER, 'the state on join');

    /* It is known to the next one as well, and not only while nothing else happens. */
    await eventually(async () => await world.metric(dispatcher, 'smartstack_dispatcher_item_orders_remembered') === TASKS, { what: 'an order of each task' });
    await dispatcher.kill();
    dispatcher.start();
    await world.waitReady(dispatcher);
    await backend.events([{ ...taskEvent({ taskId: 'task-0', n: 1001 }), seq: EVENTS - 1 }, { ...taskEvent({ taskId: 'task-1', n: 1002 }), seq: EVENTS + 1 }]);
    await eventually(() => ofTask(project(), 1).at(-1).taskStatus.data.n === 1002, { timeout: 30000 * SLOW, what: () => dispatcher.tail() });
    await eventually(() => ofTask(tenant(), 0).at(-1).taskStatus.data.n === 1001, { timeout: 30000 * SLOW, what: () => dispatcher.tail() });
    assert.equal(ofTask(tenant(), 0).at(-1).late, true);
    assert.ok(!project().some(({ taskStatus }) => taskStatus.data.n === 1001));
    assert.equal(await world.metric(dispatcher, 'smartstack_dispatcher_rooms_skipped_total{reason="late"}'), 2);
});

test('times order as numbers do, and what has neither is told', { timeout: 120000 * SLOW }, async (t) => {
    const world = await World.open(t, 'order_times', { rules: RULES });
    const dispatcher = await world.dispatcher();
    const backend = await world.backend();
    const at = (time, n) => ({ ...taskEvent({ taskId: 'task-1', n, event: 'task.clocked' }), time });
    await backend.events([at('2026-03-02T08:00:00.002Z', 1), at('2026-03-02T08:00:00.001Z', 2), at('2026-03-02T09:00:00.003+01:00', 3), at('soon', 4), at('2026-03-02T08:00:00.002Z', 5)]);
    const numbers = async () => (await world.broker.read('fanout.tenant')).map(({ value }) => JSON.parse(decodeNotification(value).taskStatus.data).n);
    await eventually(async () => (await numbers()).includes(4), { timeout: 30000 * SLOW, what: () => dispatcher.tail() });
    await eventually(async () => await world.metric(dispatcher, 'smartstack_dispatcher_rooms_skipped_total{reason="late"}') === 2, { timeout: 30000 * SLOW });
    assert.deepEqual(await numbers(), [1, 3, 4]);
    assert.equal(await world.metric(dispatcher, 'smartstack_dispatcher_rooms_skipped_total{reason="no-order"}'), 1);
    const audit = (await world.broker.read('tasks.audit')).map(({ value }) => JSON.parse(value)).filter(({ skipped }) => skipped);
    assert.deepEqual(audit.map(({ skipped: [{ reason, room }] }) => [reason, room]), [['late', 'at:task-1'], ['no-order', '{time}'], ['late', 'at:task-1']]);
});
