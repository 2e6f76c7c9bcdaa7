"""What happened: events to catch up with, webhook endpoints that are told of them, and what users want to be told."""

from collections.abc import Mapping, Sequence
from typing import Literal

from millrace.client.endpoints import C, Page, Resource, endpoint, listing, steps
from millrace.client.exchange import Flow
from millrace.client.models.told import Delivery, Device, DeviceList, Endpoint, EndpointList, Event, Notice, Preferences
from millrace.client.requests import Ask, Moment, given
from millrace.client.resources.accounts import only_if


class Events(Resource[C]):
    """`client.events`."""

    @listing("GET /v1/events", Event)
    def list(
        self,
        *,
        type: str | None = None,
        object: str | None = None,
        account: str | None = None,
        order: Literal["oldest", "newest"] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Ask:
        """Events of the last 30 days in the order in which they were stored. `.following()` goes on with what comes;
        keep `.cursor` to go on after a restart: events of the page that was being read come again, with the same ids.
        """
        query = given(
            type=type,
            object=object,
            account=account,
            order=order,
            from_=since,
            to=until,
            limit=limit,
            cursor=cursor,
        )
        return Ask(query=query)

    @steps
    def cursor_before_latest(
        self, count: int, *, type: str | None = None, object: str | None = None, account: str | None = None
    ) -> Flow[str | None]:
        """Where the latest `count` (0 to 499) begin: `list(cursor=…)` shows them first, and `.following()` what comes
        then. None where there are no more than these.
        """
        asked = Events.list
        query = given(type=type, object=object, account=account, order="newest", limit=count + 1)
        page = yield from self.caller.calls.flow(asked.route, Ask(query=query), Page[Event])
        return page.next_cursor

    @endpoint("GET /v1/events/{event_id}", Event)
    def get(self, event_id: str) -> Ask:
        """One event."""
        return Ask((event_id,))


class WebhookEndpoints(Resource[C]):
    """`client.webhook_endpoints`. What arrives is checked with `verify_webhook`."""

    @endpoint("POST /v1/webhook-endpoints", Endpoint)
    def create(self, url: str, *, event_types: Sequence[str] | None = None, description: str | None = None) -> Ask:
        """The answer has the `secret`, once."""
        return Ask(body=given(url=url, event_types=event_types, description=description))

    @endpoint("GET /v1/webhook-endpoints", EndpointList)
    def list(self) -> Ask:
        """The caller's own."""
        return Ask()

    @endpoint("GET /v1/webhook-endpoints/{endpoint_id}", Endpoint)
    def get(self, endpoint_id: str) -> Ask:
        """One endpoint."""
        return Ask((endpoint_id,))

    @endpoint("PATCH /v1/webhook-endpoints/{endpoint_id}", Endpoint)
    def change(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
        description: str | None = None,
        status: str | None = None,
        if_match: str | None = None,
    ) -> Ask:
        """What is left out stays. `status`: `enabled`, `disabled`."""
        body = given(url=url, event_types=event_types, description=description, status=status)
        return Ask((endpoint_id,), body=body, headers=only_if(if_match))

    @endpoint("DELETE /v1/webhook-endpoints/{endpoint_id}", Endpoint)
    def delete(self, endpoint_id: str, *, if_match: str | None = None) -> Ask:
        """What waits is not sent."""
        return Ask((endpoint_id,), headers=only_if(if_match))

    @endpoint("POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret", Endpoint)
    def rotate_secret(self, endpoint_id: str) -> Ask:
        """Another secret; for 24 hours deliveries carry the signatures of both."""
        return Ask((endpoint_id,), body={})

    @endpoint("POST /v1/webhook-endpoints/{endpoint_id}/test", Delivery)
    def test(self, endpoint_id: str) -> Ask:
        """Send it an event of the type `webhook.test`."""
        return Ask((endpoint_id,), body={})

    @listing("GET /v1/webhook-endpoints/{endpoint_id}/deliveries", Delivery)
    def deliveries(
        self, endpoint_id: str, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Ask:
        """What became of each event, the latest first."""
        return Ask((endpoint_id,), given(status=status, limit=limit, cursor=cursor))

    @endpoint("GET /v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}", Delivery)
    def delivery(self, endpoint_id: str, delivery_id: str) -> Ask:
        """One delivery with its tries."""
        return Ask((endpoint_id, delivery_id))

    @endpoint("POST /v1/webhook-endpoints/{endpoint_id}/deliveries/{delivery_id}/redeliver", Delivery, repeats=True)
    def redeliver(self, endpoint_id: str, delivery_id: str) -> Ask:
        """Send it again, with the same webhook-id."""
        return Ask((endpoint_id, delivery_id), body={})


class Notifications(Resource[C]):
    """`client.notifications`."""

    @endpoint("GET /v1/notification-preferences", Preferences)
    def preferences(self) -> Ask:
        """What the caller is told of, when, and how."""
        return Ask()

    @endpoint("PUT /v1/notification-preferences", Preferences)
    def set_preferences(
        self,
        *,
        notices: Mapping[str, Mapping[str, str]] | None = None,
        language: str | None = None,
        zone: str | None = None,
        quiet_hours: Mapping[str, str] | None = None,
        summary_at: str | None = None,
        if_match: str | None = None,
    ) -> Ask:
        """All at once; what is left out is as at first. `quiet_hours`: `{"from": "22:00", "until": "07:00"}`."""
        body = given(language=language, zone=zone, quiet_hours=quiet_hours, summary_at=summary_at, notices=notices)
        return Ask(body=body, headers=only_if(if_match))

    @endpoint("GET /v1/notification-devices", DeviceList)
    def devices(self) -> Ask:
        """Devices that push goes to."""
        return Ask()

    @endpoint("POST /v1/notification-devices", Device, repeats=True)
    def add_device(self, token: str) -> Ask:
        """Push to a device; the same token again answers the same device."""
        return Ask(body={"token": token})

    @endpoint("DELETE /v1/notification-devices/{device_id}", DeviceList)
    def remove_device(self, device_id: str) -> Ask:
        """Forget it; answers what is left."""
        return Ask((device_id,))

    @listing("GET /v1/notifications", Notice)
    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """What the caller was told, the latest first."""
        return Ask(query=given(limit=limit, cursor=cursor))

    @listing("GET /v1/failed-notices", Notice)
    def failed(self, *, limit: int | None = None, cursor: str | None = None) -> Ask:
        """What could not be told, to anybody: for operators."""
        return Ask(query=given(limit=limit, cursor=cursor))

    @endpoint("POST /v1/failed-notices/{notice_id}/resend", Notice)
    def send_again(self, notice_id: str) -> Ask:
        """Once more, with all of its tries."""
        return Ask((notice_id,), body={})
