import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Pays straight on Kafka: Pay BOOTSTRAP REGISTRY acc_PAYER acc_PAYEE AMOUNT_MINOR CURRENCY KEY. */
public final class Pay {
    private static final String DIGITS = "0123456789abcdefghjkmnpqrstvwxyz";

    public static void main(String[] arguments) throws Exception {
        Registry.Found command = new Registry(arguments[1]).latest("millrace.Command");
        byte[] payer = idBytes(arguments[2]);
        GenericRecord record = new GenericData.Record(command.schema());
        set(record, "payer", payer);
        set(record, "payee", idBytes(arguments[3]));
        set(record, "amount_minor", ByteBuffer.allocate(8).putLong(Long.parseLong(arguments[4])).array());
        set(record, "currency", arguments[5].getBytes(StandardCharsets.US_ASCII));
        set(record, "reply_to", new byte[8]);
        record.put("kind", new GenericData.EnumSymbol(command.schema().getField("kind").schema(), "transfer"));
        record.put("idempotency_key", arguments[6]);
        record.put("description", "");
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "acks", "all");
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            // Keyed by the payer: the default partitioner finds the partition at which it is decided.
            producer.send(new ProducerRecord<>("payments.commands", payer, framed(command.id(), record))).get();
        }
    }

    private static void set(GenericRecord record, String field, byte[] value) {
        Schema schema = record.getSchema().getField(field).schema();
        record.put(field, new GenericData.Fixed(schema, value));
    }

    /** Confluent's frame: a zero byte and the id of the schema in four, then Avro's binary encoding. */
    private static byte[] framed(int schemaId, GenericRecord record) throws Exception {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(ByteBuffer.allocate(5).put((byte) 0).putInt(schemaId).array());
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(out, null);
        new GenericDatumWriter<GenericRecord>(record.getSchema()).write(record, encoder);
        return out.toByteArray();
    }

    /** The sixteen bytes behind an id such as acc_… (TypeID: base32 of a UUID). */
    private static byte[] idBytes(String id) {
        BigInteger number = BigInteger.ZERO;
        for (char digit : id.substring(id.indexOf('_') + 1).toCharArray()) {
            number = number.shiftLeft(5).or(BigInteger.valueOf(DIGITS.indexOf(digit)));
        }
        return ByteBuffer.allocate(16).putLong(number.shiftRight(64).longValue()).putLong(number.longValue()).array();
    }
}
