/* A load balancer: HAProxy, plain round robin, no cookies. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePort } from '../../integration/lib/ports.mjs';
import { eventually } from '../../integration/lib/wait.mjs';

function configuration({ port, control, servers, retry }) {
    return `global
    stats socket ${control} mode 600
defaults
    mode http
    balance roundrobin
    retries 2
    retry-on ${retry ? 'all-retryable-errors' : 'conn-failure'}
    option redispatch 1
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    default-server inter 500ms fall 2 rise 1 check
frontend clients
    bind 127.0.0.1:${port}
    default_backend gateways
backend gateways
    option httpchk GET /readyz
${servers.map(({ name, port: server }) => `    server ${name} 127.0.0.1:${server}`).join('\n')}
`;
}

/* `gateways` are programs of the world; `retry`: a request that failed after it went out is sent again. Returns the
 * program, with its `url`. */
export async function startLoadBalancer(world, gateways, { retry = false } = {}) {
    const port = await freePort();
    const file = path.join(world.data, `haproxy-${port}.cfg`);
    const control = path.join(world.data, `haproxy-${port}`);
    const servers = gateways.map(({ name, url }) => ({ name, port: new URL(url).port }));
    fs.writeFileSync(file, configuration({ port, control, servers, retry }));
    const program = world.program(`haproxy-${port}`, 'haproxy', ['-db', '-f', file], { foreign: true }).start();
    Object.assign(program, { url: `http://127.0.0.1:${port}`, control });
    await eventually(async () => {
        if (!program.alive)
            throw Object.assign(new Error(`haproxy has ended\n${program.tail()}`), { final: true });
        return (await fetch(`${program.url}/readyz`)).status === 200;
    }, { what: () => `a load balancer\n${program.tail()}` });
    return program;
}

/* What its backend answered: {refused: 4xx, failed: 5xx}. */
export async function balancerStatistics({ control }) {
    const text = await new Promise((resolve, reject) => {
        let answer = '';
        const socket = net.connect(control, () => socket.write('show stat\n'));
        socket.on('data', (chunk) => { answer += chunk; });
        socket.on('end', () => resolve(answer));
        socket.on('error', reject);
    });
    const [header, ...lines] = text.trim().split('\n').map((line) => line.split(','));
    const total = lines.find((line) => line[0] === 'gateways' && line[1] === 'BACKEND');
    const value = (name) => Number(total[header.indexOf(name)] || 0);
    return { refused: value('hrsp_4xx'), failed: value('hrsp_5xx') };
}
