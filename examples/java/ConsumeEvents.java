import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** Reads what happened: ConsumeEvents BOOTSTRAP REGISTRY GROUP COUNT (0 = for ever). One line of JSON per event. */
public final class ConsumeEvents {
    private static final int FRAME_BYTES = 5;

    public static void main(String[] arguments) throws Exception {
        Registry registry = new Registry(arguments[1]);
        int count = Integer.parseInt(arguments[3]);
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", arguments[0],
                "group.id", arguments[2],
                "isolation.level", "read_committed", // what a transaction has not committed has not happened
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false);
        try (KafkaConsumer<String, byte[]> consumer =
                new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("payments.events"));
            int printed = 0;
            while (count == 0 || printed < count) {
                for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    System.out.println(read(registry, record.value()));
                    printed++;
                }
                consumer.commitSync(); // after they are dealt with, never before
            }
        }
    }

    /** Confluent's frame: a zero byte and the id of the schema in four, then Avro's binary encoding. */
    private static GenericRecord read(Registry registry, byte[] value) throws Exception {
        Schema schema = registry.byId(ByteBuffer.wrap(value).getInt(1));
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(schema);
        return reader.read(
                null, DecoderFactory.get().binaryDecoder(value, FRAME_BYTES, value.length - FRAME_BYTES, null));
    }
}
