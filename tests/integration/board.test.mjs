/* The demo page shows what is so: its numbers and its lists are held against what the backend produced, read back from the
 * topic, after opening, after reloads in the middle of traffic, and with the gateway killed meanwhile. On a real broker, by
 * the demo's own rules and configuration. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify, isDeepStrictEqual } from 'node:util';
import { Random } from '../../deploy/demo-app/backend/random.mjs';
import { TaskStream } from '../../deploy/demo-app/backend/stream.mjs';
import { INPUT_TOPIC } from './lib/backend.mjs';
import { openBrowser } from './lib/browser.mjs';
import { CONFIG, Demo, rulesOfDemo, topicsOfDemo, worldOfDemo } from './lib/demo_page.mjs';
import { PROGRAMS, SLOW, SOURCE_DIR } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

const TENANT = 'acme-insurance';
const REVIEWER = 'usr_b5364cff'; // of all queues
const RELOADS = 10;
const RUNNING = 200;
const REVIEWS = 300;
const WITHIN = 60000 * SLOW;
const FIRST_MS = 10000 * SLOW; // until the state topic has its first record

/* The demo's backend without its clock: tasks go on as fast as the test wants. */
class Traffic {
    #random = new Random(11);
    #stream = new TaskStream(worldOfDemo, new Random(12));
    #open = []; // {task, next}

    constructor(backend) { this.backend = backend; }

    /* The events of a new task up to the first that is `last`, or as many as `last` says. */
    begin(last, wish = { tenantId: TENANT }) {
        const life = { task: this.#stream.next(wish), next: 0 };
        const count = typeof last === 'number' ? last : life.task.steps.findIndex(({ event }) => event === last) + 1;
        const events = Array.from({ length: count }, () => this.#step(life));
        if (life.next < life.task.steps.length)
            this.#open.push(life);
        return events;
    }

    #step(life) {
        const event = this.#stream.event(life.task, life.task.steps[life.next], life.next + 1, new Date());
        life.next += 1;
        return event;
    }

    #advance() {
        const place = this.#random.integer(0, this.#open.length - 1);
        const life = this.#open[place];
        const event = this.#step(life);
        if (life.next === life.task.steps.length)
            this.#open.splice(place, 1);
        return event;
    }

    run() {
        this.running = true;
        this.done = (async () => {
            for (; this.running; await sleep(20)) {
                const tenantId = this.#random.chance(0.2) ? 'nordbank' : TENANT;
                const events = this.#random.chance(0.4) ? this.begin(1, { tenantId }) : [];
                await this.backend.events(events.concat(Array.from({ length: 5 }, () => this.#advance())));
            }
        })();
    }

    async pause() {
        this.running = false;
        await this.done;
    }
}

/* What the page has to show, from the records of the topic: nothing of it is taken from the page's code or the gateway. What
 * the rules make of an event, the dispatcher says by --dry-run. */
class Truth {
    constructor(world, rules) { Object.assign(this, { world, rules }); }

    async read(queues = ['legal', 'compliance', 'finance', 'quality']) {
        const records = await this.world.broker.read(INPUT_TOPIC);
        const events = records.map(({ value }) => JSON.parse(value)).filter(({ tenantId }) => tenantId === TENANT);
        const tasks = new Map();
        for (const event of events)
            this.#apply(tasks, event);
        const reviews = await this.#reviews(events, queues);
        const inPhase = (phase) => [...tasks.values()].filter((task) => task.phase === phase);
        return {
            begun: Math.min(...records.map(({ timestamp }) => timestamp)),
            counts: Object.fromEntries([...['waiting', 'running', 'completed', 'failed'].map((phase) => [phase, inPhase(phase).length]), ['reviews', reviews.length]]),
            lists: {
                waiting: sorted(inPhase('waiting')), running: sorted(inPhase('running')),
                finished: sorted([...inPhase('completed'), ...inPhase('failed'), ...inPhase('cancelled')]),
                reviews: reviews.map(({ queue, taskId, reason }) => ({ queue, taskId, reason })),
            },
        };
    }

    #apply(tasks, { event, taskId, data }) {
        if (event === 'task.created') {
            const [{ name }] = data.documents;
            tasks.set(taskId, { taskId, title: data.documents.length > 1 ? `${name} +${data.documents.length - 1}` : name });
        }
        const task = tasks.get(taskId);
        if (event === 'task.archived')
            tasks.delete(taskId);
        else if (event === 'task.started' || event === 'task.progress')
            task.phase = 'running';
        else if (event === 'task.completed' || event === 'task.cancelled' || (event === 'task.failed' && data.final))
            task.phase = event.split('.')[1];
        else if (!event.startsWith('review.'))
            task.phase = 'waiting';
    }

    /* Soonest due first. */
    async #reviews(events, queues) {
        const input = path.join(this.world.data, 'events.json');
        fs.writeFileSync(input, events.map((event) => `${JSON.stringify(event)}\n`).join(''));
        const command = `"$0" --config ${CONFIG} --dry-run --rules "$1" < "$2"`;
        const { stdout } = await promisify(execFile)('sh', ['-c', command, PROGRAMS.dispatcher, this.rules, input], { cwd: SOURCE_DIR, maxBuffer: 1 << 30 });
        const open = new Map();
        for (const line of stdout.split('\n').filter(Boolean)) {
            for (const { reviewAlert: alert, taskStatus: status } of JSON.parse(line).notifications) {
                if (alert && queues.includes(alert.queue))
                    open.set(`${alert.queue}/${alert.taskId}`, alert);
                else if (['review.completed', 'task.archived'].includes(status?.event))
                    queues.forEach((queue) => open.delete(`${queue}/${status.taskId}`));
            }
        }
        const ranks = ['critical', 'high', 'normal', 'low'];
        return [...open.values()].sort((a, b) => Date.parse(a.dueTime) - Date.parse(b.dueTime) || ranks.indexOf(a.priority) - ranks.indexOf(b.priority)
            || (`${a.queue}/${a.taskId}` < `${b.queue}/${b.taskId}` ? -1 : 1));
    }
}

const sorted = (tasks) => tasks.map(({ taskId, title }) => ({ taskId, title })).sort((a, b) => (a.taskId < b.taskId ? -1 : 1));

/* In the page: the tiles. */
function tiles() {
    const number = (name) => Number(document.getElementById(`tile-${name}`).textContent); // NaN: not known
    return Object.fromEntries(['waiting', 'running', 'completed', 'failed', 'reviews'].map((name) => [name, number(name)]));
}

/* In the page: all rows of a list, by scrolling through it as a person would; and how many were in the document at most. */
async function rows(id) {
    const list = document.getElementById(id);
    const scroller = list.parentElement;
    const seen = new Map();
    let most = 0;
    for (let top = 0; ; top += scroller.clientHeight / 2) {
        scroller.scrollTop = top;
        scroller.dispatchEvent(new Event('scroll'));
        most = Math.max(most, list.childElementCount);
        for (const row of list.children)
            seen.set(Number(row.getAttribute('aria-posinset')), {
                taskId: row.dataset.task, queue: row.dataset.queue, title: row.querySelector('.card-title, .review-title').textContent,
                reason: row.querySelector('.chips .reason')?.textContent,
            });
        if (top + scroller.clientHeight >= scroller.scrollHeight)
            break;
    }
    scroller.scrollTop = 0;
    return { rows: [...seen].sort(([a], [b]) => a - b).map(([, row]) => row), most };
}

async function assertShows(page, { counts, lists, begun }, what, { whole = false } = {}) {
    let shown;
    const show = () => `${what}: ${JSON.stringify(shown)}, but it is ${JSON.stringify(counts)}`;
    await eventually(async () => isDeepStrictEqual(shown = await page.evaluate(tiles), counts), { timeout: WITHIN, what: show });
    if (!whole)
        return;
    for (const name of ['waiting', 'running', 'finished']) {
        const list = await page.evaluate(rows, `cards-${name}`);
        assert.deepEqual(sorted(list.rows), lists[name], `${what}: ${name}`);
        assert.ok(list.most < 60, `${what}: ${list.most} rows of ${name} are in the document`);
    }
    const list = await page.evaluate(rows, 'reviews');
    const words = (text) => ({ pii: 'Personal data' }[text] ?? (text.charAt(0).toUpperCase() + text.slice(1)).replaceAll('_', ' '));
    assert.deepEqual(list.rows.map(({ queue, taskId, reason }) => ({ queue, taskId, reason })),
        lists.reviews.map((review) => ({ ...review, reason: words(review.reason) })), `${what}: reviews`);
    assert.ok(list.rows.every(({ title }) => /\.(pdf|jpg|JPG|docx|tiff|mp3)( \+\d)?$/.test(title)), `${what}: titles of reviews`);
    assert.ok(list.most < 60, `${what}: ${list.most} reviews are in the document`);
    /* A state topic that is younger than state.retention does not pretend to be whole; it is since its first record. */
    const note = await page.evaluate(() => ({ text: document.getElementById('board-note').textContent, since: Number(document.getElementById('board-note').dataset.since) }));
    assert.match(note.text, note.since ? /^What has not changed since [^.]* is not shown\.$/ : /^$/);
    assert.ok(note.since <= begun + FIRST_MS, `${what}: since ${note.since}, the first event was there at ${begun}`);
}

test('the page shows what is so: when it opens, and after each reload', { timeout: 400000 * SLOW }, async (t) => {
    const world = await World.open(t, 'board', { topics: topicsOfDemo });
    const rules = rulesOfDemo(world);
    const truth = new Truth(world, rules);
    const traffic = new Traffic(await world.backend());
    const started = performance.now();
    const demo = await Demo.start(world, rules);

    for (let i = 0; i < REVIEWS; i += 20)
        await traffic.backend.events(Array.from({ length: 20 }, () => traffic.begin('task.completed', { tenantId: TENANT, doubtful: true })).flat());
    for (let i = 0; i < RUNNING + 20; i += 20) {
        await traffic.backend.events(Array.from({ length: 20 }, () => traffic.begin(4)).flat());
        await traffic.backend.events(traffic.begin('task.completed', { tenantId: 'nordbank', doubtful: true }));
    }
    const model = await truth.read();
    assert.ok(model.counts.running >= RUNNING && model.counts.reviews >= REVIEWS, JSON.stringify(model.counts));

    const browser = await openBrowser(world.data);
    try {
        await assertBoard(t, { world, demo, truth, traffic, model, browser });
    } catch (error) {
        await browser.page.screenshot({ path: path.join(world.logs, 'failed.png') }).catch(() => {});
        throw error;
    } finally {
        await traffic.pause();
        await browser.close();
    }
    t.diagnostic(`${RELOADS} reloads, ${Math.round(performance.now() - started)} ms`);
});

async function assertBoard(t, { world, demo, truth, traffic, model, browser }) {
    const { page } = browser;
    await page.goto(demo.address(TENANT, REVIEWER));
    const screenshot = (name) => page.screenshot({ path: path.join(world.logs, `${name}.png`) });
    await assertShows(page, model, 'opened', { whole: true });
    await screenshot('opened');
    const states = await world.metric(demo.gateway, 'smartstack_gateway_states_total');
    await traffic.backend.events(traffic.begin(1)); // the first that is live brings the session's cursor
    model = await truth.read();
    await assertShows(page, model, 'live');
    await page.reload();
    await assertShows(page, model, 'loaded again', { whole: true });
    assert.equal(await world.metric(demo.gateway, 'smartstack_gateway_states_total'), states, 'a reload goes on where it was: it asks for nothing');

    for (let i = 1; i <= RELOADS; i++) {
        traffic.run();
        await sleep(300);
        if (i % 4 === 2) // the page that is left was looking for its gateway
            await demo.killGateway();
        await page.reload();
        if (i % 4 === 0) // the page that has come loses it at once
            await demo.killGateway();
        await sleep(200);
        await traffic.pause();
        model = await truth.read();
        await assertShows(page, model, `reload ${i}`, { whole: i === RELOADS });
    }

    traffic.run(); // a gateway that cannot read the page's cursor: the page is not recovered, and asks
    await demo.killGateway({ SMARTSTACK_GATEWAY_RECOVERY_KEYS: 'another-secret-of-the-cursors-0123456789' });
    await sleep(200);
    await traffic.pause();
    model = await truth.read();
    await assertShows(page, model, 'not recovered', { whole: true });
    assert.equal(await world.metric(demo.gateway, 'smartstack_gateway_states_total'), states);

    await page.selectOption('#user', 'usr_c2b1e05f'); // a reviewer of two queues
    model = await truth.read(['compliance', 'quality']);
    await assertShows(page, model, 'another reviewer');
    await t.test('looking for one of many', () => looksForOne(page, model));
    await t.test('by keyboard alone', () => goesByKeyboard(page, model));
    await page.emulateMedia({ colorScheme: 'dark' });
    await screenshot('dark');
    assert.deepEqual(browser.trouble.filter((text) => !/ERR_CONNECTION|ERR_SOCKET_NOT_CONNECTED|ERR_EMPTY_RESPONSE|WebSocket connection/.test(text)), [], 'the page reports no error but a gateway that is away');
}

async function looksForOne(page, { lists, counts }) {
    const [{ taskId }] = lists.running;
    await page.keyboard.press('/');
    await page.keyboard.type(taskId);
    await eventually(async () => await page.textContent('#count-running') === `1 of ${lists.running.length}`, { what: 'one to be found' });
    const { rows: [found] } = await page.evaluate(rows, 'cards-running');
    assert.equal(found.taskId, taskId);
    assert.deepEqual(await page.evaluate(tiles), counts, 'what is there does not depend on what is looked for');
    const tasks = lists.waiting.length + lists.running.length + lists.finished.length;
    assert.match(await page.textContent('#filter-note'), new RegExp(`^${tasks - 1} more tasks, ${lists.reviews.length} more reviews$`));
    await page.click('#filter-clear');
    await page.selectOption('#queue', 'compliance');
    const wanted = lists.reviews.filter(({ queue }) => queue === 'compliance').length;
    await eventually(async () => await page.textContent('#count-reviews') === `${wanted} of ${lists.reviews.length}`, { what: 'one queue' });
    await page.click('#filter-clear');
    await eventually(async () => await page.textContent('#count-reviews') === String(lists.reviews.length), { what: 'all again' });
}

async function goesByKeyboard(page, { lists }) {
    const place = () => page.evaluate(() => Number(document.activeElement.closest('li')?.getAttribute('aria-posinset')));
    await page.evaluate(() => document.querySelector('#cards-running button').focus());
    for (let i = 0; i < 25; i++)
        await page.keyboard.press('ArrowDown');
    assert.equal(await place(), 26);
    await page.keyboard.press('End');
    assert.equal(await place(), lists.running.length);
    const inView = await page.evaluate(() => {
        const [row, list] = [document.activeElement.closest('li'), document.activeElement.closest('.scroller')].map((node) => node.getBoundingClientRect());
        return row.top >= list.top - 1 && row.bottom <= list.bottom + 1;
    });
    assert.ok(inView);
    await page.keyboard.press('ArrowRight');
    assert.ok(await page.evaluate(() => document.getElementById('cards-finished').contains(document.activeElement)));
    const taskId = await page.evaluate(() => document.activeElement.closest('li').dataset.task);
    await page.keyboard.press('Enter');
    await eventually(() => page.evaluate(() => [...document.querySelectorAll('#details-history b')].some(({ textContent }) => textContent === 'task.created')),
        { timeout: WITHIN, what: 'the past of a task' });
    assert.ok((await page.textContent('#details-room')).includes(taskId));
    await page.keyboard.press('Escape');
    assert.ok(await page.evaluate((id) => document.activeElement.closest('li')?.dataset.task === id, taskId), 'the focus is where it was');
}
