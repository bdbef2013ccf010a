/* A load balancer: HAProxy, plain round robin; cookies only for servers that need them. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { freePort } from '../../integration/lib/ports.mjs';
import { eventually } from '../../integration/lib/wait.mjs';

function configuration({ port, control, servers, retry, patience_ms, sticky, check }) {
    return `global
    stats socket ${control} mode 600 level admin
defaults
    mode http
    balance roundrobin
    retries 3
    retry-on ${retry ? 'all-retryable-errors' : 'conn-failure'}
    option redispatch 1
    timeout connect 1s
    timeout client 60s
    timeout server ${patience_ms}ms
    timeout tunnel 1h
    default-server inter 500ms fall 2 rise 1 check
frontend clients
    bind 127.0.0.1:${port}
    default_backend gateways
backend gateways
    ${check}
${sticky ? '    cookie server insert indirect nocache\n' : ''}${servers.map(({ name, port: server }) => `    server ${name} 127.0.0.1:${server}${sticky ? ` cookie ${name}` : ''}`).join('\n')}
`;
}

/* `gateways` are programs of the world. `retry`: a request that failed after it went out is sent again; `patience_ms`: so
 * long it waits for an answer; `sticky`: clients that keep cookies stay with their server; `check`: how a server says
 * that it is ready. Returns the program, with its `url`. */
export async function startLoadBalancer(world, gateways, { retry = false, patience_ms = 60000, sticky = false, check = 'option httpchk GET /readyz' } = {}) {
    const port = await freePort();
    const file = path.join(world.data, `haproxy-${port}.cfg`);
    const control = path.join(world.data, `haproxy-${port}`);
    const servers = gateways.map(({ name, url }) => ({ name, port: new URL(url).port }));
    fs.writeFileSync(file, configuration({ port, control, servers, retry, patience_ms, sticky, check }));
    const program = world.program(`haproxy-${port}`, 'haproxy', ['-db', '-f', file], { foreign: true }).start();
    Object.assign(program, { url: `http://127.0.0.1:${port}`, control });
    await eventually(async () => {
        if (!program.alive)
            throw Object.assign(new Error(`haproxy has ended\n${program.tail()}`), { final: true });
        return (await fetch(`${program.url}/readyz`)).status !== 503;
    }, { what: () => `a load balancer\n${program.tail()}` });
    return program;
}

function tell({ control }, command) {
    return new Promise((resolve, reject) => {
        let answer = '';
        const socket = net.connect(control, () => socket.write(`${command}\n`));
        socket.on('data', (chunk) => { answer += chunk; });
        socket.on('end', () => resolve(answer));
        socket.on('error', reject);
    });
}

/* `state`: "drain": nothing new goes to this gateway; "maint": nor is it asked how it is; "ready": what its checks say. */
export const setServerState = (balancer, gateway, state) => tell(balancer, `set server gateways/${gateway.name} state ${state}`);

/* Ends what goes through a gateway now. */
export const shutSessions = (balancer, gateway) => tell(balancer, `shutdown sessions server gateways/${gateway.name}`);

/* What its backend answered, and how often it asked again: {refused: 4xx, failed: 5xx, repeated}. */
export async function balancerStatistics(balancer) {
    const text = await tell(balancer, 'show stat');
    const [header, ...lines] = text.trim().split('\n').map((line) => line.split(','));
    const total = lines.find((line) => line[0] === 'gateways' && line[1] === 'BACKEND');
    const value = (name) => Number(total[header.indexOf(name)] || 0);
    return { refused: value('hrsp_4xx'), failed: value('hrsp_5xx'), repeated: value('wretr') };
}
