"""The policy form: one save is one edit, wrong input is reported at its field, and earlier versions can be put back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from limiter.policies.advice import advice
from limiter.policies.models.version import one_version
from limiter.policies.sentences import policy as sentences_of
from tenants.models import Action, Tenant
from tests.filled_form import as_seen, filled_form
from tests.unrendered import refused

pytestmark = pytest.mark.django_db
ADD = "/admin/limiter/quotapolicy/add/"
EMPTY: dict[str, Any] = {}
"""The form of a new policy as the page has it; read once."""
PREVIEW = "/admin/limiter/quotapolicy/preview/"


@pytest.fixture
def root(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=None))
    return client


@pytest.fixture
def gold(db: None) -> QuotaPolicy:
    """Version 1: ``minute`` 100 per 60 s and ``day`` 1,000 per day."""
    with one_version("first"):
        policy = QuotaPolicy.objects.create(name="Gold")
        QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
        QuotaLimit.objects.create(policy=policy, name="day", quota=1000, window_seconds=86_400)
    return policy


def change_url(policy: QuotaPolicy) -> str:
    return reverse("admin:limiter_quotapolicy_change", args=[policy.pk])


def form_of(client: Client, url: str) -> dict[str, Any]:
    return filled_form(client.get(url).content)


def new_policy(client: Client, **fields: Any) -> dict[str, Any]:
    """The empty form with a name and one limit filled in; ``limit_quota=5`` sets the field of that limit."""
    first = {"name": "minute", "quota": "100", "window_seconds": "60"}
    first |= {name.removeprefix("limit_"): value for name, value in fields.items() if name.startswith("limit_")}
    own = {name: value for name, value in fields.items() if not name.startswith("limit_")}
    if not EMPTY:
        EMPTY.update(form_of(client, ADD))
    return EMPTY | {"name": "Gold"} | own | {f"limits-0-{name}": value for name, value in first.items()}


def more_limits(data: dict[str, Any], *limits: dict[str, Any]) -> dict[str, Any]:
    """The form with further limits, as the page's "add another" makes them."""
    count = int(data["limits-TOTAL_FORMS"])
    usual = {"algorithm": "sliding_log", "lease_seconds": "90", "counted_per": "action", "adaptive": "on"}
    for index, limit in enumerate(limits, start=count):
        data |= {f"limits-{index}-{name}": value for name, value in (usual | limit).items()}
    return data | {"limits-TOTAL_FORMS": str(count + len(limits))}


def errors_of(response: Any) -> dict[str, list[str]]:
    """What the form complains of, by field; a limit's fields with its number in front."""
    found = {name: list(said) for name, said in response.context_data["adminform"].form.errors.items()}
    (limits,) = response.context_data["inline_admin_formsets"]
    for index, form in enumerate(limits.formset.forms):
        found |= {f"{index}.{name}": list(said) for name, said in form.errors.items()}
    if limits.formset.non_form_errors():
        found["limits"] = list(limits.formset.non_form_errors())
    return found


def says(policy: QuotaPolicy) -> dict[str, int]:
    return dict(policy.limits.values_list("name", "quota"))


def test_a_policy_and_its_limits_are_saved_as_version_1(root: Client) -> None:
    response = root.post(ADD, new_policy(root, change_reason="TICKET-1"))
    policy = QuotaPolicy.objects.get()
    assert response.status_code == 302
    assert (policy.version, says(policy)) == (1, {"minute": 100})
    history = policy.history.get()
    assert (history.history_user.username, history.history_change_reason) == ("root", "TICKET-1")
    assert QuotaLimit.history.get().history_change_reason == "TICKET-1"


def test_one_save_of_policy_and_limits_is_one_version(root: Client, gold: QuotaPolicy) -> None:
    data = form_of(root, change_url(gold)) | {"mode": "shadow", "limits-0-quota": "50", "limits-1-DELETE": "on"}
    data = more_limits(data, {"name": "hour", "quota": "500", "window_seconds": "3600"})
    assert root.post(change_url(gold), data).status_code == 302
    gold.refresh_from_db()
    assert (gold.version, gold.mode, says(gold)) == (2, "shadow", {"minute": 50, "hour": 500})
    assert gold.history.count() == 2


def test_an_edit_of_limits_alone_is_a_version_too(root: Client, gold: QuotaPolicy) -> None:
    data = form_of(root, change_url(gold)) | {"limits-0-quota": "50", "change_reason": "INC-7"}
    root.post(change_url(gold), data)
    gold.refresh_from_db()
    assert gold.version == 2
    assert gold.history.latest().history_change_reason == "INC-7"
    assert gold.history.latest().history_user.username == "root"


def test_a_save_that_changes_nothing_is_no_version(root: Client, gold: QuotaPolicy) -> None:
    root.post(change_url(gold), form_of(root, change_url(gold)) | {"change_reason": "looking"})
    gold.refresh_from_db()
    assert (gold.version, gold.history.count()) == (1, 1)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("80, 95, 100", [80, 95, 100]), ("50 %; 90%", [50, 90]), (" 75 ", [75]), ("", []), ("1 2 3 4 5", [1, 2, 3, 4, 5])],
)
def test_thresholds_are_typed_as_percentages_and_are_a_version_like_any_edit(
    root: Client, gold: QuotaPolicy, typed: str, kept: list[int]
) -> None:
    data = form_of(root, change_url(gold))
    assert data["alert_at"] == "80, 95, 100"
    root.post(change_url(gold), {**data, "alert_at": typed})
    before, gold_before = gold.version, gold.alert_at
    gold.refresh_from_db()
    assert gold.alert_at == kept
    assert gold.version == before + (kept != gold_before)
    assert gold.history.latest("history_id").alert_at == kept


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("95, 80", "Give each percentage once, the lowest first."),
        ("80, 80", "Give each percentage once, the lowest first."),
        ("0, 80", "Give whole percentages from 1 to 100, or none."),
        ("101", "Give whole percentages from 1 to 100, or none."),
        ("1 2 3 4 5 6", "Give at most 5 percentages."),
        ("soon", "Write percentages with commas between them, for instance 80, 95, 100."),
        ("80.5", "Write percentages with commas between them, for instance 80, 95, 100."),
        ("\u0668\u0660", "Write percentages with commas between them, for instance 80, 95, 100."),
    ],
)
def test_thresholds_that_make_no_sense_are_reported_at_their_field(root: Client, typed: str, error: str) -> None:
    assert errors_of(refused(root, ADD, new_policy(root, alert_at=typed))) == {"alert_at": [error]}


def test_a_bulk_delete_takes_limits_along_and_is_recorded(root: Client, gold: QuotaPolicy) -> None:
    url = reverse("admin:limiter_quotapolicy_changelist")
    asked = root.post(url, {"action": "delete_selected", "_selected_action": [str(gold.pk)]})
    root.post(url, filled_form(asked.content))
    assert not QuotaPolicy.objects.exists() and not QuotaLimit.objects.exists()
    assert list(QuotaLimit.history.values_list("history_type", flat=True))[:2] == ["-", "-"]


def test_a_policy_that_somebody_has_is_not_deleted(root: Client, base_policy: QuotaPolicy) -> None:
    url = reverse("admin:limiter_quotapolicy_delete", args=[base_policy.pk])
    response = root.post(url, {"post": "yes"})
    assert b"is in use and cannot be deleted" in response.content
    assert QuotaPolicy.objects.filter(pk=base_policy.pk).exists()


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"limit_quota": "0"}, "0.quota"),
        ({"limit_quota": "-5"}, "0.quota"),
        ({"limit_quota": "9" * 30}, "0.quota"),
        ({"limit_quota": "9" * 5000}, "0.quota"),
        ({"limit_quota": "1000001"}, "0.quota"),
        ({"limit_quota": "1.5"}, "0.quota"),
        ({"limit_quota": ""}, "0.quota"),
        ({"limit_window_seconds": "0"}, "0.window_seconds"),
        ({"limit_window_seconds": "-1"}, "0.window_seconds"),
        ({"limit_window_seconds": ""}, "0.window_seconds"),
        ({"limit_window_seconds": "9" * 12}, "0.window_seconds"),
        ({"limit_algorithm": "concurrency"}, "0.window_seconds"),
        ({"limit_algorithm": "token_bucket"}, "0.burst"),
        ({"limit_algorithm": "token_bucket", "limit_burst": "0"}, "0.burst"),
        ({"limit_algorithm": "token_bucket", "limit_burst": "999999999"}, "0.burst"),
        ({"limit_burst": "5"}, "0.burst"),
        ({"limit_algorithm": "leaky"}, "0.algorithm"),
        ({"limit_counted_per": "planet"}, "0.counted_per"),
        ({"limit_lease_seconds": "0"}, "0.lease_seconds"),
        ({"limit_name": "Minute"}, "0.name"),
        ({"limit_name": ""}, "0.name"),
        ({"limit_name": "x" * 33}, "0.name"),
        ({"limit_name": "a\x00b"}, "0.name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"sensitivity": "nan"}, "sensitivity"),
        ({"sensitivity": "1e400"}, "sensitivity"),
        ({"latency_threshold_ms": "0"}, "latency_threshold_ms"),
        ({"min_multiplier": "2"}, "min_multiplier"),
        ({"min_multiplier": "0.9", "max_multiplier": "0.5"}, "min_multiplier"),
        ({"sample_size": "5", "min_samples": "6"}, "min_samples"),
        ({"mode": "maybe"}, "mode"),
        ({"change_reason": "x" * 256}, "change_reason"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_input_is_reported_at_its_field_and_nothing_is_saved(
    root: Client, fields: dict[str, str], complaint: str
) -> None:
    response = refused(root, ADD, new_policy(root, **fields))
    assert list(errors_of(response)) == [complaint]
    assert not QuotaPolicy.objects.exists() and not QuotaLimit.objects.exists() and not QuotaPolicy.history.exists()


def test_a_window_that_cannot_be_read_is_not_reported_as_missing_too(root: Client) -> None:
    found = errors_of(root.post(ADD, new_policy(root, limit_window_seconds="soon")))
    assert found == {"0.window_seconds": ["Give a length of time such as 60, 1 min, 2 h or 1 day."]}


def test_two_limits_of_one_name_are_reported_at_the_name(root: Client) -> None:
    data = more_limits(new_policy(root), {"name": "minute", "quota": "5", "window_seconds": "1"})
    page = root.post(ADD, data)
    complaints = errors_of(page)
    assert list(complaints) == ["1.name"]
    assert complaints["1.name"][0] in page.content.decode()
    assert not QuotaPolicy.objects.exists()


def test_a_name_that_another_limit_has_is_reported_at_the_name(root: Client, gold: QuotaPolicy) -> None:
    data = form_of(root, change_url(gold)) | {"limits-1-name": "minute"}
    assert "1.name" in errors_of(refused(root, change_url(gold), data))
    gold.refresh_from_db()
    assert (gold.version, says(gold)) == (1, {"minute": 100, "day": 1000})


def test_one_wrong_limit_keeps_the_others_from_being_saved(root: Client, gold: QuotaPolicy) -> None:
    data = form_of(root, change_url(gold)) | {"limits-0-quota": "50", "limits-1-quota": "0", "mode": "shadow"}
    assert list(errors_of(refused(root, change_url(gold), data))) == ["1.quota"]
    gold.refresh_from_db()
    assert (gold.version, gold.mode, says(gold)) == (1, "enforce", {"minute": 100, "day": 1000})


@pytest.mark.parametrize("broken", ["", "x", "999999"])
def test_a_form_that_was_tampered_with_saves_nothing(root: Client, broken: str) -> None:
    refused(root, ADD, new_policy(root) | {"limits-TOTAL_FORMS": broken})
    assert not QuotaPolicy.objects.exists()


def test_a_policy_of_too_many_limits_says_how_many_it_may_have(root: Client) -> None:
    data = more_limits(new_policy(root), *({"name": f"n{n}", "quota": "5", "window_seconds": "1"} for n in range(50)))
    (said,) = [str(error) for error in refused(root, ADD, data).context_data["errors"]]
    assert "at most 50 limits" in said
    assert not QuotaPolicy.objects.exists()


def test_the_second_of_two_editors_gets_an_error_instead_of_overwriting(root: Client, gold: QuotaPolicy) -> None:
    mine, yours = form_of(root, change_url(gold)), form_of(root, change_url(gold))
    assert root.post(change_url(gold), mine | {"limits-0-quota": "50"}).status_code == 302
    page = root.post(change_url(gold), yours | {"limits-1-quota": "7"})
    assert page.status_code == 409 and b"Saved meanwhile by somebody else" in page.content
    assert says(gold) == {"minute": 50, "day": 1000}
    assert root.post(change_url(gold), filled_form(page.content)).status_code == 302
    assert says(gold) == {"minute": 50, "day": 7}


def test_a_limit_that_is_never_reached_is_pointed_out_after_saving(root: Client, gold: QuotaPolicy) -> None:
    response = root.post(change_url(gold), form_of(root, change_url(gold)) | {"limits-1-quota": "144000"})
    said = [str(message) for message in get_messages(response.wsgi_request)]
    assert "day is never reached: minute lets at most 144,000 units pass per day." in said


# Which limits follow the upstream.


@pytest.mark.parametrize(
    ("said", "window_seconds", "adaptive"),
    [
        ("", "300", True),
        ("", "301", False),
        ("true", "86400", True),
        ("false", "60", False),
        ("on", "86400", True),  # a page of the release before
    ],
)
def test_a_limit_follows_the_upstream_by_its_window_unless_the_form_says_otherwise(
    root: Client, said: str, window_seconds: str, adaptive: bool
) -> None:
    root.post(ADD, new_policy(root, limit_adaptive=said, limit_window_seconds=window_seconds))
    assert QuotaLimit.objects.get().adaptive is adaptive


def test_an_adaptive_box_that_is_not_ticked_in_a_page_of_the_release_before_is_a_no(root: Client) -> None:
    data = new_policy(root)
    del data["limits-0-adaptive"]
    root.post(ADD, data)
    assert QuotaLimit.objects.get().adaptive is False


def test_a_stored_limit_with_a_long_window_goes_on_following_the_upstream(root: Client, gold: QuotaPolicy) -> None:
    gold.limits.update(adaptive=True)
    root.post(change_url(gold), form_of(root, change_url(gold)) | {"limits-1-quota": "900"})
    assert dict(gold.limits.values_list("quota", "adaptive")) == {100: True, 900: True}


def test_the_form_says_which_windows_follow_the_upstream(root: Client) -> None:
    assert "By its window: yes up to 5 minutes, no above" in root.get(ADD).content.decode()


# In words.


def test_the_form_shows_the_saved_policy_in_words(root: Client, gold: QuotaPolicy) -> None:
    page = root.get(change_url(gold)).content.decode()
    for sentence in sentences_of(gold, gold.limits.all()):
        assert sentence.replace("'", "&#x27;") in page


def test_the_preview_says_what_the_same_policy_would_say_when_saved(root: Client) -> None:
    data = new_policy(root, mode="shadow", limit_quota="250", limit_counted_per="tenant")
    shown = root.post(PREVIEW, data).json()
    root.post(ADD, data)
    saved = QuotaPolicy.objects.get()
    said = {"sentences": sentences_of(saved, saved.limits.all()), "advice": advice(saved, saved.limits.all())}
    assert shown == said | {"shadow": True}
    assert "a window that shrinks" in shown["advice"][0]


def test_a_form_that_comes_back_says_what_was_typed(root: Client) -> None:
    page = root.post(ADD, new_policy(root, mode="shadow", limit_quota="7", sensitivity="0"))
    assert page.context["sentences"][0] == "minute: at most 7 units in any minute for each action of each tenant."
    assert page.context["shadow"]


def test_the_preview_of_an_edit_leaves_out_what_is_marked_for_deletion(root: Client, gold: QuotaPolicy) -> None:
    data = form_of(root, change_url(gold)) | {"limits-0-quota": "50", "limits-1-DELETE": "on"}
    shown = root.post(PREVIEW, data).json()["sentences"]
    assert shown[0] == "minute: at most 50 units in any minute for each action of each tenant."
    assert not any(sentence.startswith("day") for sentence in shown)
    assert says(gold) == {"minute": 100, "day": 1000}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"limits-TOTAL_FORMS": "9" * 50},
        {"limits-TOTAL_FORMS": "1"},
        {"limits-TOTAL_FORMS": "1", "limits-0-quota": "x", "limits-0-algorithm": "leaky", "sensitivity": "nan"},
        {"limits-TOTAL_FORMS": "1", "limits-0-window_seconds": "9" * 5000},
    ],
)
def test_a_half_typed_form_is_previewed_without_complaint(root: Client, data: dict[str, str]) -> None:
    assert root.post(PREVIEW, data).status_code == 200


@pytest.mark.parametrize("weight", ["0", "-3"])
def test_a_weight_below_1_is_refused_with_the_least_though_tenants_share_the_limit(
    root: Client, gold: QuotaPolicy, globex: Tenant, weight: str
) -> None:
    Assignment.objects.create(policy=gold, target="default")
    share = {"counted_per": "connection", "shared": "on", "share_weight": weight}
    data = form_of(root, change_url(gold)) | {f"limits-0-{name}": value for name, value in share.items()}
    assert root.post(PREVIEW, data).status_code == 200
    least = "Ensure this value is greater than or equal to 1."
    assert errors_of(root.post(change_url(gold), data)) == {"0.share_weight": [least]}


def test_the_preview_is_for_those_who_may_see_policies(gold: QuotaPolicy) -> None:
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger", is_staff=True))
    assert stranger.post(PREVIEW, {}).status_code == 403
    assert Client().post(PREVIEW, {}).status_code == 403


def test_the_preview_is_asked_by_post_only(root: Client) -> None:
    assert root.get(PREVIEW).status_code == 405


# Who is affected.


def test_the_form_names_the_tenants_that_the_policy_reaches(
    root: Client, gold: QuotaPolicy, acme: Tenant, globex: Tenant
) -> None:
    Assignment.objects.create(policy=gold, target="tenant", tenant=acme)
    Assignment.objects.create(policy=gold, target="action", action=Action.objects.get(tenant=globex))
    reach = root.get(change_url(gold)).context["reach"]
    assert (reach.everyone, reach.tenants, [str(action) for action in reach.actions]) == (
        None,
        (acme,),
        ["globex/createCase"],
    )


def test_the_default_policy_reaches_everyone(root: Client, base_policy: QuotaPolicy, acme: Tenant) -> None:
    assert root.get(change_url(base_policy)).context["reach"].everyone == 1


def test_of_many_only_the_first_twenty_are_named(root: Client, gold: QuotaPolicy, acme: Tenant) -> None:
    for number in range(25):
        tenant = Tenant.objects.create(tenant_id=f"t{number:02}", name="T", connection=acme.connection)
        Assignment.objects.create(policy=gold, target="tenant", tenant=tenant)
    response = root.get(change_url(gold))
    assert (response.context["reach"].tenant_count, len(response.context["reach"].tenants)) == (25, 20)
    assert b"and others" in response.content


# Earlier versions.


@pytest.fixture
def edited(root: Client, gold: QuotaPolicy) -> QuotaPolicy:
    """Version 2: ``minute`` 50, ``day`` gone, ``hour`` new, shadow."""
    data = form_of(root, change_url(gold)) | {"mode": "shadow", "limits-0-quota": "50", "limits-1-DELETE": "on"}
    data = more_limits(data, {"name": "hour", "quota": "500", "window_seconds": "3600"})
    root.post(change_url(gold), data | {"change_reason": "INC-7"})
    gold.refresh_from_db()
    return gold


def version_url(policy: QuotaPolicy, version: int) -> str:
    record = policy.history.get(version=version)
    return reverse("admin:limiter_quotapolicy_simple_history", args=[policy.pk, record.history_id])


def test_the_history_shows_what_changed_in_policy_and_limits(root: Client, edited: QuotaPolicy) -> None:
    response = root.get(reverse("admin:limiter_quotapolicy_history", args=[edited.pk]))
    newest, oldest = response.context["page_obj"].object_list
    assert [(change["field"], change["old"], change["new"]) for change in newest.history_delta_changes] == [
        ("mode", "enforce: refuse calls over a limit", "shadow: decide and record, never refuse"),
        ("Limit minute: limit", "100", "50"),
        ("Limit day", "day 1,000 per day", ""),
        ("Limit hour", "", "hour 500 per hour"),
    ]
    assert not hasattr(oldest, "history_delta_changes")
    assert b"INC-7" in response.content


def test_an_earlier_version_is_shown_with_the_limits_it_had(root: Client, edited: QuotaPolicy) -> None:
    page = root.get(version_url(edited, 1)).content.decode()
    assert "day: at most 1,000 units in any day" in page
    assert "Put version 1 back" in page


def test_the_version_in_force_is_not_offered_for_putting_back(root: Client, edited: QuotaPolicy) -> None:
    assert b"This version is in force." in root.get(version_url(edited, 2)).content


def test_putting_a_version_back_restores_its_limits_as_a_new_version(root: Client, edited: QuotaPolicy) -> None:
    response = root.post(
        version_url(edited, 1), {"change_reason": "too strict", **as_seen(root, version_url(edited, 1))}
    )
    assert response["Location"] == change_url(edited)
    edited.refresh_from_db()
    assert (edited.version, edited.mode, says(edited)) == (3, "enforce", {"minute": 100, "day": 1000})
    latest = edited.history.latest()
    assert (latest.history_user.username, latest.history_change_reason) == ("root", "too strict")


def test_putting_back_is_recorded_in_english_and_shown_in_the_readers_language(
    root: Client, edited: QuotaPolicy
) -> None:
    german = {"Accept-Language": "de"}
    url = version_url(edited, 1)
    response = root.post(url, {"change_reason": "", **as_seen(root, url)}, headers=german)
    assert edited.history.latest().history_change_reason == "Restored version 1"
    assert LogEntry.objects.latest("pk").change_message == "Put version 1 back as version 3."
    (message,) = get_messages(response.wsgi_request)
    assert str(message) == "Gold enthält wieder, was in Version 1 stand; das ist Version 3."
    history = root.get(reverse("admin:limiter_quotapolicy_history", args=[edited.pk]), headers=german)
    assert "Version 1 wiederhergestellt" in history.content.decode()


def test_a_version_that_breaks_a_rule_of_today_is_not_put_back(root: Client, edited: QuotaPolicy) -> None:
    edited.name = "Old"
    edited.save()
    QuotaPolicy.objects.create(name="Gold")
    response = root.post(version_url(edited, 1), as_seen(root, version_url(edited, 1)), follow=True)
    assert b"cannot be put back" in response.content
    edited.refresh_from_db()
    assert (edited.version, says(edited)) == (3, {"minute": 50, "hour": 500})


def test_a_version_of_another_policy_is_not_found(root: Client, edited: QuotaPolicy) -> None:
    other = QuotaPolicy.objects.create(name="Silver")
    foreign = other.history.latest().history_id
    url = reverse("admin:limiter_quotapolicy_simple_history", args=[edited.pk, foreign])
    assert root.get(url).status_code == 404


def test_a_limit_typed_as_a_rate_gets_its_window(root: Client) -> None:
    root.post(ADD, new_policy(root, limit_quota="100 per 2 h", limit_window_seconds=""))
    assert [(line.quota, line.window_seconds) for line in QuotaLimit.objects.all()] == [(100, 7_200)]


def test_a_stored_window_is_shown_in_words_and_a_rate_changes_it(root: Client, gold: QuotaPolicy) -> None:
    form = form_of(root, change_url(gold))
    assert [form[f"limits-{place}-window_seconds"] for place in (0, 1)] == ["1 minute", "1 day"]
    form |= {"limits-0-quota": "100 per hour"}
    assert root.post(change_url(gold), form).status_code == 302
    assert gold.limits.get(name="minute").window_seconds == 3_600


def test_a_rate_beside_another_window_is_refused(root: Client) -> None:
    response = refused(root, ADD, new_policy(root, limit_quota="100 per minute", limit_window_seconds="2 h"))
    assert errors_of(response) == {
        "0.quota": ["This names another window than the field beside it; give the window once."]
    }
