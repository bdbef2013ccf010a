/* What a user would build instead: socket.io with connection state recovery on its Redis Streams adapter, rooms on request.
 *   server.mjs PORT REDIS_PORT        serves clients
 *   server.mjs publish REDIS_PORT     emits what comes on stdin, a line {room, event, body} each
 * Everything is at its default, but for the stream's length, which would overflow within seconds. */
import http from 'node:http';
import readline from 'node:readline';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const [port, redisPort] = process.argv.slice(2);
const redis = createClient({ url: `redis://127.0.0.1:${redisPort}`, socket: { reconnectStrategy: 100 } });
redis.on('error', ({ message }) => console.error(`redis: ${message}`));
process.on('unhandledRejection', (error) => console.error(`unhandled: ${error?.message}`));
process.on('SIGTERM', () => process.exit(0));
await redis.connect();

const io = new Server({ adapter: createAdapter(redis, { maxLen: 1_000_000 }), connectionStateRecovery: {}, serveClient: false });

async function publish() {
    io.of('/'); // its adapter
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const { room, event, body } = JSON.parse(line);
        io.to(room).emit(event, body);
    }
    await redis.close(); // what was emitted is answered first
    process.exit(0);
}

function serve() {
    io.on('connection', (socket) => {
        socket.on('subscribe', ({ room }, ack) => {
            socket.join(room);
            ack({ ok: true });
        });
    });
    const server = http.createServer((_, response) => response.end('ready')); // what is not for socket.io
    io.attach(server);
    server.listen(Number(port), '127.0.0.1');
}

await (port === 'publish' ? publish() : serve());
