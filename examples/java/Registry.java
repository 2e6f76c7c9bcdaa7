import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.Schema;

/** Schemas by id and by subject, each asked for once. Confluent's client does the same from the same routes. */
final class Registry {
    record Found(int id, Schema schema) {}

    private final HttpClient http = HttpClient.newHttpClient();
    private final ObjectMapper json = new ObjectMapper();
    private final Map<Integer, Schema> byId = new ConcurrentHashMap<>();
    private final String url;

    Registry(String url) {
        this.url = url;
    }

    Schema byId(int id) throws IOException, InterruptedException {
        Schema known = byId.get(id);
        if (known == null) {
            known = parsed((String) get("/schemas/ids/" + id).get("schema"));
            byId.put(id, known);
        }
        return known;
    }

    Found latest(String subject) throws IOException, InterruptedException {
        Map<?, ?> found = get("/subjects/" + subject + "/versions/latest");
        return new Found((Integer) found.get("id"), parsed((String) found.get("schema")));
    }

    private static Schema parsed(String schema) {
        return new Schema.Parser().parse(schema);
    }

    private Map<?, ?> get(String path) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path)).build();
        HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IOException(path + ": " + answer.statusCode() + " " + answer.body());
        }
        return json.readValue(answer.body(), Map.class);
    }
}
