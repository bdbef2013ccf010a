/* What most scenarios play on: servers behind a load balancer, witnesses, and numbered notifications. */
import { awaitedLater } from '../../integration/lib/wait.mjs';
import { World } from '../../integration/lib/world.mjs';
import { SYSTEMS } from './systems.mjs';
import { checkLogs, openWitnesses, publish } from './witness.mjs';

/* Options of such a scenario; `defaults` replaces some of their defaults. */
export function stageOptions(defaults = {}) {
    const options = {
        clients: { default: 300, help: 'stock clients' },
        gateways: { default: 3, help: 'gateways behind the load balancer' },
        rooms: { default: 100, help: 'rooms in all; each client is in five' },
        rate: { default: 500, help: 'notifications per second' },
        transports: { default: 'mixed', help: 'websocket, polling, both (the default transports) or mixed' },
    };
    for (const [name, value] of Object.entries(defaults))
        options[name].default = value;
    return options;
}

/* Runs `play(stage)` with {world, dispatcher, gateways, spares, store, balancer, witnesses} while notifications are
 * published. `settings` are the gateways' own, `spares` how many gateways more the load balancer knows, which do not run,
 * `world` World's options. `play` ends the publishing by stage.finish(), which checks the logs. */
export async function onStage(name, { report, values, system = SYSTEMS.smartstack, settings, spares = 0, world: options = {} }, play) {
    const rooms = Number(values.rooms);
    await World.use(name, { ...system.world, ...options }, async (world) => {
        const { servers, stream, cookies, ...rest } = await system.open(world, { count: Number(values.gateways), idle: spares, settings });
        const witnesses = await openWitnesses(world, rest.balancer.url,
            { count: Number(values.clients), rooms, transports: values.transports, cookies });
        report.say(`${witnesses.length} clients are connected`);
        let over = false;
        const publishing = awaitedLater(publish({ rooms, rate: Number(values.rate), over: () => over, stream }));
        const finish = async (more) => {
            over = true;
            await checkLogs(report, witnesses, await publishing, more);
        };
        await play({ world, gateways: servers, witnesses, finish, ...rest });
    });
}
