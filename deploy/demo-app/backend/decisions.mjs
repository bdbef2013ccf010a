// What people decided about reviews, from the topic of decisions. A decision may come more than once (this process read it
// and died before it said so): whoever applies it looks at the task, which is decided once.

import { decisionOf } from './decision.mjs';
import { kafkaOf } from './producer.mjs';

const retryMs = 1000;

/** `apply({taskId, decision, by, queue, comment, ...})` for each. */
export class Decisions {
  #consumer;
  #closing = false;

  constructor(brokers, topic, apply) {
    // Decisions of transactions that were aborted never were.
    this.#consumer = kafkaOf(brokers).consumer({ groupId: 'sample-backend', readUncommitted: false });
    this.#run(topic, apply);
  }

  async close() {
    this.#closing = true;
    await this.#consumer.disconnect();
  }

  /** The topic is there as soon as a dispatcher is. */
  async #run(topic, apply) {
    while (!this.#closing) {
      try {
        await this.#consumer.connect();
        await this.#consumer.subscribe({ topic, fromBeginning: true });
        await this.#consumer.run({ eachMessage: async ({ message }) => {
          const decision = decisionOf(message);
          if (decision) apply(decision);
          else console.error(`sample-backend: decisions: offset ${message.offset} is none; passed over`);
        } });
        return;
      } catch (error) {
        console.error(`sample-backend: decisions: ${error.message}; trying again`);
        await new Promise((resolve) => { setTimeout(resolve, retryMs); });
      }
    }
  }
}
