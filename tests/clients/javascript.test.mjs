/* What the stock JavaScript client makes of the server: on the application that its project's own tests use. By polling, by
 * WebSocket, and by the default, an upgrade. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { io, Manager } from 'socket.io-client';
import { newLogDirectory, SLOW } from '../integration/lib/places.mjs';
import { eventually, sleep } from '../integration/lib/wait.mjs';
import { endWell, startEcho } from './lib/echo.mjs';

const LOGS = newLogDirectory('javascript');
const LIMIT = { timeout: 20000 * SLOW };
const TRANSPORTS = [['polling'], ['websocket'], ['polling', 'websocket']];
let server;
const open = new Set();

before(async () => {
    server = await startEcho(path.join(LOGS, 'echo.log'), {
        options: ['--application', 'client-suite', '--ping-interval', 2000, '--ping-timeout', 20000, '--connect-timeout', 20000],
    });
});
after(() => endWell(server));
/* With every other namespace of its connection: a client that goes on trying would keep the program alive. */
afterEach(() => {
    for (const socket of open) {
        socket.disconnect();
        socket.io.reconnection(false);
        socket.io.engine?.close();
    }
    open.clear();
});

function client(transports, namespace = '/', options = {}) {
    const socket = io(server.url + namespace, { forceNew: true, transports, reconnectionDelay: 10, ...options });
    open.add(socket);
    return socket;
}
/* The arguments of the next such event. */
const next = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
const never = (emitter, event) => emitter.on(event, () => assert.fail(`${event} happened`));
const isOffset = (value) => assert.equal(typeof value, 'string');

for (const transports of TRANSPORTS)
    describe(`stock client by ${transports.join(' and ')}`, { timeout: 240000 * SLOW }, () => {
        const connected = async (...more) => {
            const socket = client(transports, ...more);
            await next(socket, 'connect');
            return socket;
        };

        it('has the id that the server knows it by, another one in each namespace, and none that the transport shows', LIMIT, async () => {
            const socket = await connected();
            const foo = socket.io.socket('/foo');
            const ids = [await socket.emitWithAck('getId'), await foo.emitWithAck('getId')];
            assert.deepEqual(ids, [socket.id, foo.id]);
            assert.equal(new Set([...ids, socket.io.engine.id]).size, 3);
        });

        it('gives its query and its auth to the application', LIMIT, async () => {
            const socket = client(transports, '/abc', { query: { '&a': '&=?a' }, auth: (give) => give({ e: 'f', list: [1] }) });
            const [handshake] = await next(socket, 'handshake');
            assert.deepEqual(handshake.auth, { e: 'f', list: [1] });
            assert.equal(handshake.query['&a'], '&=?a');
            const other = client(transports, '/abc?b=c&d=e%26');
            const [{ query }] = await next(other, 'handshake');
            assert.deepEqual([query.b, query.d], ['c', 'e&']);
        });

        it('is asked for an ack, and its answer arrives', LIMIT, async () => {
            const socket = await connected();
            socket.on('ack', (give) => give(5, { test: true }));
            socket.emit('ack');
            isOffset((await next(socket, 'got it')).at(-1));
        });

        it('sends and gets binary data, alone and among JSON, before and behind text', LIMIT, async () => {
            const socket = await connected();
            socket.emit('doge');
            assert.deepEqual((await next(socket, 'doge'))[0], Buffer.from('asdfasdf'));
            socket.emit('jsonbuff', { hello: 'lol', message: Buffer.from('howdy'), goodbye: 'gotcha' });
            await next(socket, 'jsonbuff-ack');
            socket.emit('abuff1', Uint8Array.of(1, 2));
            socket.emit('abuff2', 'second');
            await next(socket, 'abuff2-ack');
            assert.deepEqual(await socket.emitWithAck('echo', [Buffer.alloc(0), { x: Buffer.from([0, 255]) }]), [Buffer.alloc(0), { x: Buffer.from([0, 255]) }]);
        });

        it('gets texts of every script as they are', LIMIT, async () => {
            const socket = await connected();
            const got = [];
            socket.on('takeUtf8', (text) => got.push(text));
            socket.emit('getUtf8');
            await eventually(() => got.length === 5);
            assert.deepEqual(got.slice(0, 3), ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß']);
            for (const text of ['\0\x1e\u2028', '\ud83d\ude00', '\ud800 alone', '"\\'])
                assert.equal(await socket.emitWithAck('echo', text), text);
        });

        it('is told why it is not let in, and does not come back for it', LIMIT, async () => {
            const socket = client(transports, '/no');
            const [error] = await next(socket, 'connect_error');
            assert.equal(error.message, 'Auth failed (custom namespace)');
            never(socket, 'connect_error');
            const [other] = await next(client(transports, '/?fail=1'), 'connect_error');
            assert.equal(other.message, 'Auth failed (main namespace)');
            const [unknown] = await next(client(transports, '/nowhere'), 'connect_error');
            assert.equal(unknown.message, 'Invalid namespace');
            await sleep(100);
        });

        it('leaves one namespace and keeps the connection for the other', LIMIT, async () => {
            const foo = await connected('/foo');
            const asd = foo.io.socket('/asd');
            await next(asd, 'connect');
            never(asd, 'disconnect');
            const engine = foo.io.engine;
            foo.disconnect();
            await sleep(100);
            assert.ok(asd.connected);
            foo.connect();
            await next(foo, 'connect');
            assert.equal(foo.io.engine, engine);
            asd.off('disconnect');
        });

        it('leaves and comes back as another', LIMIT, async () => {
            const socket = await connected();
            const { id } = socket;
            const engine = socket.io.engine;
            socket.disconnect();
            socket.connect();
            await next(socket, 'connect');
            assert.notEqual(socket.id, id);
            assert.notEqual(socket.io.engine, engine);
            assert.equal(socket.recovered, false);
        });

        it('comes back as itself when its connection was lost', LIMIT, async () => {
            const socket = await connected();
            socket.emit('hi');
            await next(socket, 'hi');
            for (let i = 0; i < 3; i++) {
                const { id } = socket;
                socket.io.engine.close();
                await next(socket, 'connect');
                assert.deepEqual([socket.recovered, socket.id], [true, id]);
                assert.equal(await socket.emitWithAck('getId'), id);
                socket.emit('hi');
                await next(socket, 'hi');
            }
        });

        it('without an event behind it comes back as another', LIMIT, async () => {
            const socket = await connected();
            const { id } = socket;
            socket.io.engine.close();
            await next(socket, 'connect');
            assert.equal(socket.recovered, false);
            assert.notEqual(socket.id, id);
        });

        it('sends in order what was emitted before it was connected, and what it must repeat', LIMIT, async () => {
            const socket = client(transports, '/', { autoConnect: false, retries: 2, ackTimeout: 5000 });
            const answers = Array.from({ length: 10 }, (_, i) => socket.emitWithAck('echo', i));
            socket.connect();
            assert.deepEqual(await Promise.all(answers), Array.from({ length: 10 }, (_, i) => i));
            await assert.rejects(socket.timeout(100).emitWithAck('unknown'));
        });
    });

describe('stock client', LIMIT, () => {
    it('flows on through the upgrade: nothing lost, doubled or out of order', LIMIT, async () => {
        const socket = client(['polling', 'websocket']);
        const got = [];
        for (let i = 0; i < 300; i++) {
            socket.emit('echo', [i, Buffer.from([i & 255])], ([index]) => got.push(index));
            if (i % 10 === 0)
                await sleep(1);
        }
        await eventually(() => got.length === 300);
        assert.deepEqual(got, Array.from({ length: 300 }, (_, i) => i));
        assert.equal(socket.io.engine.transport.name, 'websocket');
    });

    it('has several managers that know nothing of each other', LIMIT, async () => {
        const managers = [new Manager(server.url), new Manager(server.url)];
        const sockets = managers.map((manager) => manager.socket('/'));
        sockets.forEach((socket) => open.add(socket));
        await Promise.all(sockets.map((socket) => next(socket, 'connect')));
        sockets[0].io.engine.close();
        assert.equal(await sockets[1].emitWithAck('echo', 'here'), 'here');
    });
});
