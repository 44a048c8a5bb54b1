"""The devices on which an account is signed in."""

from __future__ import annotations

from services.gateway.wakes import Wakes
from syncline.domain.errors import Refused
from syncline.messages import api as m
from syncline.ports.clock import Clock
from syncline.serving.auth import not_signed_in
from syncline.serving.logging import get_logger
from syncline.serving.routes import Call, Nothing
from syncline.store.directory import Directory


class Devices:
    def __init__(self, directory: Directory, wakes: Wakes, clock: Clock) -> None:
        self._directory = directory
        self._wakes = wakes
        self._clock = clock

    async def all(self, call: Call, _body: Nothing) -> m.Devices:
        account = await self._directory.account(call.caller.account)
        if account is None:
            raise not_signed_in("This account is no more.")
        return m.Devices(
            devices=[
                m.Device(
                    id=device.id,
                    name=device.name,
                    signed_in_at_ms=device.created_at_ms,
                    refreshed_at_ms=max(device.created_at_ms, device.rotated_at_ms),
                    this=device.id == call.caller.device,
                )
                for device in await self._directory.devices_of(account)
            ]
        )

    async def revoke(self, call: Call, _body: Nothing) -> Nothing:
        """From the next request on, also for those that are held."""
        wanted = call.id("device", "no-such-device")
        device = await self._directory.device(wanted)
        if device is None or device.account != call.caller.account:
            raise Refused("no-such-device", "You have no device of this id.", status=404)
        await self._directory.revoke_device(device.id, at_ms=self._clock.now_ms())
        get_logger().info("device-revoked", revoked=device.id)
        await self._wakes.touch(device.account)
        return Nothing()
