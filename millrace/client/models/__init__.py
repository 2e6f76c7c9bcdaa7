"""What answers say: plain values, one per resource, as the OpenAPI document describes them."""
