/* proto/events.d.ts: a typed program on the stock client compiles with it, and it names what the messages have. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import ts from 'typescript';

const here = path.dirname(fileURLToPath(import.meta.url));
const proto = path.resolve(here, '../../proto');

const options = {
    strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, types: [],
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'], skipLibCheck: true,
};
const program = ts.createProgram([path.join(here, 'program.ts'), path.join(proto, 'events.d.ts')], options);

test('a typed client compiles, and what it may not write does not', () => {
    const problems = ts.getPreEmitDiagnostics(program);
    assert.equal(problems.length, 0, ts.formatDiagnostics(problems, {
        getCanonicalFileName: (name) => name, getCurrentDirectory: () => here, getNewLine: () => '\n',
    }));
});

const checker = program.getTypeChecker();
const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(path.join(proto, 'events.d.ts'))));

/* The members of an exported type. */
function members(name) {
    const symbol = exported.find((candidate) => candidate.name === name);
    assert.ok(symbol, name);
    return checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).map((member) => member.name).sort();
}

/* The JSON names of a message's fields. */
const fields = (root, name) => Object.values(root.lookupType(`smartstack.v1.${name}`).fields)
    .map((field) => field.name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())).sort();

const load = (file) => new protobuf.Root().loadSync(path.join(proto, file), { keepCase: true });

test('notifications have the fields of the messages', () => {
    const root = load('notification.proto');
    for (const name of ['Item', 'TaskStatusUpdate', 'ClientNotification', 'ManualReviewAlert', 'ReviewUpdate', 'ReviewRefusal'])
        assert.deepEqual(members(name), fields(root, name), name);
    const contents = { TaskStatusNotification: 'taskStatus', ClientNotificationNotification: 'clientNotification', ReviewAlertNotification: 'reviewAlert',
        ReviewUpdatedNotification: 'reviewUpdate', ReviewRefusedNotification: 'reviewRefusal' };
    const head = fields(root, 'Notification').filter((name) => ![...Object.values(contents), 'customEvent'].includes(name)); // a custom event comes without
    for (const [name, content] of Object.entries(contents))
        assert.deepEqual(members(name), [...head, content].sort(), name);
});

test('the JSON subprotocol has the fields of the protobuf one', () => {
    const root = load('client.proto');
    assert.deepEqual(members('Welcome'), [...fields(root, 'Welcome'), 'cursor', 'id'].sort());
    assert.deepEqual(members('Subscribed'), fields(root, 'Subscribed'));
    assert.deepEqual(members('Unsubscribed'), fields(root, 'Unsubscribed'));
    assert.deepEqual(members('Stale'), fields(root, 'Stale'));
    assert.deepEqual(members('TokenExpired'), fields(root, 'TokenExpired'));
    assert.deepEqual(members('HistorySummary'), fields(root, 'HistorySummary'));
    assert.deepEqual(members('StateSummary'), fields(root, 'StateSummary'));
    assert.deepEqual(members('PresenceSnapshot'), [...fields(root, 'PresenceSnapshot'), 'count', 'room'].sort());
    assert.deepEqual(members('PresenceChange'), [...fields(root, 'PresenceChange'), 'count', 'room'].sort());
});
