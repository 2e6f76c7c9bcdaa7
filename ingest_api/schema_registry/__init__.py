"""The schemas under the REST interface of Confluent's registry, read-only, and the AsyncAPI document beside them."""
