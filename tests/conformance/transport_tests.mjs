/* The part that the two official suites share: sixteen tests of Engine.IO version 4 as a transport, at any path.
 * https://socket.io/docs/v4/engine-io-protocol/ */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BRIEF, PATIENT, Peer, request, server, sleep } from './wire.mjs';

/* The official suite waits for exactly interval and timeout, but the library that it asks with takes a little longer
 * to send a request than ours does; node's timers round up, twice. */
const CLIENT_OVERHEAD_MS = 3;

/* Where an endpoint's requests go. */
export function endpoint(path) {
    const polling = (sid, more = '') => `${path}?EIO=4&transport=polling${sid ? `&sid=${sid}` : ''}${more}`;
    const websocket = (sid) => `${path}?EIO=4&transport=websocket${sid ? `&sid=${sid}` : ''}`;
    return {
        path,
        polling,
        websocket,
        get: (sid, options, more) => request('GET', polling(sid, more), options),
        post: (sid, body) => request('POST', polling(sid), { body }),
        peer: (sid) => new Peer(websocket(sid)),
        async openPolling() {
            const answer = await request('GET', polling());
            return JSON.parse(answer.body.slice(1)).sid;
        },
        async openWebSocket() {
            const peer = new Peer(websocket());
            await peer.next(); // the handshake
            return peer;
        },
        async probe(sid) {
            const peer = new Peer(websocket(sid));
            await peer.opened();
            peer.send('2probe');
            assert.equal(await peer.next(), '3probe');
            return peer;
        },
    };
}

/* The opening packet: exactly these fields. */
function assertHandshake(packet, upgrades) {
    assert.equal(packet[0], '0');
    const handshake = JSON.parse(packet.slice(1));
    assert.deepEqual(Object.keys(handshake).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
    assert.equal(typeof handshake.sid, 'string');
    assert.deepEqual(handshake.upgrades, upgrades);
    assert.equal(handshake.pingInterval, server.pingInterval);
    assert.equal(handshake.pingTimeout, server.pingTimeout);
    assert.equal(handshake.maxPayload, server.maxPayload);
}

export function handshakeTests(path) {
    const at = endpoint(path);

    describe('handshake over polling', () => {
        it('a GET opens a session, its packet alone in the body', BRIEF, async () => {
            const answer = await at.get();
            assert.equal(answer.status, 200);
            assertHandshake(answer.body, ['websocket']);
        });
        it('a missing or unknown EIO is refused with 400', BRIEF, async () => {
            for (const query of ['transport=polling', 'EIO=abc&transport=polling'])
                assert.equal((await request('GET', `${path}?${query}`)).status, 400, query);
        });
        it('a missing or unknown transport is refused with 400', BRIEF, async () => {
            for (const query of ['EIO=4', 'EIO=4&transport=abc'])
                assert.equal((await request('GET', `${path}?${query}`)).status, 400, query);
        });
        it('a POST or PUT without a session is refused with 400', BRIEF, async () => {
            for (const method of ['POST', 'PUT'])
                assert.equal((await request(method, at.polling())).status, 400, method);
        });
    });

    describe('handshake over WebSocket', () => {
        it('the first frame is the handshake, with no upgrades', BRIEF, async () => {
            assertHandshake(await at.peer().next(), []);
        });
        it('a missing or unknown EIO closes the connection', BRIEF, async () => {
            for (const query of ['transport=websocket', 'EIO=abc&transport=websocket'])
                await new Peer(`${path}?${query}`).closed();
        });
        it('a missing or unknown transport closes the connection', BRIEF, async () => {
            for (const query of ['EIO=4', 'EIO=4&transport=abc'])
                await new Peer(`${path}?${query}`).closed();
        });
    });
}

export function heartbeatTests(path) {
    const at = endpoint(path);

    describe('heartbeat over polling', () => {
        it('a GET waits for the ping, a POST answers it, three times', PATIENT, async () => {
            const sid = await at.openPolling();
            for (let i = 0; i < 3; i++) {
                const ping = await at.get(sid);
                assert.deepEqual([ping.status, ping.body], [200, '2']);
                assert.equal((await at.post(sid, '3')).status, 200);
            }
        });
        it('without a pong the session is gone after interval and timeout', PATIENT, async () => {
            const sid = await at.openPolling();
            await sleep(server.pingInterval + server.pingTimeout + CLIENT_OVERHEAD_MS);
            assert.equal((await at.get(sid)).status, 400);
        });
    });

    describe('heartbeat over WebSocket', () => {
        it('pings are sent and answered, three times', PATIENT, async () => {
            const peer = await at.openWebSocket();
            for (let i = 0; i < 3; i++) {
                assert.equal(await peer.next(), '2');
                peer.send('3');
            }
        });
        it('without a pong the connection is closed', PATIENT, async () => {
            await at.peer().closed();
        });
    });
}

export function closeTests(path) {
    const at = endpoint(path);

    describe('close', () => {
        it('over polling: a waiting GET ends with a noop, then the session is gone', BRIEF, async () => {
            const sid = await at.openPolling();
            const [poll] = await Promise.all([at.get(sid), at.post(sid, '1')]);
            assert.deepEqual([poll.status, poll.body], [200, '6']);
            assert.equal((await at.get(sid)).status, 400);
        });
        it('over WebSocket: the connection is closed', BRIEF, async () => {
            const peer = await at.openWebSocket();
            peer.send('1');
            await peer.closed();
        });
    });
}

/* With `echo`, that the upgraded connection still carries messages is checked as well: it needs a bare Engine.IO echo. */
export function upgradeTests(path, { echo }) {
    const at = endpoint(path);
    const assertEchoes = async (peer) => {
        if (!echo)
            return;
        peer.send('4hello');
        assert.equal(await peer.next(), '4hello');
    };

    describe('upgrade', () => {
        it('a probed WebSocket takes the session over', BRIEF, async () => {
            const sid = await at.openPolling();
            const peer = await at.probe(sid);
            if (echo) { // a GET sent after the probe is released by a noop
                const poll = await at.get(sid);
                assert.deepEqual([poll.status, poll.body], [200, '6']);
            }
            peer.send('5');
            await assertEchoes(peer);
        });
        it('after it a GET with the session is refused', BRIEF, async () => {
            const sid = await at.openPolling();
            const peer = await at.probe(sid);
            peer.send('5');
            assert.equal((await at.get(sid)).status, 400);
            await assertEchoes(peer);
        });
        it('after it another WebSocket with the session is closed', BRIEF, async () => {
            const sid = await at.openPolling();
            const peer = await at.probe(sid);
            peer.send('5');
            const second = at.peer(sid);
            await second.opened(); // the official suite dies of a refused handshake
            await second.closed();
            await assertEchoes(peer);
        });
    });
}
