/* The 32 tests of the official suite for Socket.IO version 5, at /socket.io/. The application they need: namespaces "/"
 * and "/custom", an event `auth` with the CONNECT payload, `message` answered by `message-back`, `message-with-ack` by
 * its ack; no connection state recovery. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closeTests, endpoint, handshakeTests, heartbeatTests, upgradeTests } from './transport_tests.mjs';
import { BRIEF } from './wire.mjs';

const PATH = '/socket.io/';
const at = endpoint(PATH);

/* A connection to the main namespace, its answer and `auth` read. */
async function connected() {
    const peer = await at.openWebSocket();
    peer.send('40');
    await peer.next();
    await peer.next();
    return peer;
}

/* CONNECT is answered with a sid and nothing else, then by the application's `auth`. */
async function assertConnects({ sent, prefix, auth }) {
    const peer = await at.openWebSocket();
    peer.send(sent);
    const answer = await peer.next();
    assert.ok(answer.startsWith(prefix), answer);
    const body = JSON.parse(answer.slice(prefix.length));
    assert.deepEqual(Object.keys(body), ['sid']);
    assert.equal(typeof body.sid, 'string');
    assert.equal(await peer.next(), auth);
}

async function assertCloses(peer, packet) {
    peer.send(packet);
    await peer.closed();
}

describe('socket.io', () => {
    handshakeTests(PATH);
    heartbeatTests(PATH);
    closeTests(PATH);
    upgradeTests(PATH, { echo: false });

    describe('connect', () => {
        it('to the main namespace', BRIEF, () => assertConnects(
            { sent: '40', prefix: '40', auth: '42["auth",{}]' }));
        it('to the main namespace with a payload', BRIEF, () => assertConnects(
            { sent: '40{"token":"123"}', prefix: '40', auth: '42["auth",{"token":"123"}]' }));
        it('to a custom namespace', BRIEF, () => assertConnects(
            { sent: '40/custom,', prefix: '40/custom,', auth: '42/custom,["auth",{}]' }));
        it('to a custom namespace with a payload', BRIEF, () => assertConnects(
            { sent: '40/custom,{"token":"abc"}', prefix: '40/custom,', auth: '42/custom,["auth",{"token":"abc"}]' }));
        it('to an unknown namespace is refused by a CONNECT_ERROR', BRIEF, async () => {
            const peer = await at.openWebSocket();
            peer.send('40/random');
            assert.equal(await peer.next(), '44/random,{"message":"Invalid namespace"}');
        });
        it('anything else before it closes the connection', BRIEF, async () => {
            await assertCloses(await at.openWebSocket(), '4abc');
        });
        it('without it the connection is closed', BRIEF, async () => {
            await at.peer().closed();
        });
    });

    describe('disconnect', () => {
        it('from the main namespace leaves the connection open', BRIEF, async () => {
            const peer = await connected();
            peer.send('41');
            assert.equal(await peer.next(), '2');
        });
        it('from a custom namespace leaves the main one connected', BRIEF, async () => {
            const peer = await connected();
            assert.equal(await peer.next(), '2'); // not answered: another packet keeps the connection for a while
            peer.send('40/custom');
            await peer.next();
            await peer.next();
            peer.send('41/custom', '42["message","message to main namespace"]');
            assert.equal(await peer.next(), '42["message-back","message to main namespace"]');
        });
    });

    describe('message', () => {
        const attachments = [Buffer.from([1, 2, 3]), Buffer.from([4, 5, 6])];
        const placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';

        it('with a plain payload comes back unchanged', BRIEF, async () => {
            const peer = await connected();
            peer.send('42["message",1,"2",{"3":[true]}]');
            assert.equal(await peer.next(), '42["message-back",1,"2",{"3":[true]}]');
        });
        it('with attachments comes back with them', BRIEF, async () => {
            const peer = await connected();
            peer.send(`452-["message",${placeholders}]`, ...attachments);
            assert.deepEqual(await peer.nextBesidesPings(3), [`452-["message-back",${placeholders}]`, ...attachments]);
        });
        it('with an ack is acknowledged', BRIEF, async () => {
            const peer = await connected();
            peer.send('42456["message-with-ack",1,"2",{"3":[false]}]');
            assert.equal(await peer.next(), '43456[1,"2",{"3":[false]}]');
        });
        it('with attachments and an ack is acknowledged with them', BRIEF, async () => {
            const peer = await connected();
            peer.send(`452-789["message-with-ack",${placeholders}]`, ...attachments);
            assert.deepEqual(await peer.nextBesidesPings(3), [`462-789[${placeholders}]`, ...attachments]);
        });
        it('of no known type closes the connection', BRIEF, async () => {
            await assertCloses(await connected(), '4abc');
        });
        it('with a payload that is no array closes the connection', BRIEF, async () => {
            await assertCloses(await connected(), '42{}');
        });
        it('with an ack id that is no number closes the connection', BRIEF, async () => {
            await assertCloses(await connected(), '42abc["message-with-ack",1,"2",{"3":[false]}]');
        });
    });
});
