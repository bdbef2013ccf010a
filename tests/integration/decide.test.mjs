/* Two reviewers before the demo's page decide what comes up: by keyboard alone, side by side, with a page that is loaded again
 * and a dispatcher that is killed meanwhile. No page ever shows a review going back, and the backend gets each decision once. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { openBrowser } from './lib/browser.mjs';
import { Demo, rulesOfDemo, topicsOfDemo, worldOfDemo } from './lib/demo_page.mjs';
import { SLOW } from './lib/places.mjs';
import { eventually, sleep } from './lib/wait.mjs';
import { taskEvent, World } from './lib/world.mjs';

const TENANT = 'acme-insurance';
const { users, projects } = worldOfDemo.tenants.find(({ id }) => id === TENANT);
const [ANN, BOB] = users.filter(({ reviewQueues }) => reviewQueues.includes('compliance'));
const OWNER = users.find((user) => user !== ANN && user !== BOB);
const WITHIN = 60000 * SLOW;
const EXPECTED = /ERR_CONNECTION|ERR_SOCKET_NOT_CONNECTED|ERR_EMPTY_RESPONSE|WebSocket connection/;

/* A completed task with personal data: for compliance. */
const doubt = (taskId) => taskEvent({
    taskId, n: 1, event: 'task.completed', tenantId: TENANT, userId: OWNER.id, projectId: projects[0].id,
    data: { confidence: 0.9, pii: { detected: true, redacted: false, kinds: ['iban'] }, documents: [{ name: `${taskId}.pdf` }] },
});

/* In the page: what each review shows, as it changes. */
function watchReviews() {
    window.versions = {};
    window.backwards = [];
    const look = () => {
        for (const { dataset } of document.querySelectorAll('#reviews > li')) {
            const seen = window.versions[dataset.key] ??= [];
            const version = Number(dataset.version);
            if (seen.length && version < seen.at(-1))
                window.backwards.push([dataset.key, seen.at(-1), version]);
            if (version !== seen.at(-1))
                seen.push(version);
        }
    };
    new MutationObserver(look).observe(document.getElementById('reviews'), { subtree: true, childList: true, attributes: true });
    look();
}

class Reviewer {
    static async open(world, demo, user, name) {
        const directory = path.join(world.data, name);
        fs.mkdirSync(directory);
        const browser = await openBrowser(directory);
        const reviewer = Object.assign(new Reviewer(), { browser, page: browser.page, name });
        await browser.page.addInitScript(`document.addEventListener('DOMContentLoaded', ${watchReviews})`);
        await browser.page.goto(demo.address(TENANT, user.id));
        return reviewer;
    }

    /* What it shows of the task's review; null: nothing. */
    review(taskId) {
        return this.page.evaluate((id) => {
            const row = document.querySelector(`#reviews > li[data-task="${id}"]`);
            return row && {
                state: row.dataset.state, holder: row.querySelector('.review-holder').textContent,
                may: [...row.querySelectorAll('.action')].filter(({ hidden }) => !hidden).map(({ dataset }) => dataset.act),
            };
        }, taskId);
    }

    async shows(taskId, expected) {
        let shown;
        await eventually(async () => JSON.stringify(shown = await this.review(taskId)) === JSON.stringify(expected),
            { timeout: WITHIN, what: () => `${this.name} to see ${JSON.stringify(expected)}, not ${JSON.stringify(shown)}` });
    }

    /* The keyboard on the review's row. */
    async press(taskId, ...keys) {
        await this.page.focus(`#reviews > li[data-task="${taskId}"] .review-title`);
        for (const key of keys)
            await this.page.keyboard.press(key);
    }

    async hears(text) {
        await this.page.waitForFunction((wanted) => [...document.querySelectorAll('#feed .notice')].some(({ textContent }) => textContent.includes(wanted)),
            text, { timeout: WITHIN });
    }
}

test('two people decide side by side', { timeout: 300000 * SLOW }, async (t) => {
    const world = await World.open(t, 'decide', { topics: topicsOfDemo });
    const demo = await Demo.start(world, rulesOfDemo(world), { reviews: true });
    const backend = await world.backend();
    const [ann, bob] = await Promise.all([Reviewer.open(world, demo, ANN, 'ann'), Reviewer.open(world, demo, BOB, 'bob')]);
    try {
        await decideSideBySide({ world, demo, backend, ann, bob });
    } finally { // their profiles are in the world's folder
        await Promise.all([ann, bob].map(({ browser }) => browser.close()));
    }
});

async function decideSideBySide({ world, demo, backend, ann, bob }) {
    const both = (taskId, forAnn, forBob = forAnn) => Promise.all([ann.shows(taskId, forAnn), bob.shows(taskId, forBob)]);
    const open = { state: 'open', holder: '', may: ['claim', 'decide'] };
    const of = ({ name }, may) => ({ state: 'claimed', holder: `${name} has it`, may });

    await backend.events(['one', 'two', 'three'].map(doubt));
    for (const taskId of ['one', 'two', 'three'])
        await both(taskId, open);

    await ann.press('one', 'c');
    await both('one', of(ANN, ['release', 'decide']), of(ANN, ['take']));
    await bob.press('one', 't');
    await both('one', of(BOB, ['take']), of(BOB, ['release', 'decide']));
    await bob.press('one', 'r');
    await both('one', open, { ...open, may: ['undo', 'decide'] });
    await bob.press('one', 'u');
    await both('one', of(BOB, ['take']), of(BOB, ['release', 'decide']));

    await bob.page.reload(); // what he has is his
    await bob.shows('one', of(BOB, ['release', 'decide']));
    const decide = async () => {
        await bob.press('one', 'd');
        await bob.page.keyboard.type('the account number is right');
    };
    await decide();
    await bob.page.screenshot({ path: path.join(world.logs, 'decision.png') });
    await demo.dispatcher.kill();
    await bob.page.keyboard.press('Control+Enter');
    demo.dispatcher.start();
    await world.waitReady(demo.dispatcher);
    /* Who is not heard for long is not heard at all, and may say it again. */
    for (let review; (review = await bob.review('one')); await sleep(500))
        if (review.may.includes('decide')) {
            await decide();
            await bob.page.keyboard.press('Control+Enter');
        }
    await both('one', null);
    await bob.hears('Decided');

    /* At once: one of them is too late, and is told. */
    await Promise.all([ann.press('two', 'c'), bob.press('two', 'c')]);
    await eventually(async () => (await ann.review('two')).state === 'claimed', { timeout: WITHIN, what: 'one to have it' });
    const annHasIt = (await ann.review('two')).holder.startsWith(ANN.name);
    const [holder, loser, who] = annHasIt ? [ann, bob, ANN] : [bob, ann, BOB];
    await both('two', of(who, annHasIt ? ['release', 'decide'] : ['take']), of(who, annHasIt ? ['take'] : ['release', 'decide']));
    await loser.hears(`${who.name} was faster`);

    /* He has the dialog open when it is taken from him: he decides nothing. */
    await holder.press('two', 'd');
    await loser.press('two', 't');
    await holder.page.waitForFunction(() => document.getElementById('decision-submit').disabled, null, { timeout: WITHIN });
    assert.match(await holder.page.textContent('#decision-why'), /has it now\.$/);
    await holder.page.keyboard.press('Control+Enter');
    await holder.page.keyboard.press('Escape');
    await loser.press('two', 'd');
    assert.deepEqual(await loser.page.$$eval('#decision-choices input', (choices) => choices.map(({ value }) => value)), ['approve', 'edit', 'reject']);
    await loser.page.check('#decision-choices input[value=edit]');
    await loser.page.click('#decision-submit');
    await both('two', null);

    /* The backend goes on by itself. */
    await ann.press('three', 'c');
    await ann.shows('three', of(ANN, ['release', 'decide']));
    await backend.events([taskEvent({ taskId: 'three', n: 2, event: 'task.archived', tenantId: TENANT, userId: OWNER.id, projectId: projects[0].id })]);
    await both('three', null);

    const decisions = (await world.broker.read('reviews.decisions')).map(({ key, value }) => [key.toString(), JSON.parse(value)]);
    assert.deepEqual(decisions.map(([taskId, { decision, by, comment }]) => [taskId, decision, by, comment]).sort(), [
        ['one', 'approve', BOB.id, 'the account number is right'],
        ['two', 'edit', loser === ann ? ANN.id : BOB.id, undefined],
    ]);
    for (const { page, name, browser } of [ann, bob]) {
        assert.deepEqual(await page.evaluate(() => window.backwards), [], `${name} saw a review go back`);
        assert.deepEqual(browser.trouble.filter((text) => !EXPECTED.test(text)), [], `the page of ${name} reports no error`);
    }
}
