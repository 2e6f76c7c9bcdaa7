"""What is public on Kafka, as an AsyncAPI 3.0 document."""
