// The way to Kafka: keeps events in order, sends what has come together since the last request, and waits for a broker
// that is away. Bounded: `full` tells the caller to make no more.

import { Kafka, logLevel, Partitioners } from 'kafkajs';

const pendingMax = 20_000;
const batchMax = 500;
const retryMs = 1000;

export function kafkaOf(brokers) {
  return new Kafka({
    clientId: 'sample-backend',
    brokers: brokers.split(','),
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 5 },
  });
}

export class EventProducer {
  #producer;
  #topic;
  #pending = [];
  #sending = null;
  #connected = false;
  #closing = false;
  sent = 0;
  lastError = '';

  constructor(brokers, topic) {
    // The murmur2 partitioner of Kafka's Java client: the events of one task stay in one partition, in order.
    this.#producer = kafkaOf(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner });
    this.#topic = topic;
  }

  get full() {
    return this.#pending.length >= pendingMax;
  }

  push(event) {
    this.#pending.push({ key: event.taskId, value: JSON.stringify(event), headers: { 'content-type': 'application/json' } });
    this.#sending ??= this.#drain().finally(() => { this.#sending = null; });
  }

  /** Waits for what is on its way, gives up on the rest, and disconnects. */
  async close() {
    this.#closing = true;
    await this.#sending;
    if (this.#connected) await this.#producer.disconnect();
  }

  async #drain() {
    while (this.#pending.length > 0) {
      const messages = this.#pending.slice(0, batchMax);
      try {
        await this.#send(messages);
        this.#pending.splice(0, messages.length);
      } catch (error) {
        if (error.message !== this.lastError) console.error(`sample-backend: Kafka: ${error.message}; trying again`);
        this.lastError = error.message;
        if (this.#closing) return;
        await new Promise((resolve) => { setTimeout(resolve, retryMs); });
      }
    }
  }

  async #send(messages) {
    if (!this.#connected) await this.#producer.connect();
    this.#connected = true;
    await this.#producer.send({ topic: this.#topic, messages, acks: -1 });
    this.sent += messages.length;
    this.lastError = '';
  }
}
