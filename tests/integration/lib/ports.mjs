/* Ports for the programs of a test: below the ephemeral range, so that no outgoing connection takes one in between.
 * TESTS_PORTS=FIRST-LAST keeps several runs on one machine apart.
 *
 * A port that was given stays this process's until it ends, also while nothing listens on it: a program that was killed
 * comes back to its port. Others of its kind see that by a file of the port's name, which holds its owner's process id. */
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const [FIRST, LAST] = (process.env.TESTS_PORTS ?? '18000-31999').split('-').map(Number);
const CLAIMS = path.join(os.tmpdir(), `smartstack-ports-${process.getuid()}`);
const given = new Set();

const claimOf = (port) => path.join(CLAIMS, String(port));

process.on('exit', () => given.forEach((port) => fs.rmSync(claimOf(port), { force: true })));

function isAlive(pid) {
    try {
        return process.kill(pid, 0);
    } catch (error) {
        return error.code === 'EPERM';
    }
}

function ownerOf(port) {
    try {
        return Number(fs.readFileSync(claimOf(port), 'utf8'));
    } catch {
        return 0;
    }
}

/* Whether the port is this process's now. The claim of a process that was killed is void; one without a name is being written. */
function claim(port) {
    fs.mkdirSync(CLAIMS, { recursive: true });
    for (let attempt = 0; attempt < 2; attempt++) {
        try {
            fs.writeFileSync(claimOf(port), String(process.pid), { flag: 'wx' });
            given.add(port);
            return true;
        } catch (error) {
            const owner = ownerOf(port);
            if (error.code !== 'EEXIST' || !owner || isAlive(owner))
                return false;
            fs.rmSync(claimOf(port), { force: true });
        }
    }
    return false;
}

function release(port) {
    given.delete(port);
    fs.rmSync(claimOf(port), { force: true });
}

function isFree(port) {
    return new Promise((resolve) => {
        const server = net.createServer();
        server.once('error', () => resolve(false));
        server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
    });
}

/* The first of `count` neighbouring free ports. None is given twice, by this process or another that runs. */
export async function freePort(count = 1) {
    for (let attempt = 0; attempt < 500; attempt++) {
        const first = FIRST + Math.floor(Math.random() * (LAST - FIRST + 2 - count));
        const ports = Array.from({ length: count }, (_, i) => first + i);
        const claimed = ports.filter((port) => !given.has(port) && claim(port));
        if (claimed.length === count && (await Promise.all(ports.map(isFree))).every(Boolean))
            return first;
        claimed.forEach(release);
    }
    throw new Error(`no ${count} free ports in ${FIRST}-${LAST}`);
}
