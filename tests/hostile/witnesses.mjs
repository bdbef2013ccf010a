/* Well-behaved stock clients, a process of their own so that only the server can disturb them: each sends an event every
 * so often and gets it back, in order. Half of them poll.
 *   witnesses.mjs URL COUNT      "ready" when all are connected; ends on a line of input and prints what happened, as JSON */
import readline from 'node:readline';
import { io } from 'socket.io-client';

const [url, count] = [process.argv[2], Number(process.argv[3])];
const EVERY_MS = 100;
const faults = [];
const latencies = [];
let sent = 0;
let excused = 0;

/* Whether this process has just stood still for longer than a heartbeat may take: a stock client that wakes up looks at its clock
 * before its socket, and gives up. That is not the server's doing; such a client says no more. */
const standstill = { last: Date.now(), until: 0 };
setInterval(() => {
    const now = Date.now();
    if (now - standstill.last > 15000)
        standstill.until = now + 2000;
    standstill.last = now;
}, 100).unref();
const stoodStill = () => Date.now() < standstill.until || Date.now() - standstill.last > 15000;

function witness(number) {
    const socket = io(url, { forceNew: true, transports: number % 2 ? ['polling'] : ['polling', 'websocket'] });
    const outstanding = [];
    let next = 0;
    let gone = false;
    socket.on('disconnect', (reason) => {
        if (reason !== 'ping timeout' || !stoodStill()) {
            faults.push(`client ${number}: disconnected: ${reason}`);
            return;
        }
        gone = true;
        excused++;
        outstanding.length = 0;
        socket.disconnect();
    });
    socket.on('connect_error', (error) => faults.push(`client ${number}: ${error.message}`));
    socket.on('message-back', (index, attachment) => {
        const expected = outstanding.shift();
        if (index !== expected?.index || !Buffer.isBuffer(attachment) || attachment[0] !== index % 256)
            faults.push(`client ${number}: got ${index}, not ${expected?.index}`);
        else
            latencies.push(performance.now() - expected.at);
    });
    return {
        socket,
        send() {
            if (gone)
                return;
            const index = next++;
            outstanding.push({ index, at: performance.now() });
            socket.emit('message', index, Buffer.alloc(20, index % 256));
            sent++;
        },
        outstanding,
    };
}

const witnesses = Array.from({ length: count }, (_, i) => witness(i));
await Promise.all(witnesses.map(({ socket }) => new Promise((resolve) => socket.once('connect', resolve))));
console.log('ready');
const timers = witnesses.map((one, i) => setInterval(() => one.send(), EVERY_MS + i));

for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line)
        break;
}
timers.forEach(clearInterval);
const deadline = Date.now() + 30000;
while (witnesses.some(({ outstanding }) => outstanding.length) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
for (const [i, { outstanding, socket }] of witnesses.entries()) {
    if (outstanding.length)
        faults.push(`client ${i}: ${outstanding.length} events did not come back`);
    socket.off('disconnect').disconnect();
}
latencies.sort((a, b) => a - b);
const part = (share) => Math.round(10 * (latencies[Math.floor(share * (latencies.length - 1))] ?? 0)) / 10;
console.log(JSON.stringify({ sent, excused, faults, p50: part(0.5), p99: part(0.99), most: part(1) }));
process.exit(0);
