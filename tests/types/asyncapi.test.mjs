/* deploy/docs/asyncapi.json: it is made from the types as they are, is valid AsyncAPI, says what the golden conversation says, and gives
 * types that are those of proto/events.d.ts. */
import Ajv from 'ajv';
import { compile } from 'json-schema-to-typescript';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { document, EVENTS, FILE, text } from './asyncapi.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const lenient = { strict: false, validateFormats: false, allErrors: false };

test('the document is up to date: node tests/types/asyncapi.mjs', () => {
    assert.equal(fs.readFileSync(FILE, 'utf8'), text());
});

test('it is valid', () => {
    const validate = new Ajv({ ...lenient, meta: false, validateSchema: false }).compile(createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json'));
    const good = document();
    assert.ok(validate(good), JSON.stringify(validate.errors));
    assert.ok(!validate({ ...good, operations: { say: { action: 'shout', channel: good.operations.say.channel } } }), 'the schema refuses nothing');
    /* What a schema cannot know: references that lead nowhere. */
    const references = [...JSON.stringify(good).matchAll(/"\$ref":"#\/([^"]*)"/g)].map(([, place]) => place);
    for (const place of references)
        assert.ok(place.split('/').reduce((at, key) => at?.[key], good), place);
    assert.ok(references.length > 100);
});

test('the golden conversation is as it says', () => {
    const { components } = document();
    const ajv = new Ajv(lenient);
    const validate = (name) => ajv.compile({ $ref: `#/components/schemas/${name}`, components });
    const said = { '>': validate('ClientMessage'), '<': validate('ServerMessage') };
    const lines = fs.readFileSync(path.join(here, '../golden/smartstack-v1-json.txt'), 'utf8').split('\n').map((line) => /^([<>]) (\{.*\})$/.exec(line)).filter(Boolean);
    let checked = 0;
    for (const [, who, json] of lines) {
        const message = JSON.parse(json);
        if (['notification', 'history', 'state', 'dance'].includes(message.type))
            continue; // the conversation's notifications lack what a dispatcher always gives, and nobody may say "dance"
        assert.ok(said[who](message), `${json}: ${JSON.stringify(said[who].errors?.slice(-1))}`);
        checked++;
    }
    assert.ok(checked > 40, `${checked} lines`);
    assert.ok(!said['<']({ type: 'welcome', recovered: 'yes' }) && !said['>']({ type: 'subscribe', rooms: 5 }));
});

test('its types are those of proto/events.d.ts', async (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'smartstack-asyncapi-'));
    t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
    const { schemas } = document().components;
    /* Without events of any other name, which the types get by declaration. */
    const local = JSON.parse(JSON.stringify(schemas).replaceAll('#/components/schemas/', '#/definitions/'), (key, value) =>
        (key === 'anyOf' ? value.filter(({ properties }) => !properties?.data || !properties.event || properties.event.const || properties.type?.const === 'event') : value));
    const root = { title: 'Everything', type: 'object', properties: Object.fromEntries(Object.keys(local).map((name) => [name, { $ref: `#/definitions/${name}` }])), required: Object.keys(local), definitions: local };
    fs.writeFileSync(path.join(folder, 'made.ts'), await compile(root, 'Everything', { additionalProperties: false, format: false, bannerComment: '' }));
    /* JSON Schema has no texts of a form: there a room is any text. */
    const types = fs.readFileSync(path.join(here, '../../proto/events.d.ts'), 'utf8').replace(/export type Room = .*;/, 'export type Room = string;');
    fs.writeFileSync(path.join(folder, 'events.d.ts'), types);
    const names = [...new Set(Object.values(EVENTS)), 'Answer', 'Auth', 'AboutEvent', 'ClientMessage', 'ServerMessage', 'StreamEvents', 'SubscribeOptions'];
    const known = (type) => (type.includes('StreamEvents') ? `Known<${type}>` : type);
    const program = (of) => `import type { Everything } from './made';\nimport type * as Events from './events';
type Known<T> = Omit<T, 'live'>; // an object without members has no type of its own there
type Same<A, B> = [A] extends [B] ? [B] extends [A] ? true : 'the document has more' : 'the document has less';
${names.map((name, i) => `export const same${i}: Same<${known(`Events.${name}`)}, ${known(`Everything['${of(name)}']`)}> = true;`).join('\n')}\n`;
    const faults = (source) => {
        const file = path.join(folder, 'same.ts');
        fs.writeFileSync(file, source);
        const options = { strict: true, noEmit: true, types: [], skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
        return ts.getPreEmitDiagnostics(ts.createProgram([file], options)).map(({ messageText, start }) =>
            `${source.slice(start).split('\n')[0]}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    };
    assert.deepEqual(faults(program((name) => name)), []);
    assert.ok(faults(program((name) => (name === 'Stale' ? 'Answer' : name))).length > 0, 'nothing differs from anything');
});
