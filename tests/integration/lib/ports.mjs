/* Ports for the programs of a test: below the ephemeral range, so that no outgoing connection takes one in between.
 * TESTS_PORTS=FIRST-LAST keeps several runs on one machine apart. */
import net from 'node:net';

const [FIRST, LAST] = (process.env.TESTS_PORTS ?? '18000-31999').split('-').map(Number);
const given = new Set();

function isFree(port) {
    return new Promise((resolve) => {
        const server = net.createServer();
        server.once('error', () => resolve(false));
        server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
    });
}

/* The first of `count` neighbouring free ports. None is given twice by one process. */
export async function freePort(count = 1) {
    for (let attempt = 0; attempt < 500; attempt++) {
        const first = FIRST + Math.floor(Math.random() * (LAST - FIRST + 2 - count));
        const ports = Array.from({ length: count }, (_, i) => first + i);
        if (ports.some((port) => given.has(port)))
            continue;
        if (!(await Promise.all(ports.map(isFree))).every(Boolean))
            continue;
        ports.forEach((port) => given.add(port));
        return first;
    }
    throw new Error(`no ${count} free ports in ${FIRST}-${LAST}`);
}
