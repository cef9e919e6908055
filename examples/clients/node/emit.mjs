// npm install kafkajs; node emit.mjs 127.0.0.1:8901
import { randomUUID } from "node:crypto";
import { Kafka } from "kafkajs";

const kafka = new Kafka({ clientId: "pump-gateway", brokers: process.argv[2].split(","), logLevel: 1 });
const producer = kafka.producer({ idempotent: true }); // acknowledged by all replicas, written once
await producer.connect();

const event = {
  schema: "wardwatch.device/1",
  id: randomUUID(), // once per event, the same in every retry
  time: new Date().toISOString(),
  device: { id: "pump-12", type: "infusion-pump" },
  event: "alarm",
  action: "occlusion",
};
await producer.send({
  topic: "audit.iot",
  acks: -1,
  messages: [
    {
      key: event.device.id,
      value: JSON.stringify(event),
      headers: { source: "device", producer: "pump-gateway", "event-id": event.id },
    },
  ],
});
await producer.disconnect();
console.log(event.id);
