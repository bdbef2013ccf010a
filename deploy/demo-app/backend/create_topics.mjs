#!/usr/bin/env node
// Creates the topics of a list (NAME:PARTITIONS per line, # begins a comment) where they are missing. A topic that is
// there already is left as it is; with fewer partitions than listed it is an error, since the lanes would not match.

import { readFileSync } from 'node:fs';

import { fail, readOptions } from './options.mjs';
import { kafkaOf } from './producer.mjs';

const program = 'create_topics';
const options = readOptions(program, {
  brokers: { default: '127.0.0.1:9092', help: 'HOST:PORT[,HOST:PORT]' },
  topics: { default: 'deploy/config/topics', help: 'file of the topics' },
});

function readTopics() {
  let text = '';
  try {
    text = readFileSync(options.topics, 'utf8');
  } catch (error) {
    fail(program, `--topics: ${error.message}`);
  }
  return text.split('\n').map((line) => line.replace(/#.*/, '').trim()).filter(Boolean).map((line) => {
    const [, topic, partitions] = /^([\w.-]+):(\d+)$/.exec(line) ?? fail(program, `${options.topics}: "${line}" is not NAME:PARTITIONS`);
    return { topic, numPartitions: Number(partitions) };
  });
}

async function createMissing(admin, wanted) {
  const existing = new Set(await admin.listTopics());
  const missing = wanted.filter(({ topic }) => !existing.has(topic));
  if (missing.length > 0) await admin.createTopics({ topics: missing.map((topic) => ({ ...topic, replicationFactor: -1 })), waitForLeaders: true });
  const { topics } = await admin.fetchTopicMetadata({ topics: wanted.map(({ topic }) => topic) });
  const counts = new Map(topics.map(({ name, partitions }) => [name, partitions.length]));
  const small = wanted.filter(({ topic, numPartitions }) => counts.get(topic) < numPartitions);
  for (const { topic, numPartitions } of small)
    console.error(`${program}: ${topic} has ${counts.get(topic)} partitions, the configuration needs ${numPartitions}`);
  console.error(`${program}: ${missing.length} created, ${wanted.length - missing.length} there already`);
  return small.length === 0;
}

const wanted = readTopics();
const admin = kafkaOf(options.brokers).admin();
try {
  await admin.connect();
  if (!(await createMissing(admin, wanted))) process.exitCode = 1;
} catch (error) {
  console.error(`${program}: ${options.brokers}: ${error.message}`);
  process.exitCode = 1;
} finally {
  await admin.disconnect();
}
