"""One issue for each alert, whatever people do; nobody else's issue counts."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from mlops.monitoring.issues import HEAD, MOST, Action, Issue, identity, left_out, plan

Content = dict[str, Any]
BOT, PERSON = 1, 2
LATER = "2026-12-04"


def after(issues: Sequence[Issue], actions: Sequence[Action]) -> list[Issue]:
    """Return the issues as the actions leave them."""
    known = {issue.number: issue for issue in issues}
    for action in actions:
        number = action.number or len(known) + 1
        before = known.get(number, Issue(number, BOT, True, ""))
        is_open = before.is_open if action.state is None else action.state == "open"
        body = before.body if action.body is None else action.body
        known[number] = before._replace(is_open=is_open, body=body)
    return list(known.values())


def judged(content: Content, verdict: str, at: str = LATER) -> Content:
    """Return the report of another day, in which the alert's rule and part have that verdict."""
    rules = [dict(rule) for rule in content["rules"]]
    rules[0] |= {"verdict": verdict}
    rules[0]["findings"] = [
        one | {"verdict": verdict} if one["part"] == "monthly_fee" else one
        for one in rules[0]["findings"]
    ]
    alerts = content["alerts"] if verdict == "alert" else []
    return content | {"at": at, "rules": rules, "alerts": alerts}


def test_an_alert_opens_an_issue_that_says_what_to_do(content: Content) -> None:
    [action] = plan(content, [], BOT, "https://github.invalid/acme/churn/actions/runs/17")
    assert (action.verb, action.number, action.title) == (
        "open",
        None,
        "churn: missing monthly_fee",
    )
    body = action.body or ""
    assert body.startswith("<!-- mlops-alert: churn/missing/monthly_fee -->\n")
    for part in (
        "**missing** <code>monthly_fee</code>: monthly_fee: 15 % of the rows",
        "Since 2026-11-27, judged to the end of 2026-11-27 (UTC)",
        "[Report and run](https://github.invalid/acme/churn/actions/runs/17)",
        "| 2026-11-27 | 714 | 15.00% |",
        "- mend where <code>monthly_fee</code> comes from",
    ):
        assert part in body
    assert body.count("| 2026-11-") == 7


def test_it_is_edited_in_place_while_it_goes_on(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    assert plan(content, issues, BOT) == []
    [action] = plan(judged(content, "alert"), issues, BOT)
    assert (action.verb, action.number, action.state, action.comment) == ("edit", 1, None, None)
    assert action.title is None  # a person may have called it otherwise
    assert "Since 2026-11-27, judged to the end of 2026-12-04" in (action.body or "")


def test_it_closes_when_it_is_gone_and_opens_again_when_it_is_back(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    [action] = plan(judged(content, "quiet"), issues, BOT)
    assert (action.verb, action.number, action.state) == ("close", 1, "closed")
    assert "Gone: it was judged to the end of 2026-12-04" in (action.comment or "")
    issues = after(issues, [action])
    assert plan(judged(content, "quiet"), issues, BOT) == []
    [action] = plan(judged(content, "alert", "2026-12-05"), issues, BOT)
    assert (action.verb, action.number, action.state) == ("reopen", 1, "open")
    assert "It is back: monthly_fee: 15 %" in (action.comment or "")
    assert "Since 2026-12-05" in (action.body or "")


@pytest.mark.parametrize("verdict", ["quiet", "note"])
def test_a_note_is_no_alert(content: Content, verdict: str) -> None:
    issues = after([], plan(content, [], BOT))
    assert [one.verb for one in plan(judged(content, verdict), issues, BOT)] == ["close"]


def test_what_was_not_judged_stays_open(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    assert plan(judged(content, "not judged"), issues, BOT) == []
    other = judged(content, "quiet")
    assert plan(other | {"rules": other["rules"][1:]}, issues, BOT) == []  # nobody looks
    assert plan(other | {"name": "another"}, issues, BOT) == []
    silent = dict(other["rules"][0], findings=[{"verdict": "not judged", "part": "", "reason": ""}])
    assert plan(other | {"rules": [silent]}, issues, BOT) == []


def test_a_part_that_the_rule_names_no_longer_is_gone(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    quiet = judged(content, "quiet")
    for findings in ([], [{"verdict": "quiet", "part": "", "reason": "all as expected"}]):
        rules = [dict(quiet["rules"][0], findings=findings)]
        assert [one.verb for one in plan(quiet | {"rules": rules}, issues, BOT)] == ["close"]


def test_a_part_is_gone_though_another_one_of_its_rule_is_not(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    other = {"verdict": "alert", "part": "amount_0", "reason": "it is missing"}
    rules = [dict(content["rules"][0], findings=[other])]
    alert = content["alerts"][0] | {"part": "amount_0"}
    actions = plan(content | {"at": LATER, "rules": rules, "alerts": [alert]}, issues, BOT)
    assert [(one.verb, one.number) for one in actions] == [("open", None), ("close", 1)]
    rules[0]["findings"].append({"verdict": "not judged", "part": "monthly_fee", "reason": "few"})
    actions = plan(content | {"at": LATER, "rules": rules, "alerts": [alert]}, issues, BOT)
    assert [one.verb for one in actions] == ["open"]


def test_two_windows_of_one_part_are_one_issue(content: Content) -> None:
    week = content["alerts"][0] | {"window": "week", "reason": "it was so all week"}
    [action] = plan(content | {"alerts": [*content["alerts"], week]}, [], BOT)
    assert "it was so all week" in (action.body or "")


def test_closed_by_hand_it_stays_closed_until_it_was_gone(content: Content) -> None:
    [issue] = after([], plan(content, [], BOT))
    issues = [issue._replace(is_open=False)]
    [action] = plan(judged(content, "alert"), issues, BOT)
    assert (action.verb, action.state) == ("edit", None)
    issues = after(issues, [action])
    [action] = plan(judged(content, "quiet", "2026-12-05"), issues, BOT)
    assert (action.verb, action.state, action.comment) == ("edit", None, None)
    issues = after(issues, [action])
    [action] = plan(judged(content, "alert", "2026-12-06"), issues, BOT)
    assert action.verb == "reopen"


def test_what_others_wrote_captures_nothing(content: Content) -> None:
    [own] = after([], plan(content, [], BOT))
    theirs = own._replace(number=1, author=PERSON)
    assert [one.verb for one in plan(content, [theirs], BOT)] == ["open"]
    assert plan(judged(content, "quiet"), [theirs], BOT) == []
    quoted = own._replace(body=f"> somebody said\n\n{own.body}")
    assert [one.verb for one in plan(content, [quoted], BOT)] == ["open"]
    assert plan(judged(content, "quiet"), [quoted], BOT) == []


def test_of_two_the_first_goes_on(content: Content) -> None:
    [issue] = after([], plan(content, [], BOT))
    issues = [issue._replace(number=9), issue._replace(number=4)]
    [action] = plan(content, issues, BOT)
    assert (action.verb, action.number, action.state) == ("join", 9, "closed")
    assert "#4" in (action.comment or "")
    assert plan(content, after(issues, [action]), BOT) == []


def test_the_report_of_an_earlier_day_changes_nothing(content: Content) -> None:
    issues = after([], plan(content, [], BOT))
    issues = after(issues, plan(judged(content, "alert"), issues, BOT))
    assert plan(content, issues, BOT) == []
    assert plan(judged(content, "quiet", "2026-11-30"), issues, BOT) == []


def test_a_page_that_changes_the_ends_of_lines_changes_nothing(content: Content) -> None:
    [issue] = after([], plan(content, [], BOT))
    issues = [issue._replace(body=issue.body.replace("\n", "\r\n"))]
    assert plan(content, issues, BOT) == []
    [action] = plan(judged(content, "quiet"), issues, BOT)
    assert HEAD.match(action.body or "")


def test_names_stay_names(content: Content, hostile: str) -> None:
    for name in (hostile, "a --> b", "a/b", "ä|@x"):
        alerts = [content["alerts"][0] | {"part": name, "rule": name, "reason": name}]
        report = content | {"alerts": alerts, "name": name, "next": [name]}
        [action] = plan(report, [], BOT)
        body = action.body or ""
        assert HEAD.match(body)["identity"] == identity(name, name, name)  # type: ignore[index]
        assert body.count("-->") == 2
        for acting in ("<script", "@team", "@x", "](http", "**bold**", "\n# head"):
            assert acting not in body
        assert not re.search(r"@\w", action.title or "")
        assert "\n" not in (action.title or "")
        assert plan(report, after([], [action]), BOT) == []


def test_of_a_flood_only_some_issues_are_opened(content: Content) -> None:
    alerts = [content["alerts"][0] | {"part": f"column_{at}"} for at in range(MOST + 30)]
    report = content | {"alerts": alerts}
    actions = plan(report, [], BOT)
    assert len(actions) == MOST
    assert left_out(report, actions, [], BOT) == 30
    issues = after([], actions)
    again = plan(report, issues, BOT)
    assert [one.verb for one in again] == ["open"] * MOST
    assert left_out(report, again, issues, BOT) == 10


def test_performance_shows_its_last_days(content: Content) -> None:
    alert = content["alerts"][0] | {"rule": "performance", "kind": "performance"}
    for part in ("region=north", "log_loss"):
        [action] = plan(content | {"alerts": [alert | {"part": part}]}, [], BOT)
        assert "reference 0.41, margin 0.02" in (action.body or "")
        assert "| 2026-11-27 | 18,000 | 0.4" in (action.body or "")


def test_a_part_that_one_window_cannot_judge_is_gone_where_another_has(content: Content) -> None:
    """A day has too few values of it, as every day may have, and the week is as it was."""
    issues = after([], plan(content, [], BOT))
    quiet = judged(content, "quiet")
    few = {"verdict": "not judged", "part": "monthly_fee", "window": "day", "reason": "few"}
    for window, verbs in (({"verdict": "quiet"}, ["close"]), ({"verdict": "not judged"}, [])):
        week = {**few, "window": "week", **window}
        rules = [dict(quiet["rules"][0], findings=[few, week])]
        assert [one.verb for one in plan(quiet | {"rules": rules}, issues, BOT)] == verbs
