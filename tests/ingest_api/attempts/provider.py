"""What a payment provider says, written by hand to the topic of results: the installation of these tests has none."""

import secrets
import time
from typing import Any
from uuid import UUID

import psycopg
from confluent_kafka import Producer
from psycopg.rows import dict_row

from payments.commerce.connector import ConnectorOperation, ConnectorResult, Decline, Outcome
from runtime.settings import Settings
from schemas import topics
from schemas.codec.connectors import encode_result
from schemas.partitioning import shard_of
from tests.ingest_api.client import ApiClient
from tests.support.waiting import eventually

_ASKED = """
SELECT request_id, owner FROM provider_requests JOIN payment_orders USING (order_id) WHERE payment_order_id = %s"""


def placed(api: ApiClient, shop: str, amount: str = "60.00") -> str:
    """The name of a payment order that its provider is asked to charge."""
    name = f"order-{secrets.token_hex(6)}"
    order = {"seller_account": shop, "amount": amount, "currency": "EUR", "payment_order_id": name}
    body = {
        "buyer_info": {"reference": "customer-7"},
        "checkout_id": f"cart of {name}",
        "credit_card_info": {"token": "pm_card_visa"},
        "payment_orders": [order],
    }
    answer = api.post("/v1/payments", body)
    assert answer.status_code in {201, 202}, answer.text
    return name


def told(settings: Settings, name: str, outcome: Outcome, **said: Any) -> bytes:
    """The provider says this of the charge, and no attempt follows. The request's id."""
    with psycopg.connect(settings.database_url, row_factory=dict_row) as tables:

        def asked() -> list[dict[str, UUID]]:
            return tables.execute(_ASKED, [name]).fetchall()

        eventually(asked, "a request to the provider")
        request_id, owner = asked()[0]["request_id"].bytes, asked()[0]["owner"].bytes
    reference = "pi_1" if outcome is Outcome.SUCCEEDED else ""
    now_us = time.time_ns() // 1_000
    operation = ConnectorOperation.CHARGE
    result = ConnectorResult(
        request_id, 1, "stripe", operation, name, outcome, reference, Decline.NONE, "", None, "", now_us, False
    )._replace(**said)
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    shard = shard_of(owner, settings.shards)
    producer.produce(topics.CONNECTOR_RESULTS.name, encode_result(result), owner, shard)
    assert producer.flush(20) == 0
    return request_id


def bought(api: ApiClient, settings: Settings, shop: str, amount: str = "60.00") -> str:
    """The name of a payment order that its provider has charged."""
    name = placed(api, shop, amount)
    told(settings, name, Outcome.SUCCEEDED)
    eventually(lambda: api.get(f"/v1/payments/{name}").json()["wallet_updated"], "the order is paid")
    return name
