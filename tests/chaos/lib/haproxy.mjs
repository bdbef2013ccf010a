/* A load balancer: HAProxy, plain round robin, no cookies, no retry of a request that went out. */
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from '../../integration/lib/ports.mjs';
import { eventually } from '../../integration/lib/wait.mjs';

function text(port, servers) {
    return `defaults
    mode http
    balance roundrobin
    retries 2
    retry-on conn-failure
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

/* `gateways` are programs of the world. Returns the program, with its `url`. */
export async function startLoadBalancer(world, gateways) {
    const port = await freePort();
    const file = path.join(world.data, 'haproxy.cfg');
    fs.writeFileSync(file, text(port, gateways.map(({ name, url }) => ({ name, port: new URL(url).port }))));
    const program = world.program('haproxy', 'haproxy', ['-db', '-f', file], { foreign: true }).start();
    program.url = `http://127.0.0.1:${port}`;
    await eventually(async () => {
        if (!program.alive)
            throw Object.assign(new Error(`haproxy has ended\n${program.tail()}`), { final: true });
        return (await fetch(`${program.url}/readyz`)).status === 200;
    }, { what: () => `a load balancer\n${program.tail()}` });
    return program;
}
