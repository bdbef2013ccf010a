/* The work of tests/chaos/run: picks the scenario, runs it, tells what held. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from './lib/random.mjs';
import { Report } from './lib/report.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const NAMES = fs.readdirSync(path.join(HERE, 'scenarios')).filter((file) => file.endsWith('.mjs')).map((file) => path.basename(file, '.mjs')).sort();

function fail(text) {
    console.error(text);
    process.exit(2);
}

/* A scenario module exports `description`, `options` (each {default, help}) and run({random, report, faults, values}). It takes
 * clients from npm. */
async function load(name) {
    try {
        return await import(`./scenarios/${name}.mjs`);
    } catch (error) {
        if (error.code !== 'ERR_MODULE_NOT_FOUND')
            throw error;
        return fail(`${error.message.split(' imported from')[0]}: tests/npm installs what the tests take from npm`);
    }
}

/* Also before tests/npm has run: what a scenario is for stands in its text. */
async function list() {
    for (const name of NAMES) {
        const text = fs.readFileSync(path.join(HERE, `scenarios/${name}.mjs`), 'utf8');
        console.log(`${name.padEnd(12)} ${/^export const description = (?:\n\s*)?'(.*)'/m.exec(text)[1]}`);
        const { options } = await import(`./scenarios/${name}.mjs`).catch(() => ({ options: {} }));
        for (const [option, { default: value, help }] of Object.entries(options))
            console.log(`${' '.repeat(12)}   --${option} (${value})  ${help}`);
    }
}

function parse(known) {
    const options = {
        list: { type: 'boolean' }, scenario: { type: 'string' }, seed: { type: 'string' }, faults: { type: 'string' },
        ...Object.fromEntries(Object.keys(known).map((name) => [name, { type: 'string' }])),
    };
    try {
        return parseArgs({ options, strict: Object.keys(known).length > 0 }).values;
    } catch (error) {
        return fail(error.message);
    }
}

const first = parse({});
if (first.list) {
    await list();
    process.exit(0);
}
if (!NAMES.includes(first.scenario))
    fail(`--scenario is one of: ${NAMES.join(', ')}`);
const scenario = await load(first.scenario);
const given = parse({ ...scenario.options, faults: {} });
const values = Object.fromEntries(Object.entries(scenario.options).map(([name, { default: value }]) => [name, given[name] ?? String(value)]));
const seed = Number(given.seed ?? Math.floor(Math.random() * 1e9));
const faults = Number(given.faults ?? scenario.faults);

const report = new Report();
report.say(`scenario ${first.scenario}, seed ${seed}, ${faults} faults, ${Object.entries(values).map((pair) => pair.join(' ')).join(', ')}`);
try {
    await scenario.run({ random: new Random(seed), report, faults, values });
} catch (error) {
    report.check('the scenario runs to its end', false, error.stack);
}
process.exit(report.close());
