/* deploy/demo as a person meets it: the command, its ready line, a browser on its page, Ctrl-C. On the embedded broker,
 * and on a real one. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { encodeTaskEvent, produceByKcat } from './lib/backend.mjs';
import { openBrowser } from './lib/browser.mjs';
import { describeProcesses, freshMark, processesMarked } from './lib/marks.mjs';
import { PROGRAMS } from './lib/places.mjs';
import { freePort } from './lib/ports.mjs';
import { eventually } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const WITHIN = 90000;
const UPDATES = 20;

/* The demo in a process group of its own, as a terminal starts it. */
class Demo {
    constructor(args, log) {
        this.mark = freshMark();
        this.log = log;
        const output = fs.openSync(log, 'a');
        this.child = spawn(PROGRAMS.demo, args, { detached: true, stdio: ['ignore', 'pipe', output], env: { ...process.env, ...this.mark } });
        this.lines = [];
        let rest = '';
        this.child.stdout.on('data', (chunk) => {
            fs.writeSync(output, chunk);
            const parts = (rest + chunk).split('\n');
            rest = parts.pop();
            this.lines.push(...parts);
        });
        this.ended = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve({ code, signal })));
        process.once('exit', () => this.killAll());
    }

    text() { return fs.readFileSync(this.log, 'utf8').split('\n').slice(-40).join('\n'); }

    async waitReady(url) {
        await eventually(() => {
            if (this.child.exitCode !== null)
                throw Object.assign(new Error(`deploy/demo has ended\n${this.text()}`), { final: true });
            return this.lines.includes(`ready ${url}`);
        }, { timeout: 420000, what: () => `ready ${url}\n${this.text()}` });
    }

    /* As Ctrl-C does: to the whole group. Or as a service manager does: to the command alone. */
    interrupt() { process.kill(-this.child.pid, 'SIGINT'); }
    terminate() { this.child.kill('SIGTERM'); }
    left() { return processesMarked(this.mark); }
    killAll() {
        for (const pid of this.left())
            process.kill(pid, 'SIGKILL');
    }

    async assertLeavesNothing() {
        const end = await Promise.race([this.ended, new Promise((resolve) => { setTimeout(resolve, 60000, null).unref(); })]);
        assert.ok(end, `deploy/demo has not ended\n${describeProcesses(this.left())}`);
        await eventually(() => this.left().length === 0, { what: () => `no process left:\n${describeProcesses(this.left())}` });
    }
}

/* Counts what changes on the task board, apart from its clocks, and the alerts in the review queue. Runs in the page. */
function watchBoard() {
    const seen = new Map();
    window.boardUpdates = 0;
    setInterval(() => {
        for (const card of document.querySelectorAll('[data-task][data-phase]')) {
            const bar = card.querySelector('[role=progressbar]');
            const state = [card.dataset.phase, bar?.getAttribute('aria-valuenow'), card.querySelector('.card-foot')?.firstElementChild?.textContent].join('|');
            if (seen.get(card.dataset.task) !== state)
                window.boardUpdates++;
            seen.set(card.dataset.task, state);
        }
        window.reviewAlerts = document.querySelectorAll('#reviews > li').length;
    }, 50);
}

async function assertLivePage(world, url, t) {
    const browser = await openBrowser(world.data);
    try {
        const started = performance.now();
        await browser.page.goto(url);
        await browser.page.evaluate(watchBoard);
        const counts = () => browser.page.evaluate(() => ({ updates: window.boardUpdates, alerts: window.reviewAlerts }));
        let last;
        await eventually(async () => {
            last = await counts();
            return last.updates >= UPDATES && last.alerts >= 1;
        }, { timeout: WITHIN, interval: 100, what: () => `${UPDATES} updates and an alert, but ${JSON.stringify(last)}; page: ${browser.trouble.join('; ')}` });
        t.diagnostic(`${last.updates} updates and ${last.alerts} alerts after ${Math.round(performance.now() - started)} ms`);
        await browser.page.screenshot({ path: path.join(world.logs, 'page.png') });
        assert.deepEqual(browser.trouble, [], 'the page reports no error');
        return browser;
    } catch (error) {
        await browser.page.screenshot({ path: path.join(world.logs, 'page-failed.png') }).catch(() => {});
        await browser.close();
        throw error;
    }
}

test('deploy/demo shows live tasks in a browser, and Ctrl-C leaves nothing behind', { timeout: 900000 }, async (t) => {
    const world = await World.open(t, 'demo-embedded', { broker: 'none' });
    const port = await freePort();
    const demo = new Demo(['--port', String(port), '--no-install'], path.join(world.logs, 'demo.log'));
    t.after(() => demo.killAll());
    const url = `http://127.0.0.1:${port}`;
    await demo.waitReady(url);
    const browser = await assertLivePage(world, url, t);
    await browser.close();
    demo.interrupt();
    await demo.assertLeavesNothing();
});

test('deploy/demo --kafka does the same on a real broker, with events of other producers', { timeout: 900000 }, async (t) => {
    const world = await World.open(t, 'demo-kafka', { topics: {} });
    const port = await freePort();
    const demo = new Demo(['--port', String(port), '--no-install', '--kafka', world.broker.address], path.join(world.logs, 'demo.log'));
    t.after(() => demo.killAll());
    const url = `http://127.0.0.1:${port}`;
    await demo.waitReady(url);
    const browser = await assertLivePage(world, url, t);

    /* Whoever the page stands for sees tasks of this tenant. */
    const tenantId = await browser.page.evaluate(() => document.getElementById('tenant').value);
    const userId = await browser.page.evaluate(() => document.getElementById('user').value);
    const backend = await world.backend();
    const event = (taskId, extra) => taskEvent({ taskId, n: 1, event: 'task.created', tenantId, userId, ...extra });
    const protobuf = { 'content-type': 'application/protobuf' };
    await backend.events([event('from-kafkajs-json')]);
    await backend.events([event('from-kafkajs-protobuf')], 'protobuf');
    await produceByKcat(world.broker, { key: 'from-kcat-json', value: JSON.stringify(event('from-kcat-json')) }, { directory: world.data });
    await produceByKcat(world.broker, { key: 'from-kcat-protobuf', value: encodeTaskEvent(event('from-kcat-protobuf')), headers: protobuf },
        { directory: world.data });
    await browser.page.fill('#search', 'from-k'); // among however many
    for (const taskId of ['from-kafkajs-json', 'from-kafkajs-protobuf', 'from-kcat-json', 'from-kcat-protobuf'])
        await browser.page.waitForSelector(`[data-task="${taskId}"]`, { timeout: WITHIN, state: 'attached' });
    assert.deepEqual(browser.trouble, []);
    await browser.close();
    demo.terminate();
    await demo.assertLeavesNothing();
});
