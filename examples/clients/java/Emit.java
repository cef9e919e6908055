// java -cp kafka-clients.jar:slf4j-api.jar Emit.java 127.0.0.1:8901
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

public class Emit {
    public static void main(String[] arguments) throws Exception {
        // Idempotent, and acknowledged by all replicas: the client's defaults, said aloud.
        Map<String, Object> settings = Map.of(
            "bootstrap.servers", arguments[0], "client.id", "pump-gateway", "acks", "all", "enable.idempotence", true);
        String id = UUID.randomUUID().toString(); // once per event, the same in every retry
        String event = """
            {"schema": "wardwatch.device/1", "id": "%s", "time": "%s",
             "device": {"id": "pump-12", "type": "infusion-pump"}, "event": "alarm", "action": "occlusion"}"""
            .formatted(id, Instant.now());
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var record = new ProducerRecord<>("audit.iot", "pump-12", event);
            Map.of("source", "device", "producer", "pump-gateway", "event-id", id)
                .forEach((name, value) -> record.headers().add(name, value.getBytes(StandardCharsets.UTF_8)));
            producer.send(record).get(); // the broker has it, or this says why not
        }
        System.out.println(id);
    }
}
