/* The 25 tests of the official suite for Engine.IO version 4, against a bare echo at /engine.io/. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closeTests, endpoint, handshakeTests, heartbeatTests, upgradeTests } from './transport_tests.mjs';
import { BRIEF, sleep } from './wire.mjs';

const PATH = '/engine.io/';
const at = endpoint(PATH);

/* In this time a request has been sent and read, also on a busy machine. (The official suite waits for 5 ms: what is sent on
 * two connections has no order, and there the abort, or the second poll, was at times the first that the server saw.) */
const READ_MS = 50;

/* A payload posted to the echo comes back in one GET, byte for byte. */
async function assertEchoedWhole(payload) {
    const sid = await at.openPolling();
    const post = await at.post(sid, payload);
    assert.deepEqual([post.status, post.body], [200, 'ok']);
    const poll = await at.get(sid);
    assert.deepEqual([poll.status, poll.body], [200, payload]);
}

describe('engine.io', () => {
    handshakeTests(PATH);

    describe('message over polling', () => {
        it('one text packet is echoed', BRIEF, () => assertEchoedWhole('4hello'));
        it('several text packets come back as one payload', BRIEF, () => assertEchoedWhole('4test1\x1e4test2\x1e4test3'));
        it('text and binary packets come back in order', BRIEF, () => assertEchoedWhole('4hello\x1ebAQIDBA=='));
        it('a packet of no known type closes the session', BRIEF, async () => {
            const sid = await at.openPolling();
            await at.post(sid, 'abc').catch(() => {}); // refused or cut off, either will do
            assert.equal((await at.get(sid)).status, 400);
        });
        it('a second GET while one waits closes the session and ends both', BRIEF, async () => {
            const sid = await at.openPolling();
            const [first, second] = await Promise.all([at.get(sid), sleep(READ_MS).then(() => at.get(sid, {}, '&t=burst'))]);
            assert.deepEqual([first.status, first.body], [200, '1']);
            assert.ok([400, 500].includes(second.status), `status ${second.status}`);
            assert.equal((await at.get(sid)).status, 400);
        });
        it('a GET that its client gives up closes the session', BRIEF, async () => {
            const sid = await at.openPolling();
            const controller = new AbortController();
            at.get(sid, { signal: controller.signal }).catch(() => {});
            await sleep(READ_MS);
            controller.abort();
            assert.equal((await at.get(sid)).status, 400);
        });
    });

    describe('message over WebSocket', () => {
        it('a text packet is echoed', BRIEF, async () => {
            const peer = await at.openWebSocket();
            peer.send('4hello');
            assert.equal(await peer.next(), '4hello');
        });
        it('a binary frame is echoed with nothing added', BRIEF, async () => {
            const peer = await at.openWebSocket();
            const frame = Buffer.from([1, 2, 3, 4]);
            peer.send(frame);
            assert.deepEqual(await peer.next(), frame);
        });
        it('a packet of no known type closes the connection', BRIEF, async () => {
            const peer = await at.openWebSocket();
            peer.send('abc');
            await peer.closed();
        });
    });

    heartbeatTests(PATH);
    closeTests(PATH);
    upgradeTests(PATH, { echo: true });
});
