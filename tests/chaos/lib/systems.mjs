/* What a scenario can be played on: this product, and socket.io on its Redis Streams adapter, behind a load balancer that
 * is sticky, as it must be there. open() returns {servers, store, balancer, stream, cookies, dispatcher}: `store` has kill(),
 * stop() and start(), `stream` takes task events. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { TESTS_DIR } from '../../integration/lib/places.mjs';
import { freePort } from '../../integration/lib/ports.mjs';
import { Stream } from '../../integration/lib/stream.mjs';
import { eventually } from '../../integration/lib/wait.mjs';
import { startGateways } from './gateways.mjs';
import { startLoadBalancer } from './haproxy.mjs';

const FOLDER = path.join(TESTS_DIR, 'chaos/redis-streams');
const SERVER = path.join(FOLDER, 'server.mjs');

/* `idle` servers are known to the load balancer and do not run. */
async function openSmartstack(world, { count, idle, settings }) {
    const dispatcher = await world.dispatcher();
    const all = await startGateways(world, count + idle, settings);
    const spares = all.slice(count);
    await Promise.all(spares.map((spare) => spare.stop()));
    const balancer = await startLoadBalancer(world, all);
    return { dispatcher, servers: all.slice(0, count), spares, store: world.broker, balancer, stream: new Stream(world.broker), cookies: false };
}

/* Every write is in its log before it is answered. */
class Redis {
    constructor(world, port) {
        this.port = port;
        const directory = path.join(world.data, 'redis');
        fs.mkdirSync(directory);
        this.program = world.program('redis', 'redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory,
            '--appendonly', 'yes', '--save', ''], { foreign: true });
    }

    async start() {
        this.program.start();
        await eventually(async () => {
            const socket = net.connect(this.port, '127.0.0.1');
            socket.write('PING\r\n');
            const [answer] = await once(socket, 'data').finally(() => socket.destroy());
            return answer.toString().startsWith('+PONG');
        }, { what: 'redis' });
        return this;
    }

    kill() { return this.program.kill(); }
    stop() { return this.program.stop(); }
}

class RedisStream {
    constructor(port) {
        this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, SERVER, 'publish', String(port)], { stdio: ['pipe', 'ignore', 'ignore'] });
        this.ended = once(this.child, 'exit');
        process.once('exit', () => this.child.kill('SIGKILL'));
    }

    async write(events) {
        const lines = events.map(({ taskId, data }) => {
            const room = `task:${taskId}`;
            return `${JSON.stringify({ room, event: 'task.status', body: { rooms: [room], taskStatus: { data } } })}\n`;
        });
        if (!this.child.stdin.write(lines.join('')))
            await once(this.child.stdin, 'drain');
    }

    async close() {
        this.child.stdin.end();
        await this.ended;
    }
}

async function openRedisStreams(world, { count }) {
    execFileSync(path.join(FOLDER, 'install'), { stdio: ['ignore', 'ignore', 'inherit'] });
    const store = await new Redis(world, await freePort()).start();
    const servers = [];
    for (let i = 0; i < count; i++) {
        const port = await freePort();
        const server = world.program(`server-${i}`, process.execPath, [SERVER, String(port), String(store.port)], { foreign: true }).start();
        server.url = `http://127.0.0.1:${port}`;
        await world.waitReady(server);
        servers.push(server);
    }
    const balancer = await startLoadBalancer(world, servers, { sticky: true });
    return { servers, spares: [], store, balancer, stream: new RedisStream(store.port), cookies: true };
}

export const SYSTEMS = {
    smartstack: { world: {}, open: openSmartstack },
    'socket.io-redis-streams': { world: { broker: 'none' }, open: openRedisStreams },
};
