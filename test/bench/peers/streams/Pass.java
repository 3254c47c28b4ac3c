import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** Copies the input topic to the output topic exactly once, with Kafka Streams, until SIGTERM. Streams keeps keys and timestamps, and partitions by key. */
public class Pass {
    public static void main(String[] args) throws Exception {
        Map<String, String> env = System.getenv();
        Path state = Files.createTempDirectory("mlmonitor-streams");
        StreamsBuilder topology = new StreamsBuilder();
        topology.stream(env.get("KAFKA_TOPIC_TRANSACTIONS")).to(env.get("KAFKA_TOPIC_VERDICTS"));
        KafkaStreams streams = new KafkaStreams(topology.build(), settings(env, state));
        streams.setUncaughtExceptionHandler(failure -> {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            boolean closed = streams.close(Duration.ofSeconds(5));
            remove(state);
            Runtime.getRuntime().halt(closed ? 0 : 1); // Java's own code after SIGTERM is 143
        }));
        streams.start();
        Thread.currentThread().join();
    }

    /**
     * Tried on two cores beside the broker: median ratio to the exactly-once copy of make bench-pipeline, three rounds of 400,000 records. These
     * 0.39; 2 threads 0.38; linger 100 ms, Streams' default, 0.38; batches of 1 MiB and fetches of 4 MiB a partition 0.39; batches of 64 KiB 0.36;
     * 10,000 records buffered a partition 0.35, with 2 threads 0.34; polls of 1,000, the default, 0.32; linger 0 and batches of 16 KiB 0.27.
     * Rounds differ by more than the first four do.
     */
    static Properties settings(Map<String, String> env, Path state) {
        Properties p = new Properties();
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, env.get("CONSUMER_GROUP"));
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env.get("KAFKA_BROKERS"));
        p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, env.getOrDefault("COMMIT_INTERVAL_MS", "100")); // Streams' default with exactly once
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env.getOrDefault("STREAM_THREADS", "1"));
        p.put(StreamsConfig.STATE_DIR_CONFIG, state.toString());
        p.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        p.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        p.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        p.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "10000");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), env.getOrDefault("KAFKA_COMPRESSION", "snappy"));
        p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "5");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), "262144");
        p.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), "67108864");
        return p;
    }

    static void remove(Path folder) {
        try (var paths = Files.walk(folder)) {
            paths.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        } catch (IOException failure) {
            System.err.println("remove " + folder + ": " + failure);
        }
    }
}
