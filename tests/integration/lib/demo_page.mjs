/* The demo's page before a real broker, by the demo's own rules and configuration. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAMS, SOURCE_DIR, TESTS_DIR } from './places.mjs';
import { freePort } from './ports.mjs';

export const CONFIG = 'deploy/config/smartstack.yaml';
export const demoApp = (...names) => path.join(SOURCE_DIR, 'deploy/demo-app', ...names);
export const worldOfDemo = JSON.parse(fs.readFileSync(demoApp('world.json'), 'utf8'));
export const topicsOfDemo = Object.fromEntries(fs.readFileSync(path.join(SOURCE_DIR, 'deploy/config/topics'), 'utf8').split('\n')
    .filter((line) => /^[\w.-]+:\d+$/.test(line)).map((line) => line.split(':')).map(([name, count]) => [name, Number(count)]));

/* Writes the demo's rules; where they are. */
export function rulesOfDemo(world) {
    const rules = path.join(world.data, 'rules.yaml');
    fs.writeFileSync(rules, execFileSync(demoApp('rules')));
    return rules;
}

/* What the demo serves; its client is that of the tests. */
function servedFolder(world) {
    const folder = path.join(world.data, 'public');
    fs.mkdirSync(path.join(folder, 'vendor'), { recursive: true });
    for (const name of ['index.html', 'icon.svg', 'js', 'style'])
        fs.cpSync(demoApp('page', name), path.join(folder, name), { recursive: true });
    fs.copyFileSync(demoApp('world.json'), path.join(folder, 'world.json'));
    fs.copyFileSync(path.join(TESTS_DIR, 'node_modules/socket.io-client/dist/socket.io.js'), path.join(folder, 'vendor/socket.io.js'));
    return folder;
}

/* A dispatcher and a gateway that serves the page. */
export class Demo {
    /* `reviews`: people claim and decide. */
    static async start(world, rules, { reviews = false } = {}) {
        const demo = new Demo();
        const [dispatcherPort, port, operations] = [await freePort(), await freePort(), await freePort()];
        const environment = {
            SMARTSTACK_KAFKA_BOOTSTRAP_SERVERS: world.broker.address, SMARTSTACK_DISPATCHER_RULES: rules, SMARTSTACK_DISPATCHER_HTTP_PORT: String(dispatcherPort),
            SMARTSTACK_GATEWAY_HTTP_PORT: String(port), SMARTSTACK_GATEWAY_HTTP_ADDRESS: '127.0.0.1', SMARTSTACK_GATEWAY_OPERATIONS_PORT: String(operations),
            SMARTSTACK_GATEWAY_HTTP_STATIC_DIRECTORY: servedFolder(world), SMARTSTACK_GATEWAY_AUTH_MODE: 'development',
            SMARTSTACK_GATEWAY_RECOVERY_KEYS: 'a-secret-of-the-cursors-0123456789abcdef',
            ...reviews && { SMARTSTACK_DISPATCHER_REVIEW_LOG: 'reviews.log', SMARTSTACK_GATEWAY_CLIENT_EVENTS_REVIEW_LOG: 'reviews.log' },
        };
        const start = (name, url) => Object.assign(world.program(name, PROGRAMS[name], ['--config', CONFIG], { environment, directory: SOURCE_DIR }).start(), { operations: url });
        demo.dispatcher = start('dispatcher', `http://127.0.0.1:${dispatcherPort}`);
        demo.gateway = start('gateway', `http://127.0.0.1:${operations}`);
        Object.assign(demo, { world, url: `http://127.0.0.1:${port}`, address: (tenant, user) => `http://127.0.0.1:${port}/?tenant=${tenant}&user=${user}` });
        await Promise.all([world.waitReady(demo.dispatcher), world.waitReady(demo.gateway)]);
        return demo;
    }

    /* kill -9, and back at its port. */
    async killGateway(environment = {}) {
        await this.gateway.kill();
        Object.assign(this.gateway.environment, environment);
        this.gateway.start();
        await this.world.waitReady(this.gateway);
    }
}
