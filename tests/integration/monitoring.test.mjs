/* What is made of what the programs say of themselves: alerts, the dashboard, the lists of series and of settings. Each series that they name is one that a
 * program shows, with that label; each alert fires in its own failure and in no other, by Prometheus's own promtool; each has its
 * section in the runbook. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { PROGRAMS, SLOW, SOURCE_DIR, TESTS_DIR } from './lib/places.mjs';
import { eventually } from './lib/wait.mjs';
import { World } from './lib/world.mjs';

const MONITORING = path.join(SOURCE_DIR, 'deploy/monitoring');
const ALERTS = path.join(MONITORING, 'alerts.yaml');
const DASHBOARD = path.join(MONITORING, 'dashboard.json');
const SERIES = path.join(SOURCE_DIR, 'deploy/docs/metrics.md');
const SETTINGS = path.join(SOURCE_DIR, 'deploy/docs/all-settings.md');
const RUNBOOK = path.join(SOURCE_DIR, 'deploy/docs/runbook.md');

/* What Prometheus makes itself, and the labels that it gives to whatever it scrapes. */
const OF_PROMETHEUS = new Set(['up']);
const LABELS_OF_PROMETHEUS = new Set(['job', 'instance', 'le']);
/* Labels whose values follow from a rules file or a release. */
const OPEN_LABELS = new Set(['rule', 'version']);

const promtool = () => execFileSync(path.join(TESTS_DIR, 'tools/promtool'), { encoding: 'utf8' }).trim();

/* Of both programs, as they are without a broker: every series is there from the first scrape. */
const texts = {};
before(async () => {
    const ends = [];
    const world = await World.open({ after: (end) => ends.push(end) }, 'monitoring', { broker: 'none' });
    try {
        for (const kind of ['gateway', 'dispatcher']) {
            const program = await world[kind]({ ready: false });
            texts[kind] = await eventually(async () => (await fetch(`${program.operations}/metrics`)).text(),
                { timeout: 20000 * SLOW, what: () => `figures of ${kind}\n${program.tail()}` });
        }
    } finally {
        for (const end of ends)
            await end();
    }
});

/* name -> label -> values */
function series() {
    const names = new Map();
    for (const [, name, labels = ''] of Object.values(texts).join('').matchAll(/^([a-z_:]+)(?:\{(.*)\})? \S+$/gm)) {
        const known = names.get(name) ?? names.set(name, new Map()).get(name);
        for (const [, label, value] of labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g))
            known.set(label, (known.get(label) ?? new Set()).add(value));
    }
    return names;
}

/* What in an expression names no series, label or value. */
function strangers(expression, names) {
    const found = [];
    for (const [, name, , matchers = ''] of expression.matchAll(/\b((?:smartstack|process|log|build)_[a-z_]+|up)\b(\{([^}]*)\})?/g)) {
        if (!names.has(name) && !OF_PROMETHEUS.has(name)) {
            found.push(name);
            continue;
        }
        for (const [, label, operator, value] of matchers.matchAll(/([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)) {
            if (LABELS_OF_PROMETHEUS.has(label))
                continue;
            const values = names.get(name)?.get(label);
            const wanted = operator.endsWith('~') ? value.split('|') : [value];
            if (!values)
                found.push(`${name}{${label}}`);
            else if (!OPEN_LABELS.has(label))
                found.push(...wanted.filter((one) => !values.has(one)).map((one) => `${name}{${label}="${one}"}`));
        }
    }
    return found;
}

const alertsText = () => fs.readFileSync(ALERTS, 'utf8');
const alertNames = () => [...alertsText().matchAll(/- alert: (\w+)/g)].map(([, name]) => name);

test('series that alerts and the dashboard name are there', () => {
    const names = series();
    assert.deepEqual(strangers('rate(smartstack_gateway_no_such_total[5m]) + smartstack_gateway_sessions_total{event="never"}', names),
        ['smartstack_gateway_no_such_total', 'smartstack_gateway_sessions_total{event="never"}'], 'the check sees what is not there');
    const expressions = alertsText().replace(/^\s*(#|summary:|runbook_url:).*$/gm, '');
    assert.deepEqual(strangers(expressions, names), []);
    const queries = [];
    JSON.parse(fs.readFileSync(DASHBOARD, 'utf8'), (key, value) => {
        if (key === 'expr' || key === 'query')
            queries.push(String(value?.query ?? value));
        return value;
    });
    assert.ok(queries.length > 40, `${queries.length} queries`);
    assert.deepEqual(queries.flatMap((query) => strangers(query, names)), []);
});

test('the dashboard is as its generator makes it', () => {
    const dashboard = execFileSync(path.join(MONITORING, 'make-dashboard'), { encoding: 'utf8' });
    assert.equal(fs.readFileSync(DASHBOARD, 'utf8'), dashboard, 'deploy/monitoring/make-dashboard > deploy/monitoring/dashboard.json');
});

/* With UPDATE=1 the document is written anew. */
function isUpToDate(document, generator, input) {
    const made = execFileSync(generator, { input: JSON.stringify(input), encoding: 'utf8' });
    if (process.env.UPDATE)
        fs.writeFileSync(document, made);
    assert.equal(fs.readFileSync(document, 'utf8'), made, `${document} is not what the programs say: run this test with UPDATE=1`);
}

test('the lists of series and of settings are what the programs say', () => {
    isUpToDate(SERIES, path.join(MONITORING, 'make-metrics-list'), texts);
    const settings = (kind) => JSON.parse(execFileSync(PROGRAMS[kind], ['--settings-json'], { encoding: 'utf8' }));
    isUpToDate(SETTINGS, path.join(SOURCE_DIR, 'deploy/docs/make-settings-list'), { gateway: settings('gateway'), dispatcher: settings('dispatcher') });
});

test('each alert has its section in the runbook', () => {
    const sections = [...fs.readFileSync(RUNBOOK, 'utf8').matchAll(/^### (\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections, alertNames());
    const links = [...alertsText().matchAll(/runbook_url: deploy\/docs\/runbook\.md#(\w+)/g)].map(([, link]) => link);
    assert.deepEqual(links, sections.map((name) => name.toLowerCase()));
});

/* A healthy installation, sample by sample, of one gateway and one dispatcher; a failure is what is otherwise. */
const GATEWAY = 'job="smartstack-gateway", instance="g"';
const DISPATCHER = 'job="smartstack-dispatcher", instance="d"';
const gateway = (name, labels) => `smartstack_gateway_${name}{${labels ? `${labels}, ` : ''}${GATEWAY}}`;
const dispatcher = (name, labels) => `smartstack_dispatcher_${name}{${labels ? `${labels}, ` : ''}${DISPATCHER}}`;
const HEALTHY = {
    [`up{${GATEWAY}}`]: '1x30',
    [`up{${DISPATCHER}}`]: '1x30',
    [`process_start_time_seconds{${GATEWAY}}`]: '1000x30',
    [`process_start_time_seconds{${DISPATCHER}}`]: '1000x30',
    [gateway('kafka_up')]: '1x30',
    [gateway('lanes_unavailable')]: '0x30',
    [gateway('lanes_stalled_total')]: '0x30',
    [gateway('connections')]: '2000x30',
    [gateway('connections_limit')]: '20000x30',
    [gateway('record_age_seconds_bucket', 'le="0.1"')]: '0+600x30',
    [gateway('record_age_seconds_bucket', 'le="5"')]: '0+600x30',
    [gateway('record_age_seconds_bucket', 'le="+Inf"')]: '0+600x30',
    [gateway('tokens_total', 'outcome="valid"')]: '0+600x30',
    [gateway('tokens_total', 'outcome="refused"')]: '0+6x30',
    [gateway('token_keys_read_total', 'outcome="done"')]: '0+1x30',
    [gateway('token_keys_read_total', 'outcome="failed"')]: '0x30',
    [gateway('sessions')]: '1000x30',
    [gateway('sessions_behind')]: '3x30',
    [gateway('sessions_total', 'event="recovered"')]: '0+60x30',
    [gateway('sessions_total', 'event="not_recovered"')]: '0+3x30',
    [gateway('records_faulty_total', 'reason="value"')]: '0x30',
    [gateway('records_other_layout_total')]: '0x30',
    [gateway('control_faulty_total', 'reason="room"')]: '0x30',
    [gateway('quota_refusals_total', 'quota="user_events"')]: '0x30',
    [gateway('client_events_total', 'event="failed"')]: '0x30',
    [gateway('client_events_refused_total', 'reason="buffer_full"')]: '0x30',
    [gateway('forwards_total', 'outcome="failed"')]: '0x30',
    [gateway('peer_requests_total', 'outcome="refused"')]: '0x30',
    [gateway('loop_gaps_total')]: '0x30',
    [gateway('views_too_large_total')]: '0x30',
    [dispatcher('partitions')]: '12x30',
    [dispatcher('lag_records')]: '5x30',
    [dispatcher('records_total')]: '0+600x30',
    [dispatcher('matched_total')]: '0+500x30',
    [dispatcher('stage_seconds_bucket', 'stage="total", le="0.1"')]: '0+600x30',
    [dispatcher('stage_seconds_bucket', 'stage="total", le="10"')]: '0+600x30',
    [dispatcher('stage_seconds_bucket', 'stage="total", le="+Inf"')]: '0+600x30',
    [dispatcher('dead_letters_total', 'reason="malformed"')]: '0x30',
    [dispatcher('rooms_skipped_total', 'reason="unknown-kind"')]: '0x30',
    [dispatcher('rooms_skipped_total', 'reason="late"')]: '0+60x30',
    [dispatcher('rules_reloads_total', 'outcome="bad"')]: '0x30',
    [dispatcher('transactions_total', 'outcome="committed"')]: '0+600x30',
    [dispatcher('transactions_total', 'outcome="aborted"')]: '0+1x30',
    [dispatcher('input_stalled_total')]: '0x30',
    [dispatcher('review_clock_differs')]: '0x30',
    [dispatcher('reviews_unremembered_total')]: '0x30',
    [dispatcher('item_orders_crowded_out_total')]: '0x30',
};

/* Of a sample every two minutes, from minute 20. */
const counts = '0x10 1+1x20';
const rises = (each) => `0x10 ${each}+${each}x20`;
const FAILURES = [
    ['GatewayDown', { [`up{${GATEWAY}}`]: '1x10 0x20' }],
    /* All lanes are unavailable then: one alert, not two. */
    ['GatewayBrokerLost', { [gateway('kafka_up')]: '1x10 0x20', [gateway('lanes_unavailable')]: '0x10 8x20' }],
    ['GatewayLanesUnavailable', { [gateway('lanes_unavailable')]: '0x10 2x20' }],
    ['GatewayReadStalled', { [gateway('lanes_stalled_total')]: counts }],
    ['GatewayFull', { [gateway('connections')]: '2000x10 19000x20' }],
    ['GatewayLate', { [gateway('record_age_seconds_bucket', 'le="0.1"')]: '0+600x10 6600+300x20' }],
    ['GatewayTokensRefused', { [gateway('tokens_total', 'outcome="refused"')]: rises(300) }],
    ['GatewayTokenKeysFailing', {
        [gateway('token_keys_read_total', 'outcome="done"')]: '30x30', [gateway('token_keys_read_total', 'outcome="failed"')]: counts,
    }],
    /* That one read failed among good ones is nothing. */
    [null, { [gateway('token_keys_read_total', 'outcome="failed"')]: counts }],
    ['GatewayClientsBehind', { [gateway('sessions_behind')]: '3x10 400x20' }],
    ['GatewayClientsNotRecovered', { [gateway('sessions_total', 'event="not_recovered"')]: rises(60) }],
    ['GatewayRecordsFaulty', { [gateway('records_faulty_total', 'reason="value"')]: counts }],
    ['GatewayOtherLayout', { [gateway('records_other_layout_total')]: counts }],
    ['GatewayOrdersFaulty', { [gateway('control_faulty_total', 'reason="room"')]: counts }],
    ['GatewayQuotaReached', { [gateway('quota_refusals_total', 'quota="user_events"')]: rises(600) }],
    ['GatewayClientEventsFailing', { [gateway('client_events_total', 'event="failed"')]: counts }],
    ['GatewayClientEventsFailing', { [gateway('client_events_refused_total', 'reason="buffer_full"')]: counts }],
    ['GatewayPeersFailing', { [gateway('forwards_total', 'outcome="failed"')]: rises(30) }],
    ['GatewayPeersFailing', { [gateway('peer_requests_total', 'outcome="refused"')]: rises(30) }],
    ['GatewayStarved', { [gateway('loop_gaps_total')]: counts }],
    ['GatewayViewsTooLarge', { [gateway('views_too_large_total')]: counts }],
    ['DispatcherDown', { [`up{${DISPATCHER}}`]: '1x10 0x20' }],
    ['DispatcherWithoutPartitions', { [dispatcher('partitions')]: '12x10 0x20' }],
    ['DispatcherStuck', {
        [dispatcher('records_total')]: '0+600x10 6000x20', [dispatcher('matched_total')]: '0+500x10 5000x20',
        [dispatcher('lag_records')]: '5x10 100+600x20',
    }],
    /* A quiet night is no failure. */
    [null, {
        [dispatcher('records_total')]: '0+600x10 6000x20', [dispatcher('matched_total')]: '0+500x10 5000x20', [dispatcher('lag_records')]: '0x30',
    }],
    ['DispatcherLate', { [dispatcher('stage_seconds_bucket', 'stage="total", le="0.1"')]: '0+600x10 6600+300x20' }],
    ['DispatcherDeadLetters', { [dispatcher('dead_letters_total', 'reason="malformed"')]: counts }],
    ['DispatcherRoomsSkipped', { [dispatcher('rooms_skipped_total', 'reason="unknown-kind"')]: rises(10) }],
    ['DispatcherNothingMatches', { [dispatcher('matched_total')]: '0+500x10 5000x20' }],
    ['DispatcherRulesRefused', { [dispatcher('rules_reloads_total', 'outcome="bad"')]: counts }],
    ['DispatcherAborting', { [dispatcher('transactions_total', 'outcome="aborted"')]: '0+1x10 200+200x20' }],
    ['DispatcherReadStalled', { [dispatcher('input_stalled_total')]: counts }],
    ['DispatcherClockDiffers', { [dispatcher('review_clock_differs')]: '0x10 1x20' }],
    ['DispatcherForgets', { [dispatcher('reviews_unremembered_total')]: counts }],
    ['DispatcherForgets', { [dispatcher('item_orders_crowded_out_total')]: counts }],
    ['ProgramRestarting', { [`process_start_time_seconds{${GATEWAY}}`]: '1000x10 2000+60x20' }],
    [null, {}],
];

test('each alert fires in its own failure and in no other', () => {
    const names = series();
    assert.deepEqual(Object.keys(HEALTHY).flatMap((one) => strangers(one, names)), [], 'the failures are made of series that there are');
    assert.deepEqual([...new Set(FAILURES.map(([alert]) => alert).filter(Boolean))], alertNames());
    const tests = FAILURES.map(([alert, otherwise]) => {
        assert.deepEqual(Object.keys(otherwise).filter((one) => !(one in HEALTHY)), []);
        const firing = 'count by (alertname) (ALERTS{alertstate="firing"})';
        return {
            name: alert ?? 'none',
            interval: '2m',
            input_series: Object.entries({ ...HEALTHY, ...otherwise }).map(([name, values]) => ({ series: name, values })),
            promql_expr_test: [
                { expr: firing, eval_time: '18m' },
                { expr: firing, eval_time: '52m', exp_samples: alert ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [] },
            ],
        };
    });
    const file = path.join(fs.mkdtempSync('/tmp/smartstack-alerts-'), 'alerts.test.json');
    fs.writeFileSync(file, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '2m', tests }));
    const tool = promtool();
    execFileSync(tool, ['check', 'rules', ALERTS], { encoding: 'utf8' });
    execFileSync(tool, ['test', 'rules', file], { encoding: 'utf8' });
    fs.rmSync(path.dirname(file), { recursive: true });
});
