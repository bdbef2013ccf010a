/* Lends brokers to tests that want one for themselves, one after the other: a broker that is warm costs a test a fraction of what
 * a new one costs. tests/run starts it, and names its socket to the tests by TESTS_BROKERS; without it each test starts its own.
 *
 *     lender.mjs SOCKET     a connection gets a line with the port of a broker that has no topic and no group; as long as it is
 *                           open the broker is the caller's
 *
 * Its brokers end when it ends, however that comes to pass. */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { RealBroker } from '../integration/lib/broker.mjs';
import { eventually } from '../integration/lib/wait.mjs';

const [socket] = process.argv.slice(2);
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'smartstack-lender-'));
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));

const idle = []; // the last one that came back goes out first: it is the warmest
const waiting = [];
let made = 0;

async function make() {
    const own = path.join(directory, String(made++));
    fs.mkdirSync(own);
    return new RealBroker({ directory: own, logs: own }).start();
}

/* Takes away what the caller left. Members that were killed are members until the broker has missed them for long enough. */
async function clean(broker) {
    await broker.deleteTopics(...(await broker.topics()).filter((name) => !name.startsWith('__')));
    await broker.admin((admin) => eventually(async () => {
        const { groups } = await admin.listGroups();
        if (groups.length)
            await admin.deleteGroups(groups.map(({ groupId }) => groupId));
        return groups.length === 0;
    }, { interval: 250, what: 'the end of all groups' }));
}

function give(connection, broker) {
    if (connection.destroyed) {
        offer(broker);
        return;
    }
    connection.on('close', () => clean(broker).then(() => offer(broker), () => broker.kill()));
    connection.write(`${broker.port}\n`);
}

function offer(broker) {
    const connection = waiting.shift();
    if (connection)
        give(connection, broker);
    else
        idle.push(broker);
}

net.createServer((connection) => {
    connection.on('error', () => {});
    connection.resume();
    const broker = idle.pop();
    if (broker) {
        give(connection, broker);
        return;
    }
    waiting.push(connection);
    make().then(offer, (error) => connection.destroy(error));
}).listen(socket);
