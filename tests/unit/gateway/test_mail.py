"""Terms of mail, suppressed addresses, and followers from outside."""

from __future__ import annotations

from typing import Any

import pytest

from syncline.domain.capabilities import FileCapability, FollowCapability, UnsubscribeCapability, seal_capability
from syncline.domain.preferences import Every, Wishes
from syncline.messages.send_letter import SendLetter, decode
from syncline.ports.queues import Queue
from syncline.store.follows import Follows
from syncline.store.outsiders import OUTSIDE_LIFE_S, Outsiders, State
from syncline.store.suppressions import LIFTS_MAX, Suppressions
from tests.unit.gateway.world import LINK_KEYS, Person, World

DAY_S = 24 * 3600
EVE = "eve@example.net"


async def test_a_follow_has_terms_of_its_own_and_the_account_s_where_it_says_nothing(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    path = f"/v1/libraries/{library}/follows/{library}"
    _, followed = await alice.ask("PUT", path, {"window": "daily", "hour": 7, "kinds": ["removed", "added"]})
    nothing = {"window": None, "hour": None, "zone": None, "kinds": None}
    assert followed["said"] == {"window": "daily", "hour": 7, "zone": None, "kinds": ["added", "removed"]}
    assert followed["terms"] == {**followed["said"], "zone": "UTC"}
    _, settings = await alice.ask("PUT", "/v1/me/mail", {"zone": "Europe/Berlin", "language": "de"})
    assert settings["said"] == {**nothing, "zone": "Europe/Berlin", "language": "de"}
    assert settings["terms"]["window"] == "immediate"
    _, listed = await alice.ask("GET", "/v1/follows")
    assert listed["follows"][0]["terms"]["zone"] == "Europe/Berlin"
    _, followed = await alice.ask("PUT", path)
    assert followed["said"] == nothing
    assert (await alice.ask("GET", "/v1/me/mail"))[1] == settings


@pytest.mark.parametrize(
    "body",
    [
        {"window": "weekly"},
        {"hour": 24},
        {"hour": -1},
        {"zone": "Mars/Olympus"},
        {"zone": "../../etc/passwd"},
        {"kinds": []},
        {"kinds": ["shouted"]},
        {"window": 5},
    ],
)
async def test_terms_that_make_no_sense_are_refused(world: World, body: dict[str, Any]) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    for path in (f"/v1/libraries/{library}/follows/{library}", "/v1/me/mail"):
        assert (await alice.ask("PUT", path, body))[0] == 422
    assert await Follows(world.tables).of_account(alice.account) == []


async def test_an_address_that_mail_came_back_from_is_told_and_lifted_a_few_times(world: World) -> None:
    alice = await world.person("alice")
    suppressions = Suppressions(world.tables, world.clock)
    for _ in range(LIFTS_MAX):
        await suppressions.add(alice.email, "bounce: no such mailbox")
        for path in ("/v1/follows", "/v1/me/mail"):
            _, told = await alice.ask("GET", path)
            assert (told["suppressed"]["address"], told["suppressed"]["reason"]) == (
                alice.email,
                "bounce: no such mailbox",
            )
        status, settings = await alice.ask("POST", "/v1/me/mail/lift")
        assert (status, "suppressed" in settings) == (200, False)
        assert await suppressions.reason(alice.email) is None
    await suppressions.add(alice.email, "bounce")
    status, problem = await alice.ask("POST", "/v1/me/mail/lift")
    assert (status, problem["type"].rpartition("/")[2]) == (409, "lifted-too-often")
    assert await suppressions.reason(alice.email) == "bounce"


# -- outside followers ----------------------------------------------------------------------------------------------


class Scene:
    def __init__(self, world: World, alice: Person, library: str, folder: str) -> None:
        self.world, self.alice, self.library, self.folder = world, alice, library, folder
        self.followers = f"/v1/libraries/{library}/followers"
        self.outsiders, self.follows = Outsiders(world.tables), Follows(world.tables)

    async def invite(self, email: str = EVE, **more: Any) -> tuple[int, Any]:
        return await self.alice.ask("POST", self.followers, {"email": email, "node": self.folder, **more})

    async def letters(self) -> list[SendLetter]:
        messages = await self.world.queues.receive(Queue.LETTERS, wait_s=0)
        await self.world.queues.delete(Queue.LETTERS, messages)
        return [decode(message.body) for message in messages]

    def token(self, follower: str, *, life_s: int = 3600) -> str:
        ends_at = self.world.clock.now_ms() // 1000 + life_s
        return seal_capability(FollowCapability(follower, self.library, self.folder, ends_at), LINK_KEYS)

    async def confirm(self, follower: str) -> int:
        return (await self.world.ask("POST", f"/v1/confirm?token={self.token(follower)}"))[0]

    def file_link(self, follower: str, node: str) -> str:
        ends_at = self.world.clock.now_ms() // 1000 + 3600
        return f"/v1/links/{seal_capability(FileCapability(follower, self.library, node, ends_at), LINK_KEYS)}"


@pytest.fixture
async def scene(world: World) -> Scene:
    alice = await world.person("alice")
    library = await alice.library()
    request = {"op": "folder", "node": world.new_id(), "parent": library, "name": "public"}
    made = await alice.commit(library, request)
    return Scene(world, alice, library, made["results"][0]["node"])


async def test_nobody_gets_mail_without_agreeing_and_a_visit_agrees_to_nothing(scene: Scene) -> None:
    status, invited = await scene.invite(window="daily", hour=9, language="de")
    assert (status, invited["state"], invited["nodes"]) == (200, "invited", [scene.folder])
    (letter,) = await scene.letters()
    assert (letter.kind, letter.language, letter.to) == ("follow", "de", "")
    assert letter.about == {"library": scene.library, "follower": invited["id"], "node": scene.folder}
    status, page, _ = await scene.world.ask("GET", f"/v1/confirm?token={scene.token(invited['id'])}")
    assert (status, b"<button>" in page) == (200, True)
    assert await scene.follows.of_library(scene.library) == []
    assert await scene.confirm(invited["id"]) == 200
    (follow,) = await scene.follows.of_library(scene.library)
    assert (follow.account, follow.node, follow.outside) == (invited["id"], scene.folder, True)
    assert follow.wishes == Wishes(window=Every.DAILY, hour=9)
    _, listed = await scene.alice.ask("GET", scene.followers)
    assert [(one["email"], one["state"], one["nodes"]) for one in listed["followers"]] == [
        (EVE, "confirmed", [scene.folder])
    ]
    assert listed["rules"] == {"links": False}


async def test_asking_again_sends_no_second_letter_and_a_declined_invitation_is_not_repeated(scene: Scene) -> None:
    _, invited = await scene.invite()
    _, again = await scene.invite(EVE.upper())
    assert again == invited
    assert len(await scene.letters()) == 1
    scene.world.clock.advance(DAY_S + 1)
    scene.alice = await scene.world.sign_in(scene.alice.email)
    await scene.invite()
    assert len(await scene.letters()) == 1
    await scene.confirm(invited["id"])
    await scene.invite()
    assert await scene.letters() == []
    token = seal_capability(
        UnsubscribeCapability(invited["id"], scene.library, scene.world.clock.now_ms() // 1000 + 60), LINK_KEYS
    )
    assert (await scene.world.ask("POST", f"/v1/unsubscribe?token={token}"))[0] == 200
    assert await scene.follows.of_library(scene.library) == []
    record = await scene.outsiders.get(scene.library, invited["id"])
    assert record is not None
    assert record.state is State.LEFT
    status, problem = await scene.invite()
    assert (status, problem["type"].rpartition("/")[2]) == (409, "invitation-declined")


async def test_a_confirmation_ends_and_can_be_renewed(scene: Scene) -> None:
    _, invited = await scene.invite()
    await scene.confirm(invited["id"])
    before = await scene.outsiders.get(scene.library, invited["id"])
    scene.world.clock.advance(OUTSIDE_LIFE_S - DAY_S)
    await scene.confirm(invited["id"])
    after = await scene.outsiders.get(scene.library, invited["id"])
    assert before is not None
    assert after is not None
    assert after.ends_at_s - before.ends_at_s >= OUTSIDE_LIFE_S - DAY_S
    assert len(await scene.follows.of_library(scene.library)) == 1
    assert not after.hears(after.ends_at_s)


async def test_links_open_only_what_they_follow_and_only_where_it_is_allowed(scene: Scene) -> None:
    world, alice = scene.world, scene.alice
    secret = await alice.put(scene.library, "secret", b"s")
    permitted = await alice.permit(scene.library, b"open", parent=scene.folder, name="open")
    made = await alice.commit(scene.library, {"op": "add", "permit": permitted["permit"]})
    node = made["results"][0]["node"]
    _, invited = await scene.invite()
    await scene.confirm(invited["id"])

    async def status_of(node: str) -> int:
        return (await world.ask("GET", scene.file_link(invited["id"], node)))[0]

    assert await status_of(node) == 404
    assert (await alice.ask("PUT", f"/v1/libraries/{scene.library}/outside", {"links": True}))[0] == 200
    assert await status_of(node) == 302
    assert await status_of(secret["node"]) == 404
    assert (await alice.ask("DELETE", f"{scene.followers}/{invited['id']}"))[0] == 204
    assert await status_of(node) == 404
    assert await scene.follows.of_library(scene.library) == []
    assert await scene.confirm(invited["id"]) == 404


async def test_viewers_invite_nobody_and_editors_open_no_links(scene: Scene) -> None:
    bob, carol = await scene.world.person("bob"), await scene.world.person("carol")
    await scene.alice.share(scene.library, bob, "viewer")
    await scene.alice.share(scene.library, carol, "editor")
    body = {"email": EVE, "node": scene.folder}
    assert (await bob.ask("POST", scene.followers, body))[0] == 403
    assert (await bob.ask("GET", scene.followers))[0] == 403
    assert (await carol.ask("POST", scene.followers, body))[0] == 200
    assert (await carol.ask("PUT", f"/v1/libraries/{scene.library}/outside", {"links": True}))[0] == 403


async def test_members_are_not_invited_as_outsiders(scene: Scene) -> None:
    status, problem = await scene.invite(scene.alice.email)
    assert (status, problem["type"].rpartition("/")[2]) == (409, "already-member")


async def test_nobody_mails_the_world_through_a_library(scene: Scene) -> None:
    answers = [(await scene.invite(f"p{n}@example.net"))[0] for n in range(101)]
    assert answers == [200] * 100 + [429]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_old_forged_and_other_links_confirm_nothing(scene: Scene, method: str) -> None:
    _, invited = await scene.invite()
    other = seal_capability(UnsubscribeCapability(invited["id"], scene.library, 2**40), LINK_KEYS)
    expired = scene.token(invited["id"], life_s=-1)
    for token, wanted in [(other, 404), (expired, 410), (scene.token("z" * 20), 404), ("x", 404)]:
        assert (await scene.world.ask(method, f"/v1/confirm?token={token}"))[0] == wanted
    assert await scene.follows.of_library(scene.library) == []
