"""Looking around, downloading, following, and links in mail."""

from urllib.parse import parse_qs, urlsplit

import pytest

from syncline.domain.capabilities import FileCapability, UnsubscribeCapability, seal_capability
from syncline.store.follows import Follows
from tests.unit.gateway.world import LINK_KEYS, TestKey, World

FOLDER = "f" * 20


async def test_a_folder_is_listed_by_name_in_pages(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    names = [f"{n:02}" for n in range(7)]
    nodes = [f"{chr(97 + n)}" * 20 for n in range(7)]
    for name, node in zip(names, nodes, strict=True):
        await alice.commit(library, {"op": "folder", "node": node, "parent": library, "name": name})
    seen, after = [], ""
    for _ in range(4):
        path = f"/v1/libraries/{library}/folders/{library}/children"
        _, page = await alice.ask("GET", path, params={"limit": "3", "after": after})
        assert len(page["children"]) <= 3
        seen += [child["name"] for child in page["children"]]
        after = page["after"]
        if not after:
            break
    assert seen == names


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=" + "9" * 5000, "limit=-1", "after=%00"])
async def test_bad_queries_are_named(world: World, query: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    status, problem = await alice.ask("GET", f"/v1/libraries/{library}/folders/{library}/children?{query}")
    assert (status, problem["type"].rsplit("/")[-1]) == (422, "invalid-query")
    assert problem["at"] == query.split("=")[0]


async def test_nodes_are_found_by_path_and_id(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.commit(library, {"op": "folder", "node": FOLDER, "parent": library, "name": "docs"})
    permitted = await alice.permit(library, b"x", parent=FOLDER, name="a b.txt")
    await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
    base = f"/v1/libraries/{library}"
    _, by_path = await alice.ask("GET", f"{base}/nodes", params={"path": "/docs/a b.txt"})
    _, by_id = await alice.ask("GET", f"{base}/nodes/{permitted['node']}")
    assert by_path == by_id
    assert by_id["path"] == "docs/a b.txt"
    for path, kind in [("docs/nope", "no-such-node"), ("docs/../x", "bad-name"), ("x" * 2000, "bad-name")]:
        status, problem = await alice.ask("GET", f"{base}/nodes", params={"path": path})
        assert problem["type"].rsplit("/")[-1] == kind
        assert status in (400, 404, 422)
    status, problem = await alice.ask("GET", f"{base}/folders/{permitted['node']}/children")
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "not-a-folder")


async def test_what_lies_in_a_removed_folder_is_removed(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.commit(library, {"op": "folder", "node": FOLDER, "parent": library, "name": "docs"})
    permitted = await alice.permit(library, b"x", parent=FOLDER, name="f", counter=1)
    await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
    await alice.commit(library, {"op": "remove", "node": FOLDER, "base_seq": 2, "held_all": True}, counter=2)
    base = f"/v1/libraries/{library}"
    _, node = await alice.ask("GET", f"{base}/nodes/{permitted['node']}")
    assert node["removed"] is True
    assert (await alice.ask("GET", f"{base}/files/{permitted['node']}/content"))[0] == 404
    # Its history is still there to be had.
    path = f"{base}/files/{permitted['node']}/content?version={permitted['version']}"
    assert (await alice.ask("GET", path))[0] == 302
    assert (await alice.ask("GET", f"{base}/folders/{FOLDER}/children"))[0] == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_content_redirects_to_a_short_lived_url(world: World, method: str) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    result = await alice.put(library, "räport.pdf", b"bytes")
    path = f"/v1/libraries/{library}/files/{result['node']}/content"
    status, _, response = await world.ask(method, path, token=alice.token)
    assert status == 302
    assert response.headers["Cache-Control"] == "no-store"
    where = urlsplit(response.headers["Location"])
    query = parse_qs(where.query)
    assert query["filename"] == ["räport.pdf"]
    assert abs(int(query["expires"][0]) - world.clock.now_ms() // 1000 - 300) < 5
    key = where.path.lstrip("/")
    assert await world.objects.get(key, query["versionId"][0]) == b"bytes"


async def test_content_of_another_files_version_is_not_given(world: World) -> None:
    alice = await world.person("alice")
    library, secret = await alice.library(), await alice.library()
    first, second = await alice.put(library, "f", b"1"), await alice.put(library, "g", b"2")
    foreign = await alice.put(secret, "h", b"3")
    for version in (second["version"], foreign["version"], "z" * 20, "x"):
        status, problem = await alice.ask(
            "GET", f"/v1/libraries/{library}/files/{first['node']}/content?version={version}"
        )
        assert (status, problem["type"].rsplit("/")[-1]) == (404, "no-such-version")
    status, problem = await alice.ask("GET", f"/v1/libraries/{library}/files/{library}/content")
    assert (status, problem["type"].rsplit("/")[-1]) == (409, "not-a-file")
    status, _ = await alice.ask("GET", f"/v1/libraries/{library}/files/{foreign['node']}/content")
    assert status == 404


async def test_versions_are_listed_newest_first_in_pages(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    result = await alice.put(library, "f", b"0")
    ids = [result["version"]]
    for n in range(1, 6):
        permitted = await alice.permit(library, b"%d" % n, node=result["node"], base_version=ids[-1], counter=n + 1)
        await alice.commit(library, {"op": "add", "permit": permitted["permit"]})
        ids.append(permitted["version"])
    path, seen, before = f"/v1/libraries/{library}/files/{result['node']}/versions?limit=2", [], 0
    for _ in range(5):
        _, page = await alice.ask("GET", path + (f"&before={before}" if before else ""))
        assert len(page["versions"]) <= 2
        seen += [version["id"] for version in page["versions"]]
        before = page["before"]
        if not before:
            break
    assert seen == ids[::-1]


async def test_late_versions_of_one_commit_are_not_lost_between_pages(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    result = await alice.put(library, "f", b"0")
    base = {"node": result["node"], "base_version": result["version"]}
    newest = await alice.permit(library, b"9", **base, counter=9)
    await alice.commit(library, {"op": "add", "permit": newest["permit"]})
    late = [await alice.permit(library, b"%d" % n, **base, counter=n) for n in (2, 3, 4)]
    answer = await alice.commit(library, *({"op": "add", "permit": p["permit"]} for p in late))
    assert {r["status"] for r in answer["results"]} == {"late"}
    for limit in (1, 2, 3, 4):
        seen, before = [], 0
        for _ in range(9):
            more = f"&before={before}" if before else ""
            path = f"/v1/libraries/{library}/files/{result['node']}/versions?limit={limit}{more}"
            _, page = await alice.ask("GET", path)
            seen += [version["id"] for version in page["versions"]]
            before = page["before"]
            if not before:
                break
        assert sorted(seen) == sorted([result["version"], newest["version"], *(p["version"] for p in late)])


async def test_following_and_unfollowing(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "viewer")
    result = await alice.put(library, "f", b"0")
    base = f"/v1/libraries/{library}/follows"
    status, followed = await bob.ask("PUT", f"{base}/{library}")
    assert (status, followed["library"], followed["node"], followed["path"]) == (200, library, library, "")
    assert (await bob.ask("PUT", f"{base}/{result['node']}"))[1]["path"] == "f"
    assert (await bob.ask("PUT", f"{base}/{result['node']}"))[0] == 200
    assert (await bob.ask("PUT", f"{base}/{'z' * 20}"))[0] == 404
    _, got = await bob.ask("GET", "/v1/follows")
    assert {(f["node"], f["path"]) for f in got["follows"]} == {(library, ""), (result["node"], "f")}
    assert (await alice.ask("GET", "/v1/follows"))[1] == {"follows": []}
    assert (await bob.ask("DELETE", f"{base}/{library}"))[0] == 204
    assert (await bob.ask("DELETE", f"{base}/{library}"))[0] == 204
    _, got = await bob.ask("GET", "/v1/follows")
    assert [f["node"] for f in got["follows"]] == [result["node"]]
    await alice.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}")
    assert (await bob.ask("GET", "/v1/follows"))[1] == {"follows": []}
    assert await Follows(world.tables).of_library(library) == []


def ends_at(world: World) -> int:
    return world.clock.now_ms() // 1000 + 3600


async def test_one_click_ends_the_mail_and_a_visit_does_not(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library("Q&A <b>")
    await alice.ask("PUT", f"/v1/libraries/{library}/follows/{library}")
    token = seal_capability(UnsubscribeCapability(alice.account, library, ends_at(world)), LINK_KEYS)
    status, page, response = await world.ask("GET", f"/v1/unsubscribe?token={token}")
    assert status == 200
    assert response.content_type == "text/html"
    assert b"<button>" in page
    assert b"Q&amp;A &lt;b&gt;" in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert len(await Follows(world.tables).of_account(alice.account)) == 1
    for _ in range(2):
        status, _, _ = await world.ask("POST", f"/v1/unsubscribe?token={token}", data={"List-Unsubscribe": "One-Click"})
        assert status == 200
    assert await Follows(world.tables).of_account(alice.account) == []


async def test_a_link_to_a_file_goes_as_far_as_its_recipients_rights(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    library = await alice.library()
    await alice.share(library, bob, "viewer")
    result = await alice.put(library, "f", b"bytes")
    token = seal_capability(FileCapability(bob.account, library, result["node"], ends_at(world)), LINK_KEYS)
    status, _, response = await world.ask("GET", f"/v1/links/{token}")
    assert status == 302
    assert response.headers["Location"].startswith("memory://")
    await alice.ask("DELETE", f"/v1/libraries/{library}/members/{bob.account}")
    status, _, response = await world.ask("GET", f"/v1/links/{token}")
    assert (status, response.content_type) == (404, "text/html")
    assert "Location" not in response.headers


async def test_damaged_and_old_links_give_a_readable_page(world: World) -> None:
    alice = await world.person("alice")
    library = await alice.library()
    await alice.ask("PUT", f"/v1/libraries/{library}/follows/{library}")
    good = UnsubscribeCapability(alice.account, library, ends_at(world))
    file = FileCapability(alice.account, library, library, ends_at(world))
    token = seal_capability(good, LINK_KEYS)
    expired = seal_capability(UnsubscribeCapability(alice.account, library, 1), LINK_KEYS)
    forged = seal_capability(good, (TestKey("l1", b"m" * 32),))
    wrong_kind = seal_capability(file, LINK_KEYS)
    for bad, wanted in [(expired, 410), (forged, 404), (wrong_kind, 404), (token[:-2], 404), ("", 422), ("é", 404)]:
        for method in ("GET", "POST"):
            status, page, _ = await world.ask(method, "/v1/unsubscribe", params={"token": bad})
            assert status == wanted
            assert b"Traceback" not in page
    for bad, wanted in [(token, 404), ("x", 404), (wrong_kind, 409)]:
        status, _, response = await world.ask("GET", f"/v1/links/{bad}")
        assert (status, response.content_type) == (wanted, "text/html")
    assert len(await Follows(world.tables).of_account(alice.account)) == 1
