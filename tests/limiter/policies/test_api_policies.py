"""``/api/policies``: a policy and its limits are written as one, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from limiter.models import QuotaLimit, QuotaPolicy
from tests.api_client import ANY, as_read, editor, errors, person

MINUTE: dict[str, Any] = {"name": "minute", "quota": 600, "window_seconds": 60}
DAY: dict[str, Any] = {
    "name": "day",
    "algorithm": "sliding_counter",
    "quota": 100_000,
    "window_seconds": 86_400,
    "counted_per": "tenant",
}
BUCKET: dict[str, Any] = {
    "name": "burst",
    "algorithm": "token_bucket",
    "quota": 17,
    "window_seconds": 60,
    "burst": 250,
}
IN_FLIGHT: dict[str, Any] = {"name": "inflight", "algorithm": "concurrency", "quota": 25}
GOLD: dict[str, Any] = {"name": "Gold", "limits": [MINUTE, DAY]}


@pytest.fixture
def gold(db: None) -> QuotaPolicy:
    policy = QuotaPolicy.objects.create(name="Gold")
    QuotaLimit.objects.create(policy=policy, **MINUTE)
    policy.refresh_from_db()
    return policy


def names(policy: QuotaPolicy) -> dict[str, int]:
    return dict(policy.limits.values_list("name", "quota"))


def test_a_limit_by_a_value_is_written_read_and_refused_at_its_field(db: None) -> None:
    api = editor()
    contact = {**BUCKET, "counted_by": "/contactId", "max_values": 500}
    made = api.post("/api/policies/", {"name": "Contacts", "limits": [contact]})
    assert made.status_code == 201, made.content
    assert (made.json()["limits"][0]["counted_by"], made.json()["limits"][0]["max_values"]) == ("/contactId", 500)
    wrong = api.post("/api/policies/", {"name": "Wrong", "limits": [{**contact, "counted_by": "contact id"}]})
    assert errors(wrong) == {"limits[0].counted_by": ["Give a JSON Pointer such as /contactId, or a header."]}


def test_a_policy_is_made_with_its_limits_read_and_deleted(db: None) -> None:
    api = editor()
    made = api.post("/api/policies/", {**GOLD, "limits": [MINUTE, DAY, BUCKET, IN_FLIGHT], "reason": "contract"})
    assert made.status_code == 201, made.content
    assert [line["name"] for line in made.json()["limits"]] == ["minute", "day", "burst", "inflight"]
    assert made.json()["version"] == 1
    path = f"/api/policies/{made.json()['id']}/"
    read = api.get(path)
    assert (read.json(), read["ETag"]) == (made.json(), made["ETag"])
    assert api.delete(path, headers={"X-Change-Reason": "over"}).status_code == 204
    assert not QuotaLimit.objects.exists()
    history = QuotaPolicy.history.order_by("history_id")
    assert [(h.history_user.username, h.history_change_reason) for h in history] == [
        ("ana", "contract"),
        ("ana", "over"),
    ]


def test_limits_are_replaced_by_name_in_one_version(gold: QuotaPolicy) -> None:
    kept = gold.limits.get().pk
    response = editor().patch(
        f"/api/policies/{gold.pk}/",
        {"limits": [{**MINUTE, "quota": 50}, IN_FLIGHT], "reason": "slower", "version": gold.version},
    )
    assert response.status_code == 200, response.content
    assert names(gold) == {"minute": 50, "inflight": 25}
    assert gold.limits.get(name="minute").pk == kept
    assert response.json()["version"] == gold.version + 1
    reasons = set(
        QuotaLimit.history.exclude(history_change_reason=None).values_list("history_change_reason", flat=True)
    )
    assert reasons == {"slower"}

    response = editor("eve").put(f"/api/policies/{gold.pk}/", {"name": "Gold", "limits": [DAY]}, headers=ANY)
    assert names(gold) == {"day": 100_000}
    assert response.json()["version"] == gold.version + 2


def test_a_limit_that_does_not_say_follows_the_upstream_by_its_window_and_a_stored_one_as_before(db: None) -> None:
    lines: list[dict[str, Any]] = [
        {"name": "five", "quota": 100, "window_seconds": 300},
        {"name": "six", "quota": 100, "window_seconds": 360},
        {"name": "day", "quota": 100, "window_seconds": 86_400, "adaptive": True},
        {"name": "slots", "quota": 5, "algorithm": "concurrency"},
    ]
    root = editor()
    made = root.post("/api/policies/", {"name": "Gold", "limits": lines, "reason": "test"}).json()
    follow = {"five": True, "six": False, "day": True, "slots": True}
    assert {line["name"]: line["adaptive"] for line in made["limits"]} == follow
    del lines[2]["adaptive"]
    body = {"limits": [line | {"quota": 7} for line in lines], "version": 1, "reason": "test"}
    changed = root.patch(f"/api/policies/{made['id']}/", body).json()
    assert {line["name"]: line["adaptive"] for line in changed["limits"]} == follow


def test_appointments_are_refused_for_a_limit_that_cannot_hold_a_unit(db: None) -> None:
    api = editor()
    slots = {"name": "inflight", "algorithm": "concurrency", "quota": 5}
    refused = errors(api.post("/api/policies/", {"name": "Herd", "reserve_seconds": 5, "limits": [slots]}))
    assert "slots are not held" in str(refused)
    made = api.post("/api/policies/", {"name": "Herd", "reserve_seconds": 5, "wait_seconds": 9, "limits": [BUCKET]})
    assert (made.status_code, made.json()["reserve_seconds"], made.json()["wait_seconds"]) == (201, 5, 9)


def test_a_shared_limit_takes_appointments(db: None) -> None:
    pool = {"name": "pool", "quota": 100, "window_seconds": 60, "counted_per": "connection", "shared": True}
    made = editor().post("/api/policies/", {"name": "Pool", "reserve_seconds": 5, "limits": [pool]})
    assert (made.status_code, made.json()["limits"][0]["shared"]) == (201, True)


def test_limits_left_out_of_a_patch_stay(gold: QuotaPolicy) -> None:
    assert editor().patch(f"/api/policies/{gold.pk}/", {"mode": "shadow"}).status_code == 200
    assert names(gold) == {"minute": 600}


def test_saying_the_same_again_makes_no_version(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    before = api.get(path).json()
    again = api.put(path, before)
    assert (again.status_code, again.json()) == (200, before)
    assert QuotaLimit.history.count() == 1


def test_thresholds_are_read_and_written(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    assert api.get(path).json()["alert_at"] == [80, 95, 100]
    assert api.patch(path, {"alert_at": [50]}).json()["alert_at"] == [50]
    assert api.patch(path, {"alert_at": []}).json()["alert_at"] == []
    assert api.put(path, GOLD, headers=ANY).json()["alert_at"] == [80, 95, 100]


@pytest.mark.parametrize("wrong", [[95, 80], [0], [101], [80, 80], [1, 2, 3, 4, 5, 6], "80", None, [None], [80.5]])
def test_thresholds_that_make_no_sense_are_named(gold: QuotaPolicy, wrong: Any) -> None:
    found = errors(editor().patch(f"/api/policies/{gold.pk}/", {"alert_at": wrong}))
    assert {name.partition("[")[0].partition(".")[0] for name in found} == {"alert_at"}


def test_a_stale_version_is_409_and_says_the_version_there_is(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    assert api.patch(path, {"version": gold.version, "mode": "shadow"}).status_code == 200
    for reply in (
        api.patch(path, {"version": gold.version, "mode": "enforce"}),
        api.put(path, {**GOLD, "version": gold.version}),
    ):
        assert reply.status_code == 409
        assert reply["Content-Type"] == "application/problem+json"
        assert reply.json()["current_version"] == gold.version + 1
    gold.refresh_from_db()
    assert gold.mode == "shadow"


def test_a_stale_tag_is_412_and_says_the_version_there_is(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    read = as_read(api, path)
    gold.limits.update(quota=5)  # past every save, as SQL would
    for reply in (
        api.patch(path, {"mode": "shadow"}, headers=read),
        api.patch(path, {"mode": "shadow"}, headers={"If-Match": f'"{gold.version - 1}"'}),
        api.delete(path, headers=read),
    ):
        assert (reply.status_code, reply.json()["current_version"]) == (412, gold.version)
    gold.refresh_from_db()
    assert gold.mode == "enforce"


def test_limits_are_not_replaced_by_who_does_not_say_which_they_read(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    for reply in (api.patch(path, {"limits": [DAY]}), api.put(path, {"name": "Gold", "limits": [DAY]})):
        assert reply.status_code == 428 and "If-Match" in reply.json()["detail"]
    assert names(gold) == {"minute": 600}


def test_if_match_with_the_version_there_is_or_a_star_passes(gold: QuotaPolicy) -> None:
    api, path = editor(), f"/api/policies/{gold.pk}/"
    first = api.patch(path, {"mode": "shadow"}, headers={"If-Match": api.get(path)["ETag"]})
    assert first.status_code == 200
    assert first["ETag"] == api.get(path)["ETag"]
    assert api.patch(path, {"mode": "enforce"}, headers={"If-Match": "*"}).status_code == 200
    assert api.delete(path, headers={"If-Match": f'"1", "{gold.version + 2}"'}).status_code == 204


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"limits": [{**MINUTE, "quota": -1}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "quota": 0}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "quota": 10**30}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "quota": 2_000_000}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "quota": "many"}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "quota": None}]}, "limits[0].quota"),
        ({"limits": [{**MINUTE, "window_seconds": 0}]}, "limits[0].window_seconds"),
        ({"limits": [{**MINUTE, "window_seconds": None}]}, "limits[0].window_seconds"),
        ({"limits": [{**MINUTE, "window_seconds": 10**9}]}, "limits[0].window_seconds"),
        ({"limits": [{**IN_FLIGHT, "window_seconds": 60}]}, "limits[0].window_seconds"),
        ({"limits": [{**IN_FLIGHT, "lease_seconds": 0}]}, "limits[0].lease_seconds"),
        ({"limits": [{**BUCKET, "burst": None}]}, "limits[0].burst"),
        ({"limits": [{**BUCKET, "burst": 10**9, "window_seconds": 86_400}]}, "limits[0].burst"),
        ({"limits": [{**MINUTE, "burst": 5}]}, "limits[0].burst"),
        ({"limits": [DAY, {**MINUTE, "name": "Minute"}]}, "limits[1].name"),
        ({"limits": [MINUTE, DAY, MINUTE]}, "limits[2].name"),
        ({"limits": [{**MINUTE, "algorithm": "guess"}]}, "limits[0].algorithm"),
        ({"limits": [{**MINUTE, "counted_per": "moon"}]}, "limits[0].counted_per"),
        ({"limits": [{**MINUTE, "colour": "red"}]}, "limits[0].colour"),
        ({"limits": [7]}, "limits[0]"),
        ({"limits": {"minute": 600}}, "limits"),
        ({"limits": [MINUTE] * 51}, "limits"),
        ({"limits": None}, "limits"),
        ({"name": "Base"}, "name"),
        ({"name": ""}, "name"),
        ({"mode": "off"}, "mode"),
        ({"sensitivity": "nan"}, "sensitivity"),
        ({"sensitivity": -1}, "sensitivity"),
        ({"latency_threshold_ms": 0}, "latency_threshold_ms"),
        ({"min_multiplier": 1, "max_multiplier": 0.5}, "min_multiplier"),
        ({"reduced_status": 200}, "reduced_status"),
        ({"version": 3}, "version"),
        ({"id": 3}, "id"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_saved(
    base_policy: QuotaPolicy, change: dict[str, Any], field: str
) -> None:
    assert list(errors(editor().post("/api/policies/", {**GOLD, **change}))) == [field]
    assert QuotaPolicy.objects.count() == QuotaLimit.objects.count() == 1


@pytest.mark.parametrize("field", ["quota", "burst", "share_floor", "share_ceiling", "window_seconds"])
def test_a_number_that_is_none_is_called_so_in_plain_words(base_policy: QuotaPolicy, field: str) -> None:
    found = errors(editor().post("/api/policies/", {**GOLD, "limits": [{**MINUTE, field: "many"}]}))
    assert found == {f"limits[0].{field}": ["A valid integer is required."]}


def test_every_bad_line_is_named_at_once(db: None) -> None:
    lines = [{**MINUTE, "quota": 2_000_000}, DAY, {**BUCKET, "burst": None}, {**DAY, "quota": 1}]
    found = errors(editor().post("/api/policies/", {"name": "X", "limits": lines}))
    assert set(found) == {"limits[0].quota", "limits[2].burst", "limits[3].name"}


def test_a_bad_line_in_a_change_leaves_all_as_it_was(gold: QuotaPolicy) -> None:
    response = editor().patch(
        f"/api/policies/{gold.pk}/", {"name": "Silver", "limits": [DAY, {**MINUTE, "quota": 2_000_000}]}, headers=ANY
    )
    assert list(errors(response)) == ["limits[1].quota"]
    stored = QuotaPolicy.objects.get()
    assert (stored.name, stored.version, names(stored)) == ("Gold", gold.version, {"minute": 600})


def test_a_policy_in_use_is_not_deleted(base_policy: QuotaPolicy) -> None:
    response = editor().delete(f"/api/policies/{base_policy.pk}/")
    assert response.status_code == 409
    assert "1 assignments" in response.json()["detail"]
    assert QuotaLimit.objects.count() == 1


def test_changing_limits_takes_the_rights_that_the_admin_asks_for(gold: QuotaPolicy) -> None:
    path = f"/api/policies/{gold.pk}/"
    some = person("limiter.change_quotapolicy", "limiter.change_quotalimit", name="some")
    assert some.patch(path, {"mode": "shadow"}).status_code == 200
    assert some.patch(path, {"limits": [{**MINUTE, "quota": 5}]}, headers=ANY).status_code == 200
    added = some.patch(path, {"name": "Silver", "limits": [MINUTE, DAY]}, headers=ANY)
    assert (added.status_code, added.json()["detail"]) == (403, "You may not add limits.")
    assert some.patch(path, {"limits": []}, headers=ANY).json()["detail"] == "You may not delete limits."
    assert names(gold) == {"minute": 5}
    gold.refresh_from_db()
    assert gold.name == "Gold"


def test_reading_a_policy_takes_the_right_to_see_limits_too(gold: QuotaPolicy) -> None:
    half = person("limiter.view_quotapolicy", name="half")
    assert half.get(f"/api/policies/{gold.pk}/").status_code == 403
    both = person("limiter.view_quotapolicy", "limiter.view_quotalimit", name="both")
    assert both.get(f"/api/policies/{gold.pk}/").status_code == 200


def test_a_list_costs_the_same_queries_however_long(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    api = editor()
    for wanted in (3, 30):
        while QuotaPolicy.objects.count() < wanted:
            policy = QuotaPolicy.objects.create(name=f"P{QuotaPolicy.objects.count()}")
            QuotaLimit.objects.create(policy=policy, **MINUTE)
        with django_assert_num_queries(6):
            assert len(api.get("/api/policies/").json()["results"]) == wanted
