"""What a user wants to be told, on which channel, and what was told."""

from collections.abc import Mapping

from millrace.client.endpoints import C, Resource, endpoint, listing
from millrace.client.models.told import Device, DeviceList, Notice, Preferences
from millrace.client.requests import Ask, given


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
    ) -> Ask:
        """All at once; what is left out is as at first. `quiet_hours`: `{"from": "22:00", "until": "07:00"}`."""
        body = given(language=language, zone=zone, quiet_hours=quiet_hours, summary_at=summary_at, notices=notices)
        return Ask(body=body)

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
