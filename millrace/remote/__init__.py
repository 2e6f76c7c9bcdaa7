"""Commands that call the API by HTTP, as anybody's program would: no Kafka, no Postgres, no installation needed."""
