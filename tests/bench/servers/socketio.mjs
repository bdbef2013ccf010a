/* What a user would build instead: socket.io on Node.js with a Kafka consumer, rooms on request, no recovery.
 *   socketio.mjs PORT BROKERS TOPIC [FOLDER]     FOLDER: where npm installed uWebSockets.js, to be used instead of ws */
import { createRequire } from 'node:module';
import { Server } from 'socket.io';
import { Kafka, logLevel } from 'kafkajs';

const [port, brokers, topic, folder] = process.argv.slice(2);
const options = { transports: ['websocket'], serveClient: false };
const io = new Server(options);
if (folder) {
  const app = createRequire(`${folder}/`)('@trufflesuite/uws-js-unofficial').App();
  io.attachApp(app);
  app.listen(Number(port), () => {});
} else {
  io.listen(Number(port));
}
io.on('connection', (socket) => {
  socket.on('subscribe', ({ room }, ack) => {
    socket.join(room);
    ack({ ok: true });
  });
});
const kafka = new Kafka({ brokers: brokers.split(','), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `bench-${process.pid}`, maxWaitTimeInMs: 500, minBytes: 1 });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: false });
consumer.on(consumer.events.GROUP_JOIN, () => setTimeout(() => console.log('listening'), 4000));
await consumer.run({
  eachMessage: async ({ message }) => {
    const { room, event, body } = JSON.parse(message.value);
    io.to(room).emit(event, body);
  },
});
